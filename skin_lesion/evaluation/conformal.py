"""Prediction sets with a coverage promised for every class by itself.

Class-conditional split conformal prediction with the score 1 - probability of the true class (Vovk,
"Conditional validity of inductive conformal predictors", ACML 2012; Sadinle, Lei and Wasserman,
"Least ambiguous set-valued classifiers with bounded error levels", J. Am. Stat. Assoc. 114, 2019).
One threshold for all classes would keep its promise on average by missing the rare, dangerous ones.

MAPIE is not used: its version 1 removed the class for such partitions (`MondrianCP`; migration
guide, "MondrianCP class suppression"), wraps estimators rather than probabilities at hand, and has
no notion of several images of one lesion. What is needed is one order statistic for each class.
"""

import math

import numpy as np
from numpy.typing import NDArray

from skin_lesion.decisions import PredictionSets, Probabilities
from skin_lesion.evaluation.figures import Estimate, Figures
from skin_lesion.evaluation.resampling import Resamples, estimate, share
from skin_lesion.evaluation.sample import Sample
from skin_lesion.labels import LABELS, NUM_CLASSES

CAVEAT = (
    "The coverage is promised for new lesions drawn like those of validation. It does not survive a "
    "change of population, device, lighting or skin type, nor classes that the model does not know. "
    "It holds on average over validation sets, class by class, and only for the classes marked as "
    "supported; the others are in every set because validation has too few of their lesions to "
    "leave them out. The weights and the calibrator were chosen on validation too, so that coverage "
    "on new lesions may fall a little short. A set is a differential, not a diagnosis."
)


class ClassCoverage(Figures):
    """The sets of one class's images.

    Attributes:
        n_images: Images of the class.
        n_lesions: Lesion groups with such an image.
        supported: Whether a coverage was promised; if not, the class is in every set.
        coverage: Share of the class's images whose set holds the class; None without images.
        lesion_coverage: Share of its lesions of which every image's set holds the class: what was
            promised.
        mean_size: Mean number of classes in the sets of its images.
        in_sets: Share of all images, of whatever class, whose set holds this class.
    """

    n_images: int
    n_lesions: int
    supported: bool
    coverage: Estimate
    lesion_coverage: Estimate
    mean_size: Estimate
    in_sets: Estimate


class CoverageFigures(Figures):
    """What the prediction sets are worth on a sample.

    Attributes:
        promised: Share of lesions that sets were made to cover in each supported class.
        n_images: Number of images.
        n_lesions: Number of lesion groups.
        coverage: Share of all images whose set holds the true class.
        coverage_as_found: The same before the top class was put into empty sets.
        mean_size: Mean number of classes in a set.
        sizes: Share of the sets with 1, 2, ... 7 classes.
        single: Share of the sets with one class.
        single_right: Share of these whose class is the true one; None where there are none.
        found_empty: Share of the sets that were empty before the top class was put in.
        per_class: By class code.
        caveat: What the promise does not hold for.
    """

    promised: float
    n_images: int
    n_lesions: int
    coverage: Estimate
    coverage_as_found: float
    mean_size: Estimate
    sizes: tuple[float, ...]
    single: Estimate
    single_right: Estimate
    found_empty: Estimate
    per_class: dict[str, ClassCoverage]
    caveat: str = CAVEAT


def fit_prediction_sets(
    probabilities: Probabilities,
    truth: NDArray[np.int64],
    groups: NDArray[np.int64],
    *,
    error: float,
) -> PredictionSets:
    """Thresholds with which sets miss a class in at most a share `error` of its new lesions.

    Images of one lesion are not exchangeable with those of others, lesions are. So each lesion
    gives one score, that of its worst image: the promise is then that the sets of all images of a
    new lesion hold its class, however alike they are. The mean would promise nothing of any image,
    and the first image only something of first images. It makes the sets of lesions with a single
    image a little wider than they need be.

    The threshold is the ceil((n + 1) (1 - error))-th smallest of a class's n scores. Below
    1 / error - 1 lesions there is none that high: the class is unsupported and in every set.

    Args:
        probabilities: Of validation, each image by a calibrator fitted without its lesion, shape
            (N, 7).
        truth: Index of the true class, shape (N,).
        groups: Number of the lesion group of each image, shape (N,).
        error: Share of the lesions of a class that may be missed, above 0 and below 1.
    """
    scores = 1.0 - probabilities[np.arange(len(truth)), truth]
    thresholds = [
        _threshold(_worst(scores[truth == index], groups[truth == index]), error)
        for index in range(NUM_CLASSES)
    ]
    return PredictionSets(
        error=error,
        thresholds=tuple(1.0 if threshold is None else threshold for threshold in thresholds),
        supported=tuple(threshold is not None for threshold in thresholds),
    )


