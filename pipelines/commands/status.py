"""`skin-lesion status`."""

import argparse
import contextlib
import json
import sys

from pipelines.commands.promote import add_user, user_of

HELP = "show versions, what is in production, and whether MLflow, its records and ZenML agree"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument(
        "--repair",
        action="store_true",
        help="make them agree: MLflow's alias is the truth, and what is in production stays",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="look at records alone: files are not checked, models not tried",
    )
    add_user(parser)


def run(options: argparse.Namespace) -> int:
    """Show it; 0 where all agree, 1 where they do not."""
    # ZenML logs to the standard output that it finds when it is imported; that one is for us.
    with contextlib.redirect_stdout(sys.stderr):
        from pipelines.life_cycle import as_json, as_text, look, mend

        done = mend(user_of(options)) if options.repair else []
        found = look(look_inside=not options.quick)
    if options.json:
        print(json.dumps(as_json(found) | {"repaired": done}, indent=2, ensure_ascii=False))
    else:
        print("\n".join([*done, *([""] if done else []), as_text(found)]))
    return 1 if found.disagreements else 0
