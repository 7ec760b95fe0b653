"""`skin-lesion batch`."""

import argparse
import sys
from pathlib import Path

HELP = "score every picture of a folder, zip, CSV of paths or S3 prefix into one table"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("source", help="folder, .zip, .csv with a column of paths, or s3://…")
    parser.add_argument("output", type=Path, help="folder for the results")
    parser.add_argument(
        "--model", help="version or alias in the registry, or folder of a bundle (champion)"
    )
    parser.add_argument(
        "--engine", choices=("serial", "processes", "ray"), help="who scores (processes)"
    )
    parser.add_argument("--workers", type=int, help="how many at a time (one a core)")
    parser.add_argument("--address", help="Ray cluster to join; implies --engine ray")
    parser.add_argument(
        "--afresh",
        action="store_true",
        help="discard what the folder holds of another model or source",
    )


def run(options: argparse.Namespace) -> int:
    """Score, and say where the results are."""
    from skin_lesion.batch.progress import Spaced
    from skin_lesion.batch.run import score_batch
    from skin_lesion.registry import PRODUCTION_ALIAS
    from skin_lesion.settings import BatchConfig

    given = {
        "engine": options.engine or ("ray" if options.address else None),
        "workers": options.workers,
        "address": options.address,
        "on_change": "afresh" if options.afresh else None,
    }
    config = BatchConfig.model_validate({k: v for k, v in given.items() if v is not None})
    progress = Spaced(lambda line: print(line, file=sys.stderr, flush=True))
    result = score_batch(
        options.source, options.output, options.model or PRODUCTION_ALIAS, config, progress
    )
    summary = result.summary
    print(f"{summary.inputs:,} pictures, model {summary.model}")
    for status, count in summary.statuses.items():
        print(f"  {status:<14}{count:>9,}")
    for reason, count in summary.reasons.items():
        print(f"    {reason:<20}{count:>5,}")
    print(f"Tables in {result.path}; page: {(result.path / 'summary.html').as_uri()}")
    return 0
