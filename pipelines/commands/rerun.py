"""`skin-lesion rerun`."""

import argparse
import sys

from pipelines.commands import ROOT

HELP = "execute one step of an earlier training run again, and what depends on it"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("step", metavar="STEP", help="such as finetune_train")
    parser.add_argument(
        "--run",
        dest="run_name",
        metavar="RUN",
        help="name, id or unique prefix (the last training run)",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="STEP.KEY=VALUE",
        help="another value for a step that runs, or for a parameter that only such steps read",
    )
    parser.add_argument(
        "--no-cache",
        action="store_true",
        help="execute what follows even where all that it reads comes out equal",
    )
    parser.add_argument(
        "--interrupted",
        action="store_true",
        help="the process of the run died, although ZenML still has it as running",
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would happen")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def run(options: argparse.Namespace) -> int:
    """Say what will happen, ask, and do it."""
    from zenml.utils import source_utils

    from pipelines.rerun import RerunRequest, prepare_rerun, start_rerun

    rerun = prepare_rerun(
        RerunRequest(
            step=options.step,
            run=options.run_name,
            settings=options.set,
            without_cache=options.no_cache,
            interrupted=options.interrupted,
        )
    )
    print(rerun.describe(), flush=True)
    if options.dry_run:
        return 0
    if not (options.yes or _agreed()):
        print("Nothing was started.")
        return 1
    # Steps are known to ZenML by their place below this folder, as `zenml pipeline run` names them.
    source_utils.set_custom_source_root(str(ROOT))
    print(start_rerun(rerun))
    return 0


def _agreed() -> bool:
    if not sys.stdin.isatty():
        raise RuntimeError("there is nobody to ask; add --yes")
    print("\nGo on? [y/N] ", end="", flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}
