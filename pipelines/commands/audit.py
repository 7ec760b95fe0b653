"""`skin-lesion audit`."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.commands import ROOT
from pipelines.exporting import columns, export
from pipelines.moments import end_of, start_of

if TYPE_CHECKING:
    from skin_lesion.audit import AuditLog, Reading

HELP = "look at the log of predictions: list, verify, head, export"
_LIMITS = """\
Every row holds the hash of the one before it, so a row that was changed, removed, inserted or moved
is found, and rows that were cut off the end while the database's own note of its end was left. Who
may write the whole database can also compute the chain anew, or cut its end off and mend the note:
only a head that was noted elsewhere finds that. Note `skin-lesion audit head` where writers of the
log cannot reach it (a ticket, a printed page, another server), and give it to --head. Rows that were
added after it are not proven by it. No chain tells whether what was written was true, whether a
reading was never written, or whether the clock was right."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--url",
        help="sqlite:///PATH or postgresql://...; else what SKIN_LESION_AUDIT_URL says, else "
        ".work/audit.db",
    )
    actions = parser.add_subparsers(required=True, metavar="ACTION", dest="action")

    def add(name: str, about: str, epilog: str | None = None) -> argparse.ArgumentParser:
        return actions.add_parser(
            name,
            help=about,
            description=f"{about[0].upper()}{about[1:]}.",
            epilog=epilog,
            parents=[shared],
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    listing = add("list", "show the latest readings and what was said of them")
    listing.add_argument("--user", help="only readings of this user")
    listing.add_argument("--limit", type=int, help="how many at most")
    verify = add(
        "verify", "look at every row; exit status 1 where one is not as it was written", _LIMITS
    )
    verify.add_argument("--head", metavar="HASH[:COUNT]", help="a head that was noted before")
    add("head", "show where the log ends, to be noted elsewhere")
    export = add("export", "write rows as CSV")
    export.add_argument("--csv", type=Path, metavar="FILE", help="else it goes to standard output")
    export.add_argument("--user", help="only what this user wrote")
    export.add_argument(
        "--since", type=start_of, metavar="TIME",
        help="only what was written then or later: a date or a time, UTC unless it says otherwise",
    )  # fmt: skip
    export.add_argument(
        "--until", type=end_of, metavar="TIME",
        help="only what was written before that time; a date means the whole day",
    )  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """Do what was asked of the log."""
    from skin_lesion.audit import AuditLog, audit_url

    log = AuditLog.open(audit_url(options.url, ROOT), create=False)
    actions = {"list": _list, "verify": _verify, "head": _head, "export": _export}
    return actions[options.action](log, options)


def _list(log: "AuditLog", options: argparse.Namespace) -> int:
    header = ("id", "time (UTC)", "user", "role", "model", "answer", "feedback")
    rows = [header, *map(_line, log.readings(user=options.user, limit=options.limit))]
    print("\n".join(columns(rows)))
    return 0


def _line(reading: "Reading") -> tuple[str, ...]:
    row, said = reading.row, reading.feedback
    answer = row.prediction or f"{row.status} ({row.reason})"
    feedback = "" if said is None else f"{said.feedback_label} by {said.user}"
    if said is not None and said.feedback_note:
        feedback = f"{feedback}: {said.feedback_note}"
    at = f"{row.at:%Y-%m-%d %H:%M:%S}"
    return (str(row.id), at, row.user, row.role, row.model_version, answer, feedback)


def _verify(log: "AuditLog", options: argparse.Namespace) -> int:
    from skin_lesion.audit import Head

    noted = None if options.head is None else Head.parse(options.head)
    found = log.verify(noted)
    if found.fault is not None:
        print(f"The log at {log.name} is not as it was written.\n{found.fault}")
        return 1
    print(f"Every row of the log at {log.name} is as it was written.\nIts head is {found.head}")
    if found.clock_set_back:
        print(f"Rows written at an earlier time than the row before them: {found.clock_set_back}")
    if noted is None:
        print("What only a head noted elsewhere can show was not looked at (--head).")
    return 0


def _head(log: "AuditLog", _: argparse.Namespace) -> int:
    print(log.head())
    return 0


def _export(log: "AuditLog", options: argparse.Namespace) -> int:
    from skin_lesion.audit import Scope, write_csv

    rows = log.rows(Scope(options.user, options.since, options.until))
    if told := export(lambda file: write_csv(rows, file), options.csv):
        print(told)
    return 0