def never_empty(sets: PredictionSets, probabilities: Probabilities) -> NDArray[np.bool_]:
    """Which classes are in the set of each picture, the top class in those found empty, (N, 7).

    No class passing its threshold says that the picture is unlike the lesions of any class, and not
    that it shows none; an empty differential would be read so. Adding a class can only raise
    coverage, so the promise stands.

    Args:
        sets: Fitted thresholds.
        probabilities: Shape (N, 7).
    """
    found = _found(sets, probabilities)
    top = np.eye(NUM_CLASSES, dtype=bool)[probabilities.argmax(axis=1)]
    filled: NDArray[np.bool_] = np.where(found.any(axis=1, keepdims=True), found, top)
    return filled


def coverage(sample: Sample, sets: PredictionSets, resamples: Resamples) -> CoverageFigures:
    """Measure how often the sets hold the true class, and how large they are.

    Args:
        sample: N images, not empty; other ones than the sets were fitted on.
        sets: Frozen thresholds.
        resamples: Of the same images.
    """
    found = _found(sets, sample.probabilities)
    members = never_empty(sets, sample.probabilities)
    rows, truth = np.arange(len(sample)), sample.truth
    covered: NDArray[np.bool_] = members[rows, truth]
    size = np.asarray(members.sum(axis=1), dtype=np.int64)
    single = size == 1
    return CoverageFigures(
        promised=1 - sets.error,
        n_images=len(sample),
        n_lesions=len(np.unique(sample.groups)),
        coverage=share(resamples, covered),
        coverage_as_found=float(found[rows, truth].mean()),
        mean_size=_mean(resamples, size, np.ones(len(sample), bool)),
        sizes=tuple((np.bincount(size, minlength=NUM_CLASSES + 1)[1:] / len(sample)).tolist()),
        single=share(resamples, single),
        single_right=share(resamples, covered, single),
        found_empty=share(resamples, found.sum(axis=1) == 0),
        per_class={
            label: _one_class(sample, sets.supported[index], resamples, members, index)
            for index, label in enumerate(LABELS)
        },
    )


def _one_class(
    sample: Sample,
    supported: bool,
    resamples: Resamples,
    members: NDArray[np.bool_],
    index: int,
) -> ClassCoverage:
    of_class, inside = sample.truth == index, members[:, index]
    # A lesion counts once, by its first image of the class.
    first = np.zeros(len(sample), bool)
    first[_first_of_each(sample.groups, of_class)] = True
    missed = np.unique(sample.groups[of_class & ~inside])
    return ClassCoverage(
        n_images=int(of_class.sum()),
        n_lesions=int(first.sum()),
        supported=supported,
        coverage=share(resamples, inside, of_class),
        lesion_coverage=share(resamples, ~np.isin(sample.groups, missed), first),
        mean_size=_mean(resamples, members.sum(axis=1), of_class),
        in_sets=share(resamples, inside),
    )


def _found(sets: PredictionSets, probabilities: Probabilities) -> NDArray[np.bool_]:
    """The classes that pass their own threshold, shape (N, 7)."""
    found: NDArray[np.bool_] = 1.0 - probabilities <= np.asarray(sets.thresholds)
    return found


def _worst(scores: NDArray[np.float64], groups: NDArray[np.int64]) -> NDArray[np.float64]:
    """Highest score of each lesion."""
    lesions, member = np.unique(groups, return_inverse=True)
    worst = np.zeros(len(lesions))
    np.maximum.at(worst, member, scores)
    return worst


def _threshold(scores: NDArray[np.float64], error: float) -> float | None:
    # Without the hair, (n + 1) (1 - error) may come out above the whole number that it is.
    rank = math.ceil((len(scores) + 1) * (1 - error) - 1e-9)
    return float(np.sort(scores)[rank - 1]) if rank <= len(scores) else None


def _first_of_each(groups: NDArray[np.int64], of: NDArray[np.bool_]) -> NDArray[np.int64]:
    chosen = np.flatnonzero(of)
    return np.asarray(chosen[np.unique(groups[chosen], return_index=True)[1]], dtype=np.int64)


def _mean(resamples: Resamples, values: NDArray[np.int64], of: NDArray[np.bool_]) -> Estimate:
    value = float(values[of].mean()) if of.any() else None
    return estimate(value, resamples.means(values, of))
