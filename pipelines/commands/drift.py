"""`skin-lesion drift`."""

import argparse
from pathlib import Path

from pipelines.commands import ROOT
from pipelines.moments import end_of, start_of

HELP = "hold a scored batch or the audit log against the pictures that the model was validated on"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = (
        "Exit status: 0 no drift, 10 some change, 11 drift, 12 too few pictures to tell; 1 is an "
        "error."
    )
    parser.add_argument(
        "predictions",
        type=Path,
        nargs="?",
        help="folder that `skin-lesion batch` wrote, or a .parquet or .csv of predictions",
    )
    parser.add_argument(
        "--audit",
        metavar="URL",
        nargs="?",
        const="",
        help="compare the readings of an audit log instead ($SKIN_LESION_AUDIT_URL, "
        ".work/audit.db)",
    )
    parser.add_argument(
        "--since",
        type=start_of,
        metavar="TIME",
        help="only readings of the log from then on: a date or a time, UTC unless it says otherwise",
    )
    parser.add_argument(
        "--until", type=end_of, metavar="TIME",
        help="only readings of the log before that time; a date means the whole day",
    )  # fmt: skip
    parser.add_argument(
        "--model",
        help="version, alias or folder of a bundle (the one that answered; of an audit log, the one "
        "in production)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        help="page to be written; its figures lie beside it as .json (.work/drift/NAME-TIME.html)",
    )


def run(options: argparse.Namespace) -> int:
    """Compare, and say what came of it."""
    if (options.predictions is None) == (options.audit is None):
        raise ValueError("name either a table of predictions or an audit log with --audit URL")
    if options.audit is None and (options.since or options.until):
        raise ValueError(
            "--since and --until choose readings of an audit log, and a table is compared whole; "
            "leave them out, or take the log with --audit"
        )
    from pipelines.drift import DriftRequest, run_drift
    from skin_lesion.audit.database import audit_url
    from skin_lesion.settings import DriftConfig

    answer = run_drift(
        DriftRequest(
            predictions=options.predictions,
            audit=None if options.audit is None else audit_url(options.audit, ROOT),
            since=options.since,
            until=options.until,
            model=options.model,
            output=options.output,
        ),
        DriftConfig(),
        ROOT / ".work" / "drift",
    )
    print("\n".join(answer.report.to_lines()))
    print(f"Page: {answer.page.resolve().as_uri()}")
    return answer.report.exit_code
