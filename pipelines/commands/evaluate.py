"""`skin-lesion evaluate`.

The report is a folder. That of a registered version is also logged to the MLflow run that registered
it, as `external/NAME/`, so that whoever looks at the version finds it; it holds some of the pictures
and every answer, so `--no-log` keeps it out of a registry that others read.
"""

import argparse
from pathlib import Path

from pipelines.commands import ROOT

HELP = "measure a registered model on labelled pictures from elsewhere"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "--model", required=True, help="version or alias in the registry, or folder of a bundle"
    )
    parser.add_argument(
        "--external", type=Path, required=True, help="folder or zip with the pictures"
    )
    parser.add_argument(
        "--labels",
        type=Path,
        required=True,
        help="CSV with a column that names the picture and one with the diagnosis, or one column "
        "for each class",
    )
    parser.add_argument(
        "--map",
        action="append",
        default=[],
        metavar="NAME=CODE",
        help="what a diagnosis of the CSV is called here; without a code its pictures are left out",
    )
    parser.add_argument("--output", type=Path, help="folder to be made (.work/external/NAME-MODEL)")
    parser.add_argument("--seed", type=int, help="of all draws, if another than the usual one")
    parser.add_argument(
        "--no-log",
        dest="log",
        action="store_false",
        help="do not log the report, with the pictures that it shows, to the MLflow run of a "
        "registered version, as external/NAME",
    )


def run(options: argparse.Namespace) -> int:
    """Measure, log the report, and say where it is."""
    from pipelines.external import ExternalRequest, log_external, run_external

    request = ExternalRequest(
        model=options.model,
        pictures=options.external,
        labels=options.labels,
        mapping=options.map,
        output=options.output,
        seed=options.seed,
        log=options.log,
    )
    measured = run_external(request, ROOT / ".work" / "external")
    print(measured.text)
    # After the figures: what was measured is told even where MLflow is out of reach by now.
    if said := log_external(measured):
        print(said)
    return 0
