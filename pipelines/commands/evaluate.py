"""`skin-lesion evaluate`."""

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


def run(options: argparse.Namespace) -> int:
    """Measure, and say where the report is."""
    from pipelines.external import ExternalRequest, run_external

    request = ExternalRequest(
        model=options.model,
        pictures=options.external,
        labels=options.labels,
        mapping=options.map,
        output=options.output,
        seed=options.seed,
    )
    print(run_external(request, ROOT / ".work" / "external"))
    return 0
