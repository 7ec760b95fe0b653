"""`skin-lesion ledger`."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.exporting import export

if TYPE_CHECKING:
    from skin_lesion.ledger import LookLedger

HELP = "look at the ledger of every look at the test split: show, verify, head"
_LIMITS = """\
Whoever has a model measured on the test split, measured again or compared gets a row here before there
are figures: when, who, by what, why, at which bundle, on which pictures. Code that trains, tunes or
chooses is given no test picture. `verify` looks at every row of the chain, and holds it against the
heads that were noted with the versions in the registry. A head of your own (`skin-lesion ledger head`)
goes to --head. No ledger shows a look by code that goes round the door, one that was written to another
ledger, or what people made of a figure that they saw."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _LIMITS
    parser.add_argument(
        "action",
        nargs="?",
        choices=("show", "verify", "head"),
        default="show",
        help="show: every look; verify: exit status 1 where a row is not as it was written; head: "
        "where the ledger ends, to be noted elsewhere (%(default)s)",
    )
    parser.add_argument(
        "--url",
        help="sqlite:///PATH or postgresql://...; else what SKIN_LESION_LEDGER_URL says, else "
        ".work/test-looks.db",
    )
    parser.add_argument(
        "--csv",
        type=Path,
        nargs="?",
        const=Path("-"),
        metavar="FILE",
        help="with show: every look as CSV, to a file or to standard output",
    )
    parser.add_argument(
        "--head", metavar="HASH[:COUNT]", help="with verify: a head that was noted before"
    )
    parser.add_argument(
        "--no-registry",
        dest="registry",
        action="store_false",
        help="with verify: look at the chain alone, not at what the registry noted of it",
    )


def run(options: argparse.Namespace) -> int:
    """Do what was asked of the ledger."""
    from skin_lesion.ledger import LookLedger, ledger_url, write_csv

    _check(options)
    ledger = LookLedger.open(ledger_url(options.url), create=False)
    if options.action == "verify":
        return _verify(ledger, options)
    if options.action == "head":
        print(ledger.head())
        return 0
    if options.csv is None:
        from pipelines.looks import describe

        print(describe(ledger.rows(), ledger.name))
        return 0
    file = None if options.csv == Path("-") else options.csv
    if told := export(lambda opened: write_csv(ledger.rows(), opened), file):
        print(told)
    return 0


def _check(options: argparse.Namespace) -> None:
    """Raises ValueError where an argument belongs to another action."""
    if options.csv is not None and options.action != "show":
        raise ValueError(f"--csv was given to {options.action!r}; it belongs to show")
    if options.head is not None and options.action != "verify":
        raise ValueError(f"--head was given to {options.action!r}; it belongs to verify")
    if not options.registry and options.action != "verify":
        raise ValueError(f"--no-registry was given to {options.action!r}; it belongs to verify")


def _verify(ledger: "LookLedger", options: argparse.Namespace) -> int:
    from pipelines.looks import registry_verdict, verdict
    from skin_lesion.chain import Head

    noted = None if options.head is None else Head.parse(options.head)
    found = ledger.verify(noted)
    print(verdict(found, ledger.name))
    if not found.sound:
        return 1
    if not options.registry:
        return 0
    from skin_lesion.registry.looking import check_looks

    looks = check_looks(ledger)
    print(registry_verdict(looks))
    return int(any(look.fault for look in looks))
