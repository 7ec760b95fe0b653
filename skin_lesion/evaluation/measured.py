"""Every figure of a sample, and its value in each resample, by one set of formulas.

The sample itself is the resample that holds each image once, so a figure and its interval cannot
differ in what they measure. A mean over classes is over the classes that the sample holds; in a
resample that lacks one of them it is another figure, and so is undefined there (NaN), unless two
models are compared: on the same resample both means are over the same classes, and can be.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from skin_lesion.decisions import Target, target_score, target_truth
from skin_lesion.evaluation.calibration import equal_mass_bins, image_brier, image_nll
from skin_lesion.evaluation.figures import Estimate
from skin_lesion.evaluation.ranking import Ranking
from skin_lesion.evaluation.resampling import (
    Resamples,
    Values,
    estimate,
    summed_distance,
)
from skin_lesion.evaluation.sample import Sample
from skin_lesion.labels import LABELS, NUM_CLASSES

TARGETS: tuple[Target, ...] = get_args(Target)
# Specificities and sensitivities that the other one is read off at, in per cent.
READ_AT = (90, 95)
# Lower is better; of all other figures higher is.
ERRORS = frozenset({"brier", "nll", "ece"})


@dataclass(frozen=True)
class Measured:
    """Figures of one sample by name, such as `macro_f1` or `per_class.mel.recall`.

    Attributes:
        point: On the sample itself; NaN where not defined.
        resampled: In each resample, shape (B,); NaN where not defined.
        share_of: Of figures that are a share of images: the number of lesions of these images.
        ece: The calibration error, which needs more than its resampled values for its interval.
    """

    point: dict[str, float]
    resampled: dict[str, Values]
    share_of: dict[str, int]
    ece: Estimate

    def estimate(self, name: str) -> Estimate:
        """A figure with its 95 % interval."""
        point, resampled = self.point[name], self.resampled[name]
        if name == "ece":
            return self.ece
        return estimate(point, resampled, lesions=self.share_of.get(name))


def measured(
    sample: Sample, resamples: Resamples, *, bins: int, over_held: bool = False
) -> Measured:
    """Measure a sample and all its resamples.

    Args:
        sample: N images, at least one.
        resamples: B resamples of them.
        bins: Equal-mass bins of the calibration error. The bins are those of the sample in every
            resample.
        over_held: Means over classes are over the classes that each resample holds; to be used for
            differences of two models on the same resamples alone.

    Raises:
        ValueError: There are no images, or the resamples are of another number of images.
    """
    if not len(sample):
        raise ValueError("the sample holds no images; expected at least one")
    if resamples.weights.shape[1] != len(sample):
        raise ValueError(
            f"the resamples are of {resamples.weights.shape[1]} images and the sample holds "
            f"{len(sample)}; draw them from the groups of this sample"
        )
    original = Resamples.original(sample.groups)
    return Measured(
        point={name: float(values[0]) for name, values in _figures(sample, original, bins)},
        resampled=dict(_figures(sample, resamples, bins, over_held)),
        share_of={name: len(np.unique(sample.groups[of])) for name, of in _shares(sample)},
        ece=summed_distance(
            _bin_excess(sample, original, bins)[0], _bin_excess(sample, resamples, bins)
        ),
    )


def ranking(sample: Sample, resamples: Resamples, target: Target) -> Ranking:
    """The images of each resample ranked by the probability of the target."""
    return Ranking.of(
        resamples.weights,
        target_truth(sample.truth, target),
        target_score(sample.probabilities, target),
    )


def _figures(
    sample: Sample, resamples: Resamples, bins: int, over_held: bool = False
) -> Iterator[tuple[str, Values]]:
    over_classes = _mean_over_held if over_held else _mean_over_all
    yield from _of_answers(sample, resamples, over_classes)
    yield from _of_class_rankings(sample, resamples, over_classes)
    yield from _of_probabilities(sample, resamples, bins)
    for target in TARGETS:
        ranked = ranking(sample, resamples, target)
        yield f"{target}_auc", ranked.aucs()
        yield f"{target}.average_precision", ranked.average_precisions()
        for per_cent in READ_AT:
            goal = per_cent / 100
            yield (
                f"{target}.sensitivity_at_specificity_{per_cent}",
                ranked.sensitivities_at_specificity(goal),
            )
            yield (
                f"{target}.specificity_at_sensitivity_{per_cent}",
                ranked.specificities_at_sensitivity(goal),
            )


def confusions(sample: Sample, resamples: Resamples) -> Values:
    """Images by true class (rows) and predicted class (columns) of each resample, (B, 7, 7)."""
    cells = np.eye(NUM_CLASSES**2, dtype=np.float32)[sample.truth * NUM_CLASSES + sample.predicted]
    shape = (-1, NUM_CLASSES, NUM_CLASSES)
    counts: Values = (resamples.weights @ cells).astype(np.float64).reshape(shape)
    return counts


def _mean_over_all(values: Values) -> Values:
    """Mean over classes, shape (B, classes) to (B,); NaN where a class has none."""
    mean: Values = values.mean(axis=1)
    return mean


def _mean_over_held(values: Values) -> Values:
    """Mean over the classes that have a value, shape (B, classes) to (B,); NaN where none has."""
    known = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        mean: Values = np.where(known, values, 0.0).sum(axis=1) / known.sum(axis=1)
    return mean


def _of_answers(
    sample: Sample, resamples: Resamples, over_classes: Callable[[Values], Values]
) -> Iterator[tuple[str, Values]]:
    """What follows from the predicted classes alone."""
    confusion = confusions(sample, resamples)
    n, called = confusion.sum(axis=2), confusion.sum(axis=1)
    hits = np.diagonal(confusion, axis1=1, axis2=2)
    total = n.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        recall = hits / n
        # As everywhere: 0 where the class was never called, undefined where it does not occur.
        precision = np.where(n > 0, hits / np.maximum(called, 1), np.nan)
        f1 = np.where(n > 0, 2 * hits / (called + n), np.nan)
        accuracy = hits.sum(axis=1) / total
        by_chance = (n * called).sum(axis=1) / total**2
        kappa = (accuracy - by_chance) / (1 - by_chance)
    present = sample.class_counts > 0
    yield "accuracy", accuracy
    yield "balanced_accuracy", over_classes(recall[:, present])
    yield "macro_f1", over_classes(f1[:, present])
    yield "weighted_f1", (np.nan_to_num(f1) * n).sum(axis=1) / total
    yield "kappa", kappa
    for index, label in enumerate(LABELS):
        yield f"per_class.{label}.precision", precision[:, index]
        yield f"per_class.{label}.recall", recall[:, index]
        yield f"per_class.{label}.f1", f1[:, index]


def _of_class_rankings(
    sample: Sample, resamples: Resamples, over_classes: Callable[[Values], Values]
) -> Iterator[tuple[str, Values]]:
    """What follows from the order of each class's probability."""
    ranked = [
        Ranking.of(resamples.weights, sample.truth == index, sample.probabilities[:, index])
        for index in range(NUM_CLASSES)
    ]
    counts = sample.class_counts
    both_kinds = (counts > 0) & (counts < len(sample))
    for figure, columns, counted in (
        ("auc", [one.aucs() for one in ranked], both_kinds),
        ("average_precision", [one.average_precisions() for one in ranked], counts > 0),
    ):
        values = np.stack(columns, axis=1)
        for index, label in enumerate(LABELS):
            yield f"per_class.{label}.{figure}", values[:, index]
        undefined = np.full(len(values), np.nan)
        yield f"macro_{figure}", over_classes(values[:, counted]) if counted.any() else undefined


