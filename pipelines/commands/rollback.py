"""`skin-lesion rollback`."""

import argparse

from pipelines.commands.promote import add_user, let_mirror_follow, user_of

HELP = "put the version that was in production before back; once more undoes it"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--reason", default="", help="why; goes into the record")
    add_user(parser)


def run(options: argparse.Namespace) -> int:
    """Go back, let the mirror follow, and say so."""
    from skin_lesion.registry import rollback

    done = rollback(user=user_of(options), reason=options.reason)
    assert done.change is not None  # a rollback to the version in production is an error
    print(f"Version {done.version.version} is in production: {done.change.sentence()}")
    let_mirror_follow()
    return 0
