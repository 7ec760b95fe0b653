"""What a registered model's answers lose when it computes in bfloat16, on its own test pictures.

    python benchmarks/precision.py --model champion

The answers in both precisions are held against each other, and the figures of both against the
gates that the model had to pass in float32. bfloat16 is fit for use where they still hold.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from recording import ROOT

from skin_lesion.checkout import processor
from skin_lesion.evaluation.measured import measured
from skin_lesion.evaluation.resampling import Resamples
from skin_lesion.evaluation.sample import Sample
from skin_lesion.modeling.bundle import ModelBundle
from skin_lesion.precision import Judged, change_between, judge_in
from skin_lesion.serving_model import has_bfloat16
from skin_lesion.settings import EvaluateConfig, GateConfig

RESULT = ROOT / "benchmarks" / "results" / "precision.json"
SHOWN = ("macro_f1", "balanced_accuracy", "melanoma_auc", "ece")


def main() -> int:
    """Run the command line; returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="champion", help="version or alias (%(default)s)")
    arguments = parser.parse_args()
    if not has_bfloat16():
        print("skipped: this processor does not compute in bfloat16")
        return 0
    from pipelines.verification import pictures_of
    from skin_lesion.registry import find_version, open_bundle, run_name

    version = find_version(arguments.model)
    images, split = pictures_of(run_name(version))
    rows = split.indices("test")
    with tempfile.TemporaryDirectory(prefix="skin-lesion-") as folder:
        bundle = open_bundle(str(version.version), Path(folder))
        pixels = np.asarray(images.open()[rows])
        exact, rough = (judge_in(bundle, pixels, name) for name in ("float32", "bfloat16"))
        change = change_between(bundle, exact, rough)
        table = split.rows.iloc[rows].reset_index(drop=True)
        figures = {
            name: figures_of(bundle, table, judged)
            for name, judged in (("float32", exact), ("bfloat16", rough))
        }
    broken = fails(figures["bfloat16"], GateConfig())
    result = {
        "what": "answers in bfloat16 beside those in float32, on the model's test pictures",
        "bundle_hash": version.bundle_hash,
        "synthetic_only": bundle.contract.synthetic_only,
        "machine": processor(),
        "change": change.model_dump(),
        "figures": figures,
        "gates_failed_in_bfloat16": broken,
        "gates_failed_in_float32": fails(figures["float32"], GateConfig()),
    }
    RESULT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))
    return int(bool(set(broken) - set(result["gates_failed_in_float32"])))


def figures_of(bundle: ModelBundle, table: object, judged: Judged) -> dict[str, float]:
    """The figures that the gates go by, and sensitivity at the operating point of melanoma."""
    sample = Sample(table, judged.logits, judged.probabilities, judged.features)
    found = measured(
        sample, Resamples.original(sample.groups), bins=EvaluateConfig().calibration_bins
    ).point
    point = bundle.contract.decisions.operating_point("melanoma_sensitivity_95")
    melanoma = (sample.rows["dx"] == "mel").to_numpy()
    return {name: round(found[name], 5) for name in SHOWN} | {
        "melanoma_sensitivity": round(
            float(point.positive(judged.probabilities)[melanoma].mean()), 5
        )
    }


def fails(figures: dict[str, float], limits: GateConfig) -> list[str]:
    """Names of the figures that miss the least that the gates want."""
    least = {
        "macro_f1": limits.min_macro_f1,
        "balanced_accuracy": limits.min_balanced_accuracy,
        "melanoma_auc": limits.min_melanoma_auc,
        "melanoma_sensitivity": limits.min_melanoma_sensitivity,
    }
    missed = [name for name, limit in least.items() if not figures[name] >= limit]
    return missed if figures["ece"] <= limits.max_ece else [*missed, "ece"]


if __name__ == "__main__":
    sys.exit(main())
