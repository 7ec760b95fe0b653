"""`skin-lesion promote`."""

import argparse
import getpass
import sys

HELP = "put a version into production, if its gates, files and answers allow it"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("version", help="number or alias of the version")
    parser.add_argument("--reason", default="", help="why; goes into the record")
    parser.add_argument(
        "--override", metavar="REASON", help="promote in spite of failed gates, for this reason"
    )
    add_user(parser)


def add_user(parser: argparse.ArgumentParser) -> None:
    """Declare who does it."""
    parser.add_argument(
        "--user", default=None, help="who it is that changes production (the name of the login)"
    )


def user_of(options: argparse.Namespace) -> str:
    """Who does it.

    Raises:
        ValueError: Neither an argument nor the system says.
    """
    if options.user is not None:
        return str(options.user)
    try:
        return getpass.getuser()
    # As a number without a name, in some containers.
    except (KeyError, OSError) as error:
        raise ValueError(f"the system knows no name of this user ({error}); give --user") from error


def run(options: argparse.Namespace) -> int:
    """Promote, let the mirror follow, and say so."""
    from skin_lesion.registry import promote

    done = promote(
        options.version, user=user_of(options), reason=options.reason, override=options.override
    )
    number = done.version.version
    if done.change is None:
        print(f"Version {number} is in production already; nothing was changed")
    else:
        print(f"Version {number} is in production: {done.change.sentence()}")
        for reason in done.change.refused:
            print(f"  in spite of: {reason}")
    let_mirror_follow()
    return 0


def let_mirror_follow() -> None:
    """Move the mirror and say so; what is in production stands, whatever becomes of the mirror."""
    from pipelines.failures import explain

    try:
        from pipelines.life_cycle import move_mirror

        for sentence in move_mirror():
            print(sentence)
    except Exception as error:  # noqa: BLE001  # of ZenML, its server, or its database
        print(
            f"ZenML's mirror could not follow: {explain(error) or error}. What is in production "
            "stands; let the mirror follow later with: skin-lesion status --repair",
            file=sys.stderr,
        )
