"""The figures of one split as they stand in `evaluation/report.json`."""

import math

import numpy as np
from numpy.typing import NDArray

from skin_lesion.decisions import Calibrator
from skin_lesion.evaluation.figures import Interval
from skin_lesion.evaluation.measured import Measured, confusions, measured
from skin_lesion.evaluation.resampling import Resamples
from skin_lesion.evaluation.sample import Sample
from skin_lesion.evaluation.summary import ClassFigures, Purpose, SplitFigures
from skin_lesion.labels import LABELS


def confusion_counts(sample: Sample) -> NDArray[np.int64]:
    """Number of images by true class (rows) and predicted class (columns), shape (7, 7)."""
    counts = confusions(sample, Resamples.original(sample.groups))[0]
    return np.asarray(np.rint(counts), dtype=np.int64)


def measure(sample: Sample, resamples: Resamples, *, bins: int, purpose: Purpose) -> SplitFigures:
    """Everything that is reported of one split.

    Args:
        sample: N images with calibrated probabilities.
        resamples: Of these images, for the intervals.
        bins: Equal-mass bins of the calibration error.
        purpose: What the split was used for.

    Raises:
        ValueError: The split is empty.
    """
    found = measured(sample, resamples, bins=bins)
    before = measured(
        sample.calibrated(Calibrator()), Resamples.original(sample.groups), bins=bins
    ).point
    support = sample.class_counts
    intervals = {name: _interval(found, name) for name in found.point}
    return SplitFigures(
        purpose=purpose,
        n_images=len(sample),
        n_lesions=sample.rows["lesion_id"].nunique(),
        accuracy=found.point["accuracy"],
        balanced_accuracy=found.point["balanced_accuracy"],
        macro_f1=found.point["macro_f1"],
        weighted_f1=found.point["weighted_f1"],
        macro_auc=_known(found, "macro_auc"),
        melanoma_auc=_known(found, "melanoma_auc"),
        malignant_auc=_known(found, "malignant_auc"),
        ece=found.point["ece"],
        ece_uncalibrated=before["ece"],
        nll=found.point["nll"],
        nll_uncalibrated=before["nll"],
        brier=found.point["brier"],
        brier_uncalibrated=before["brier"],
        per_class={
            label: ClassFigures(
                **{name: _known(found, f"per_class.{label}.{name}") for name in _OF_CLASS},
                n=int(n),
            )
            for label, n in zip(LABELS, support, strict=True)
        },
        absent_classes=tuple(LABELS[i] for i in np.flatnonzero(support == 0)),
        confusion=tuple(tuple(row) for row in confusion_counts(sample).tolist()),
        intervals={name: ends for name, ends in intervals.items() if ends is not None},
    )


_OF_CLASS = ("precision", "recall", "f1", "auc")


def _known(found: Measured, name: str) -> float | None:
    value = found.point[name]
    return None if math.isnan(value) else value


def _interval(found: Measured, name: str) -> Interval | None:
    ends = found.estimate(name)
    if ends.ci_low is None or ends.ci_high is None:
        return None
    return Interval(ci_low=ends.ci_low, ci_high=ends.ci_high)
