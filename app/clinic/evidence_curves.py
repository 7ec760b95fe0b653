"""Curves of a model's test lesions, each lesion counting once by its first picture."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from skin_lesion.decisions import malignant_probability, target_truth
from skin_lesion.evaluation.calibration import equal_mass_bins
from skin_lesion.evaluation.proportions import Values, wilson_ends
from skin_lesion.evaluation.ranking import Ranking
from skin_lesion.evaluation.resampling import CONFIDENCE, Resamples
from skin_lesion.evaluation.sample import Sample
from skin_lesion.labels import LABEL_INDEX, NUM_CLASSES

Believed = Literal["top", "malignant", "melanoma"]
# Enough steps for a curve over a thousand lesions; the band is smooth and needs fewer.
_STEPS, _BAND_STEPS = 101, 51


@dataclass(frozen=True)
class RocCurve:
    """Sensitivity over specificity, of one class against the rest.

    Attributes:
        specificity: From 0 to 1, shape (S,).
        sensitivity: At each, shape (S,).
    """

    specificity: Values = field(repr=False)
    sensitivity: Values = field(repr=False)


@dataclass(frozen=True)
class RocBand:
    """Where the sensitivity lies in 95 % of the resampled sets of lesions.

    Attributes:
        specificity: From 0 to 1, shape (S,).
        low: Lower end at each.
        high: Upper end at each.
    """

    specificity: Values = field(repr=False)
    low: Values = field(repr=False)
    high: Values = field(repr=False)


@dataclass(frozen=True)
class ReliabilityBin:
    """Lesions that were given about the same probability.

    Attributes:
        said: Mean probability that was given.
        seen: Share in which it came true.
        ci_low: Lower end of Wilson's 95 % interval of that share.
        ci_high: Upper end.
        lesions: How many lesions.
    """

    said: float
    seen: float
    ci_low: float
    ci_high: float
    lesions: int


def roc(sample: Sample, label: str) -> RocCurve | None:
    """The curve of a class; None where the sample holds only lesions of it, or none.

    Args:
        sample: One picture of each lesion.
        label: Code of the class.
    """
    index = LABEL_INDEX[label]
    if not 0 < sample.class_counts[index] < len(sample):
        return None
    steps = np.linspace(0, 1, _STEPS)
    ones = np.ones((1, len(sample)), np.float32)
    return RocCurve(steps, _ranking(sample, ones, index).sensitivities_at(steps)[0])


def roc_band(sample: Sample, label: str, *, count: int, seed: int) -> RocBand | None:
    """The 95 % band of a class's curve from resampled lesions; None as for `roc`.

    Args:
        sample: One picture of each lesion.
        label: Code of the class.
        count: Number of resamples.
        seed: Of the lesions drawn.
    """
    index = LABEL_INDEX[label]
    if not 0 < sample.class_counts[index] < len(sample):
        return None
    resamples = Resamples.over_lesions(sample.groups, count, seed)
    steps = np.linspace(0, 1, _BAND_STEPS)
    tail = (1 - CONFIDENCE) / 2
    drawn = _ranking(sample, resamples.weights, index).sensitivities_at(steps)
    low, high = np.nanquantile(drawn, [tail, 1 - tail], axis=0)
    return RocBand(steps, low, high)


def reliability(sample: Sample, believed: Believed, bins: int) -> tuple[ReliabilityBin, ...]:
    """What was said against what came true, in bins of about equally many lesions.

    Args:
        sample: One picture of each lesion.
        believed: Which probability: of the answer that was given, of any malignant class, or of
            melanoma.
        bins: Number of bins; fewer where many lesions got the same probability.
    """
    probabilities, truth = sample.probabilities, sample.truth
    if believed == "top":
        score, event = probabilities.max(axis=1), sample.predicted == truth
    elif believed == "malignant":
        score, event = malignant_probability(probabilities), target_truth(truth, "malignant")
    else:
        score, event = probabilities[:, LABEL_INDEX["mel"]], target_truth(truth, "melanoma")
    members = equal_mass_bins(score, bins)
    count = np.bincount(members)
    hits = np.bincount(members, event).astype(np.float64)
    low, high = wilson_ends(hits, count.astype(np.float64))
    said = np.bincount(members, score)
    return tuple(
        ReliabilityBin(
            float(said[one] / count[one]),
            float(hits[one] / count[one]),
            float(low[one]),
            float(high[one]),
            int(count[one]),
        )
        for one in np.flatnonzero(count)
    )


def confusion(sample: Sample) -> NDArray[np.int64]:
    """Lesions by true class (rows) and predicted class (columns), shape (7, 7)."""
    counts = np.zeros((NUM_CLASSES, NUM_CLASSES), np.int64)
    np.add.at(counts, (sample.truth, sample.predicted), 1)
    return counts


def _ranking(sample: Sample, weights: NDArray[np.float32], index: int) -> Ranking:
    return Ranking.of(weights, sample.truth == index, sample.probabilities[:, index])
