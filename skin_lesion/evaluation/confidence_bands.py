"""Confidence bands: how sure the model is, and how often it is right when it says so.

How sure says nothing about how dangerous: a melanoma that is surely called a naevus is in the high
band. So each band also says how many of its melanomas were called something else.
"""

import numpy as np
from numpy.typing import NDArray

from skin_lesion.decisions import Confidence, ConfidenceCutoffs, Probabilities
from skin_lesion.evaluation.figures import Estimate, Figures
from skin_lesion.evaluation.proportions import (
    Groups,
    Values,
    cut_points,
    lesion_weights,
    sums_above,
    wilson_ends,
)
from skin_lesion.evaluation.resampling import Resamples, share
from skin_lesion.evaluation.sample import Sample
from skin_lesion.labels import MALIGNANT_INDICES, MELANOMA_INDEX

BANDS: tuple[Confidence, ...] = ("high", "medium", "low")


class ConfidenceBand(Figures):
    """The images of one band. A share is None where there is nothing that it could be of.

    Attributes:
        name: Of the band.
        n_images: Images in it.
        n_lesions: Lesions with an image in it.
        n_melanomas: Images of melanoma in it.
        share: Share of all images that are in it.
        accuracy: Share of its images that were called right.
        melanoma_missed: Share of its melanomas that were called something else.
        melanoma_called_benign: Share of its melanomas that were called a benign class.
    """

    name: Confidence
    n_images: int
    n_lesions: int
    n_melanomas: int
    share: Estimate
    accuracy: Estimate
    melanoma_missed: Estimate
    melanoma_called_benign: Estimate


class BandFigures(Figures):
    """The accuracy that each band really has.

    Attributes:
        cutoffs: As frozen.
        bands: From high to low.
    """

    cutoffs: ConfidenceCutoffs
    bands: tuple[ConfidenceBand, ...]


def choose_confidence_cutoffs(
    probabilities: Probabilities,
    truth: NDArray[np.int64],
    groups: Groups,
    *,
    high_accuracy: float,
    medium_accuracy: float,
) -> ConfidenceCutoffs:
    """Find the bands on validation.

    `high` is the lowest cut-off above which the lower end of Wilson's 95 % interval of the accuracy
    reaches the goal; the counts are of lesions, the images of one sharing weight 1. `medium` is the
    lowest cut-off for which the images from there up to `high` do the same for its goal: taken with
    the high band they would hide behind it. Where no cut-off reaches the high goal, `high` is 1,
    which only certainty reaches; where none reaches the medium one, the medium band is empty.

    Args:
        probabilities: Cross-fitted calibrated ones of validation, shape (N, 7).
        truth: Index of the true class, shape (N,).
        groups: Number of the lesion group of each image, from 0, shape (N,).
        high_accuracy: Goal of the high band, 0 to 1.
        medium_accuracy: Goal of the medium band, 0 to 1, at most `high_accuracy`.

    Raises:
        ValueError: No images, lengths that differ, or goals out of order.
    """
    if not 0 < len(probabilities) == len(truth) == len(groups):
        raise ValueError(
            f"{len(probabilities)} rows of probabilities, {len(truth)} true classes and "
            f"{len(groups)} groups; expected one of each for every image, and at least one image"
        )
    if not 0 < medium_accuracy <= high_accuracy < 1:
        raise ValueError(
            f"the goals are {high_accuracy:g} for high and {medium_accuracy:g} for medium; expected "
            "0 < medium <= high < 1"
        )
    top = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == truth
    weights = lesion_weights(groups)
    high = _lowest(top, right * weights, weights, high_accuracy)
    below = top < high
    medium = _lowest(top[below], (right * weights)[below], weights[below], medium_accuracy)
    return ConfidenceCutoffs(high=high, medium=min(medium, high))


def confidence_bands(
    sample: Sample, cutoffs: ConfidenceCutoffs, resamples: Resamples
) -> BandFigures:
    """Measure the frozen bands on other images.

    Args:
        sample: N images.
        cutoffs: As frozen.
        resamples: Of the same images.
    """
    band_of = np.array([cutoffs.band(top) for top in sample.probabilities.max(axis=1)])
    right = sample.predicted == sample.truth
    melanoma = sample.truth == MELANOMA_INDEX
    benign_answer = ~np.isin(sample.predicted, MALIGNANT_INDICES)
    bands = []
    for name in BANDS:
        inside = band_of == name
        melanomas = inside & melanoma
        bands.append(
            ConfidenceBand(
                name=name,
                n_images=int(inside.sum()),
                n_lesions=len(np.unique(sample.groups[inside])),
                n_melanomas=int(melanomas.sum()),
                share=share(resamples, inside),
                accuracy=share(resamples, right, inside),
                melanoma_missed=share(resamples, ~right, melanomas),
                melanoma_called_benign=share(resamples, benign_answer, melanomas),
            )
        )
    return BandFigures(cutoffs=cutoffs, bands=tuple(bands))


def _lowest(top: Values, right: Values, weights: Values, goal: float) -> float:
    """The lowest cut-off above which the goal is reached; 1 where there is none."""
    if not len(top):
        return 1.0
    cuts = cut_points(top)
    accuracy = wilson_ends(sums_above(top, cuts, right), sums_above(top, cuts, weights))[0]
    reached = np.flatnonzero(accuracy >= goal)
    return float(cuts[reached[0]]) if len(reached) else 1.0
