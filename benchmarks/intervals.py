"""Intervals by 2,000 resamples at once, against scikit-learn on one resample after the other.

    python benchmarks/intervals.py

Both sides work on the same 1,400 drawn images of 1,050 lesions. Ours gives every figure of the report
with its interval; the loop computes a part of them (accuracy, balanced accuracy, macro F1, the AUC and
average precision of every class) on 20 resamples, and its time is taken times 100. They take turns.
"""

import argparse
import json
import statistics
import time

import numpy as np
import pandas as pd
from root import ROOT
from sklearn import metrics

from skin_lesion.checkout import processor
from skin_lesion.decisions import softmax
from skin_lesion.evaluation.discrimination import discrimination
from skin_lesion.evaluation.resampling import Resamples
from skin_lesion.evaluation.sample import Sample
from skin_lesion.labels import LABELS

BOUND = 0.1
RESULT = ROOT / "benchmarks" / "results" / "intervals.json"
IMAGES, LESIONS, RESAMPLES, LOOPED = 1400, 1050, 2000, 20
SHARES = (0.033, 0.051, 0.11, 0.011, 0.111, 0.67, 0.014)


def drawn(seed: int) -> Sample:
    """Answers of a fairly good model, of as many images of each class as HAM10000 has."""
    random = np.random.default_rng(seed)
    truth = random.choice(7, IMAGES, p=np.array(SHARES) / sum(SHARES))
    logits = (random.normal(0, 1.5, (IMAGES, 7)) + 3 * np.eye(7)[truth]).astype(np.float32)
    lesions = [f"l{i}" for i in random.integers(0, LESIONS, IMAGES)]
    rows = pd.DataFrame(
        {
            "image_id": [f"i{i}" for i in range(IMAGES)],
            "lesion_id": lesions,
            "group": lesions,
            "dx": [LABELS[i] for i in truth],
        }
    )
    return Sample(rows, logits, softmax(logits), np.zeros((IMAGES, 1), np.float32))


def looped(sample: Sample, resamples: Resamples) -> None:
    """A part of the figures by scikit-learn, one resample after the other."""
    truth, answers = sample.truth, sample.predicted
    for weights in resamples.weights[:LOOPED]:
        metrics.accuracy_score(truth, answers, sample_weight=weights)
        metrics.balanced_accuracy_score(truth, answers, sample_weight=weights)
        metrics.f1_score(truth, answers, average="macro", sample_weight=weights, zero_division=0)
        for index in range(7):
            score = sample.probabilities[:, index]
            metrics.roc_auc_score(truth == index, score, sample_weight=weights)
            metrics.average_precision_score(truth == index, score, sample_weight=weights)


def main() -> int:
    """Run the command line; returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    ours: list[float] = []
    loop: list[float] = []
    for seed in range(arguments.rounds):
        sample = drawn(seed)
        resamples = Resamples.over_lesions(sample.groups, RESAMPLES, seed)
        start = time.perf_counter()
        discrimination(sample, resamples, bins=15)
        middle = time.perf_counter()
        looped(sample, resamples)
        ours.append(middle - start)
        loop.append((time.perf_counter() - middle) * RESAMPLES / LOOPED)
    ratios = [a / b for a, b in zip(ours, loop, strict=True)]
    result = {
        "what": "time of all figures with 2,000 resamples / of a part of them by scikit-learn in a loop",
        "images": IMAGES,
        "lesions": LESIONS,
        "resamples": RESAMPLES,
        "machine": processor(),
        "seconds": {
            "ours": [round(value, 2) for value in ours],
            "loop": [round(value, 1) for value in loop],
        },
        "ratios": [round(ratio, 4) for ratio in ratios],
        "median_ratio": round(statistics.median(ratios), 4),
        "bound": BOUND,
    }
    RESULT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(f"{statistics.median(ours):.1f} s against {statistics.median(loop):.0f} s")
    print(f"median ratio {result['median_ratio']}, at most {BOUND} wanted")
    return 0 if result["median_ratio"] <= BOUND else 1


if __name__ == "__main__":
    raise SystemExit(main())
