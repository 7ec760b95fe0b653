"""`skin-lesion predict`."""

import argparse
import sys
from pathlib import Path

HELP = "judge pictures with the model in production, or another one"

# What the shell gets where some file got no answer. An answer that was refused must not look like
# success to a script, nor like a failure of the command itself, which is 1.
UNANSWERED = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = (
        f"Exit status: 0 where every file got an answer, {UNANSWERED} where some could not be read "
        "or assessed, 1 where nothing could be judged."
    )
    parser.add_argument(
        "files",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="picture: JPEG, PNG, TIFF, WebP, BMP or DICOM",
    )
    parser.add_argument(
        "--model", help="version or alias in the registry, or folder of a bundle (champion)"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument("--csv", action="store_true", help="print CSV")
    parser.add_argument(
        "--heatmap", type=Path, metavar="DIR", help="write a heat-map of each picture there"
    )
    parser.add_argument(
        "--class", dest="label", metavar="LABEL", help="class of the heat-maps (the predicted one)"
    )
    parser.add_argument(
        "--precision",
        choices=("float32", "bfloat16"),
        default="float32",
        help="of the computation; the model was measured in %(default)s",
    )


def run(options: argparse.Namespace) -> int:
    """Judge, and print the answers."""
    from pipelines.predicted import as_csv, as_json, as_table, warnings
    from pipelines.predicting import PredictRequest, predict_files
    from skin_lesion.registry import PRODUCTION_ALIAS

    answers = predict_files(
        PredictRequest(
            files=options.files,
            model=options.model or PRODUCTION_ALIAS,
            heat_maps=options.heatmap,
            label=options.label,
            precision=options.precision,
        )
    )
    for warning in warnings(answers):
        print(warning, file=sys.stderr)
    form = as_json if options.json else as_csv if options.csv else as_table
    print(form(answers).rstrip("\n"))
    return 0 if answers.complete else UNANSWERED
