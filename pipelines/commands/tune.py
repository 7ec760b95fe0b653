"""`skin-lesion tune`."""

import argparse
from pathlib import Path

from pipelines.commands import ROOT

HELP = "search for the values that train best, judged on the validation split alone"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "-c", "--config", type=Path, required=True, help="configuration of the training pipeline"
    )
    parser.add_argument(
        "--space", type=Path, required=True, help="what is searched, such as configs/search/*.yaml"
    )
    parser.add_argument(
        "--trials",
        type=int,
        required=True,
        help="that the study shall have in the end; the same command goes on after an interruption",
    )
    parser.add_argument(
        "--study", metavar="NAME", help="name of the study (after both files: CONFIG-SPACE)"
    )
    parser.add_argument(
        "--folder", type=Path, help="of all studies (.work/studies); a study is a folder in it"
    )
    parser.add_argument(
        "--timeout",
        type=float,
        metavar="MINUTES",
        help="lay the trial at work aside after its epoch then; the same command goes on with it",
    )


def run(options: argparse.Namespace) -> int:
    """Search, and say what came of it."""
    from zenml.utils import source_utils

    from pipelines.tuning import TuneRequest, run_tuning

    # As `zenml pipeline run` names steps, so that the cache knows them.
    source_utils.set_custom_source_root(str(ROOT))
    request = TuneRequest(
        config=options.config,
        space=options.space,
        trials=options.trials,
        study=options.study,
        minutes=options.timeout,
    )
    print(run_tuning(request, options.folder or ROOT / ".work" / "studies"))
    return 0
