"""What a registered model's answers lose when it computes in bfloat16, on its own test pictures.

    python benchmarks/precision.py --model champion

The answers in both precisions are held against each other, and the figures of both against the
gates that the model had to pass in float32. bfloat16 is fit for use where they still hold. Forward
passes of both precisions are timed in turn, in one process.
"""

import argparse
import functools
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np
from latency import compared, in_turn
from root import ROOT

from skin_lesion.checkout import processor
from skin_lesion.data.looking import Purpose, look_at_test
from skin_lesion.evaluation.comparison import compare
from skin_lesion.evaluation.measured import measured
from skin_lesion.evaluation.resampling import Resamples
from skin_lesion.evaluation.sample import Sample
from skin_lesion.ledger import environments_ledger
from skin_lesion.modeling.bundle import ModelBundle
from skin_lesion.precision import change_between, judge_in
from skin_lesion.serving_model import ServingModel, has_bfloat16
from skin_lesion.settings import EvaluateConfig, GateConfig, RegistryConfig

RESULT = ROOT / "benchmarks" / "results" / "precision.json"
BATCHES = (1, 16)
SHOWN = ("macro_f1", "balanced_accuracy", "melanoma_auc", "ece")


def main() -> int:
    """Run the command line; returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="champion", help="version or alias (%(default)s)")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--repetitions", type=int, default=15, help="passes a side and round")
    arguments = parser.parse_args()
    if not has_bfloat16():
        print("skipped: this processor does not compute in bfloat16")
        return 0
    from pipelines.verification import pictures_of
    from skin_lesion.registry import find_version, open_bundle, run_name
    from skin_lesion.registry.measurements import looked_at

    version = find_version(arguments.model)
    images, split = pictures_of(run_name(version))
    purpose = Purpose("benchmarks/precision.py", "what bfloat16 changes of answers and figures")
    rows = look_at_test(split, environments_ledger(), looked_at(version), purpose).rows
    with tempfile.TemporaryDirectory(prefix="skin-lesion-") as folder:
        bundle = open_bundle(str(version.version), Path(folder))
        pixels = np.asarray(images.open()[rows])
        exact, rough = (judge_in(bundle, pixels, name) for name in ("float32", "bfloat16"))
        change = change_between(bundle, exact, rough)
        table = split.rows.iloc[rows].reset_index(drop=True)
        samples = {
            name: Sample(table, judged.logits, judged.probabilities, judged.features)
            for name, judged in (("float32", exact), ("bfloat16", rough))
        }
        figures = {name: figures_of(bundle, sample) for name, sample in samples.items()}
        times = timed(bundle, pixels, arguments.rounds, arguments.repetitions)
    broken = fails(figures["bfloat16"], GateConfig())
    result = {
        "what": "answers in bfloat16 beside those in float32, on the model's test pictures",
        "bundle_hash": version.bundle_hash,
        "synthetic_only": bundle.contract.synthetic_only,
        "machine": processor(),
        "load_average": [round(load, 1) for load in os.getloadavg()],
        "forward_pass": times,
        "change": change.model_dump(),
        "figures": figures,
        "differences": differences(samples["float32"], samples["bfloat16"]),
        "gates_failed_in_bfloat16": broken,
        "gates_failed_in_float32": fails(figures["float32"], GateConfig()),
    }
    RESULT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))
    return int(bool(set(broken) - set(result["gates_failed_in_float32"])))


def timed(bundle: ModelBundle, pixels: np.ndarray, rounds: int, repetitions: int) -> dict:
    """Time of a forward pass in bfloat16 against one in float32, by the number of its pictures."""
    models = {name: ServingModel.load(bundle, precision=name) for name in ("float32", "bfloat16")}
    found = {}
    for size in BATCHES:
        shown = pixels[:size]
        taken_by = {
            name: functools.partial(model.run, shown, size) for name, model in models.items()
        }
        in_turn(taken_by, 1, 3)  # warms them
        medians = in_turn(taken_by, rounds, repetitions)
        found[f"pictures_{size}"] = {
            "milliseconds": {
                name: {kind: round(statistics.median(of), 2) for kind, of in kinds.items()}
                for name, kinds in medians.items()
            },
            **compared(medians, "bfloat16", "float32"),
        }
    return found


def differences(exact: Sample, rough: Sample) -> dict[str, dict]:
    """What bfloat16 adds to each figure, with its 95 % interval over the same resampled lesions."""
    found = compare(
        exact,
        rough,
        count=RegistryConfig().resamples,
        seed=RegistryConfig().seed,
        bins=EvaluateConfig().calibration_bins,
    )
    return {
        name: {
            part: None if value is None else round(value, 5)
            for part, value in found.figures[name].difference.model_dump().items()
        }
        for name in SHOWN
    }


def figures_of(bundle: ModelBundle, sample: Sample) -> dict[str, float]:
    """The figures that the gates go by, and sensitivity at the operating point of melanoma."""
    found = measured(
        sample, Resamples.original(sample.groups), bins=EvaluateConfig().calibration_bins
    ).point
    point = bundle.contract.decisions.operating_point("melanoma_sensitivity_95")
    melanoma = (sample.rows["dx"] == "mel").to_numpy()
    return {name: round(found[name], 5) for name in SHOWN} | {
        "melanoma_sensitivity": round(
            float(point.positive(sample.probabilities)[melanoma].mean()), 5
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