def _of_probabilities(
    sample: Sample, resamples: Resamples, bins: int
) -> Iterator[tuple[str, Values]]:
    """How far the probabilities can be believed."""
    truth, probabilities = sample.truth, sample.probabilities
    yield "brier", resamples.means(image_brier(probabilities, truth))
    yield "nll", resamples.means(image_nll(probabilities, truth))
    yield "ece", np.abs(_bin_excess(sample, resamples, bins)).sum(axis=1)


def _bin_excess(sample: Sample, resamples: Resamples, bins: int) -> Values:
    """Each bin's part of the mean of accuracy less confidence over all images, shape (B, bins).

    The bins are those of the sample itself: its top probabilities, equally many in each.
    """
    confidence = sample.probabilities.max(axis=1)
    members = np.eye(bins)[equal_mass_bins(confidence, bins)]
    excess = (sample.predicted == sample.truth) - confidence
    summed: Values = resamples.weights @ (members * excess[:, None])
    return summed / resamples.sums(np.ones(len(sample), bool))[:, None]


def _shares(sample: Sample) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Of each figure that is a share of images: of which ones."""
    yield "accuracy", np.ones(len(sample), bool)
    for index, label in enumerate(LABELS):
        yield f"per_class.{label}.recall", sample.truth == index
        yield f"per_class.{label}.precision", sample.predicted == index
    for target in TARGETS:
        positive = target_truth(sample.truth, target)
        for per_cent in READ_AT:
            yield f"{target}.sensitivity_at_specificity_{per_cent}", positive
            yield f"{target}.specificity_at_sensitivity_{per_cent}", ~positive
