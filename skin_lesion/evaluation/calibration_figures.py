"""How far the probabilities of a sample can be believed, before calibration and after.

Sources: classwise calibration error: Kull et al., "Beyond temperature scaling", NeurIPS 2019. Parts
of the Brier score: Murphy, "A new vector partition of the probability score", J. Appl. Meteorol.
12, 1973, with the within-bin remainder of Stephenson, Coelho and Jolliffe, Weather Forecast. 23,
2008.
"""

import numpy as np
from numpy.typing import NDArray

from skin_lesion.decisions import Probabilities, malignant_probability, softmax, target_truth
from skin_lesion.evaluation.calibration import equal_mass_bins, image_brier, image_nll
from skin_lesion.evaluation.figures import Estimate, Figures
from skin_lesion.evaluation.resampling import (
    CONFIDENCE,
    Resamples,
    Values,
    estimate,
    interval,
    summed_distance,
    symmetric_estimate,
)
from skin_lesion.evaluation.sample import Sample
from skin_lesion.labels import LABELS, MELANOMA_INDEX, NUM_CLASSES

# Figures of a class with fewer lesions are an indication, whatever their interval says.
INDICATIVE_BELOW = 20


class BrierParts(Figures):
    """The Brier score taken apart, each class against the rest, summed over the classes.

    Brier = reliability - resolution + uncertainty + within_bin.

    Attributes:
        reliability: Squared distance of the probabilities from what came true, bin by bin; what
            calibrating can mend; 0 is best.
        resolution: How far the bins differ in what came true; what the model knows; higher is
            better.
        uncertainty: What always giving each class its share would score.
        within_bin: What binning hides: spread of the probabilities inside the bins, less twice
            their covariance there with what came true. Below 0 where they tell apart inside a bin.
    """

    reliability: float
    resolution: float
    uncertainty: float
    within_bin: float


class ClassCalibration(Figures):
    """One class's probability against how often the class was true.

    Attributes:
        n_images: Images of the class.
        n_lesions: Lesion groups with such an image.
        indicative: Fewer than `INDICATIVE_BELOW` of these.
        ece: Calibration error of this class's probability over all images, 0 to 1.
        ece_by_chance: What a perfectly calibrated model would be expected to show.
        mean_probability: Mean probability given to the class.
        share: Share of the images that are of the class; above it, the class is foretold too often.
    """

    n_images: int
    n_lesions: int
    indicative: bool
    ece: Estimate
    ece_by_chance: float
    mean_probability: float
    share: float


class ReliabilityFigures(Figures):
    """How far one set of probabilities can be believed.

    Calibration errors are taken in equal-mass bins, which are kept for every resample. Noise only
    ever adds to them: beside the overall ones stands what a perfectly calibrated model would be
    expected to show with as many independent images. Images of one lesion are not independent, so
    that is the least.

    Attributes:
        nll: Mean negative log-likelihood in nats.
        brier: Mean squared error summed over the classes, 0 to 2.
        brier_parts: The same taken apart.
        ece: Expected calibration error of the top probability, 0 to 1.
        ece_by_chance: What a perfectly calibrated model would be expected to show.
        mce: Largest calibration error of a bin; the noisiest figure here.
        classwise_ece: Mean over the classes of the calibration error of the class's probability.
        malignant_ece: Calibration error of the summed malignant probability.
        malignant_ece_by_chance: What a perfectly calibrated model would be expected to show.
        accuracy: Share of the images whose most probable class is the true one. Calibration may
            change which class that is; here it shows.
        balanced_accuracy: Mean over the classes that occur of the share found.
        melanoma_recall: Share of the melanomas found.
        per_class: By class code.
    """

    nll: Estimate
    brier: Estimate
    brier_parts: BrierParts
    ece: Estimate
    ece_by_chance: float
    mce: Estimate
    classwise_ece: Estimate
    malignant_ece: Estimate
    malignant_ece_by_chance: float
    accuracy: Estimate
    balanced_accuracy: Estimate
    melanoma_recall: Estimate
    per_class: dict[str, ClassCalibration]


class CalibrationFiguresPair(Figures):
    """The same images before and after calibration.

    Attributes:
        n_images: Number of images.
        n_lesions: Number of lesion groups.
        bins: Equal-mass bins.
        before: Of the plain softmax.
        after: Of the calibrated probabilities.
        nll_change: After less before, on the same lesions; below 0 is better.
        brier_change: The same of the Brier score.
        ece_change: The same of the calibration error.
    """

    n_images: int
    n_lesions: int
    bins: int
    before: ReliabilityFigures
    after: ReliabilityFigures
    nll_change: Estimate
    brier_change: Estimate
    ece_change: Estimate


def calibration_figures(
    sample: Sample, resamples: Resamples, *, bins: int
) -> CalibrationFiguresPair:
    """Measure the plain softmax of a sample's logits and its calibrated probabilities.

    Args:
        sample: N images, not empty; on validation with cross-fitted probabilities, elsewhere with
            those of the frozen calibrator.
        resamples: Of the same images.
        bins: Equal-mass bins.
    """
    # The sample itself goes before its resamples, so that both are computed alike.
    itself = np.ones((1, len(sample)), np.float32)
    weights = np.concatenate([itself, resamples.weights]).astype(np.float64)
    truth, raw, calibrated = sample.truth, softmax(sample.logits), sample.probabilities
    nll = image_nll(calibrated, truth) - image_nll(raw, truth)
    brier = image_brier(calibrated, truth) - image_brier(raw, truth)
    ece = top_errors(weights, calibrated, truth, bins) - top_errors(weights, raw, truth, bins)
    return CalibrationFiguresPair(
        n_images=len(sample),
        n_lesions=len(np.unique(sample.groups)),
        bins=bins,
        before=_measure(raw, sample, weights, bins),
        after=_measure(sample.probabilities, sample, weights, bins),
        nll_change=_of_means(weighted_mean(weights, nll)),
        brier_change=_of_means(weighted_mean(weights, brier)),
        ece_change=symmetric_estimate(ece[0], ece[1:], low=-1.0, high=1.0),
    )


def brier_parts(probabilities: Probabilities, truth: NDArray[np.int64], bins: int) -> BrierParts:
    """Murphy's parts of the Brier score in equal-mass bins of each class's probability.

    Args:
        probabilities: Shape (N, 7).
        truth: Index of the true class, shape (N,).
        bins: Number of bins.
    """
    parts = np.zeros(4)
    for index in range(NUM_CLASSES):
        score, event = probabilities[:, index], (truth == index).astype(np.float64)
        members = equal_mass_bins(score, bins)
        count = np.maximum(np.bincount(members), 1)
        said = (np.bincount(members, score) / count)[members]
        seen = (np.bincount(members, event) / count)[members]
        spread, surprise = score - said, event - seen
        parts += [
            np.mean((said - seen) ** 2),
            np.mean((seen - event.mean()) ** 2),
            event.mean() * (1 - event.mean()),
            np.mean(spread**2 - 2 * spread * surprise),
        ]
    reliability, resolution, uncertainty, within_bin = parts.tolist()
    return BrierParts(
        reliability=reliability,
        resolution=resolution,
        uncertainty=uncertainty,
        within_bin=within_bin,
    )


def error_by_chance(score: NDArray[np.float64], members: NDArray[np.int64]) -> float:
    """Calibration error that a perfectly calibrated score would be expected to show.

    By the normal approximation of each bin's count, for independent images. The idea is that of
    Bröcker and Smith, "Increasing the reliability of reliability diagrams", Weather Forecast. 22,
    2007.

    Args:
        score: Probability, shape (N,).
        members: Bin of each image, shape (N,).
    """
    variance = np.bincount(members, score * (1 - score))
    return float(np.sqrt(2 / np.pi * np.maximum(variance, 0)).sum() / len(score))


def weighted_mean(weights: Values, values: NDArray[np.float64] | NDArray[np.bool_]) -> Values:
    """Mean of a value, shape (N,), under each row of weights, shape (B, N) to (B,)."""
    means: Values = weights @ values / weights.sum(axis=1)
    return means


def top_errors(
    weights: Values, probabilities: Probabilities, truth: NDArray[np.int64], bins: int
) -> Values:
    """Calibration error of the top probability under each row of weights, shape (B,)."""
    top = probabilities.max(axis=1)
    gaps = _gaps(weights, top, probabilities.argmax(axis=1) == truth, equal_mass_bins(top, bins))
    return _errors(weights, gaps)


def _measure(
    probabilities: Probabilities, sample: Sample, weights: Values, bins: int
) -> ReliabilityFigures:
    truth = sample.truth
    top, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    members = equal_mass_bins(top, bins)
    gaps = _gaps(weights, top, right, members)
    malignant = malignant_probability(probabilities)
    of_malignant = equal_mass_bins(malignant, bins)
    malignant_gaps = _gaps(weights, malignant, target_truth(truth, "malignant"), of_malignant)
    of_classes = np.stack([equal_mass_bins(column, bins) for column in probabilities.T])
    class_gaps = [
        _gaps(weights, probabilities[:, i], truth == i, of_classes[i]) for i in range(NUM_CLASSES)
    ]
    recalls = _recalls(weights, truth, right)
    return ReliabilityFigures(
        nll=_of_means(weighted_mean(weights, image_nll(probabilities, truth))),
        brier=_of_means(weighted_mean(weights, image_brier(probabilities, truth))),
        brier_parts=brier_parts(probabilities, truth, bins),
        ece=_of_errors(weights, gaps),
        ece_by_chance=error_by_chance(top, members),
        mce=_of_largest(weights, gaps, members),
        classwise_ece=_of_errors(weights, np.hstack(class_gaps) / NUM_CLASSES),
        malignant_ece=_of_errors(weights, malignant_gaps),
        malignant_ece_by_chance=error_by_chance(malignant, of_malignant),
        accuracy=_of_means(weighted_mean(weights, right)),
        balanced_accuracy=_of_means(recalls[:, sample.class_counts > 0].mean(axis=1)),
        melanoma_recall=_of_means(recalls[:, MELANOMA_INDEX]),
        per_class={
            label: _one_class(
                i, probabilities[:, i], sample, of_classes[i], _of_errors(weights, class_gaps[i])
            )
            for i, label in enumerate(LABELS)
        },
    )


def _recalls(weights: Values, truth: NDArray[np.int64], right: NDArray[np.bool_]) -> Values:
    """Share of each class that is found under each row of weights, NaN without any, (B, 7)."""
    of_class = np.eye(NUM_CLASSES)[truth]
    with np.errstate(invalid="ignore", divide="ignore"):
        recalls: Values = (weights @ (of_class * right[:, None])) / (weights @ of_class)
    return recalls


def _one_class(
    index: int,
    score: NDArray[np.float64],
    sample: Sample,
    members: NDArray[np.int64],
    ece: Estimate,
) -> ClassCalibration:
    of_class = sample.truth == index
    lesions = len(np.unique(sample.groups[of_class]))
    return ClassCalibration(
        n_images=int(of_class.sum()),
        n_lesions=lesions,
        indicative=lesions < INDICATIVE_BELOW,
        ece=ece,
        ece_by_chance=error_by_chance(score, members),
        mean_probability=float(score.mean()),
        share=float(of_class.mean()),
    )


def _gaps(
    weights: Values,
    score: NDArray[np.float64],
    event: NDArray[np.bool_],
    members: NDArray[np.int64],
) -> Values:
    """Summed difference of event and score in each bin under each row of weights, (B, bins)."""
    in_bins = members[:, None] == np.arange(members.max() + 1)
    gaps: Values = weights @ (in_bins * (event - score)[:, None])
    return gaps


def _errors(weights: Values, gaps: Values) -> Values:
    errors: Values = np.abs(gaps).sum(axis=1) / weights.sum(axis=1)
    return errors


def _of_means(means: Values) -> Estimate:
    return estimate(means[0], means[1:])


def _of_errors(weights: Values, gaps: Values) -> Estimate:
    """A calibration error from the gaps of its bins, the sample's own in the first row."""
    parts = gaps / weights.sum(axis=1)[:, None]
    return summed_distance(parts[0], parts[1:])


def _of_largest(weights: Values, gaps: Values, members: NDArray[np.int64]) -> Estimate:
    """Largest mean gap of a bin; bins that a resample leaves empty do not count.

    As for their sum, noise only adds to it, so the lower end goes by how far the bins are off.
    """
    counts = weights @ (members[:, None] == np.arange(members.max() + 1)).astype(np.float64)
    means = gaps / np.maximum(counts, 1)
    largest = np.abs(means).max(axis=1)
    ends = interval(largest[1:])
    noise = np.abs(means[1:] - means[0]).max(axis=1)
    if ends is None or not noise.any():
        return Estimate(value=float(largest[0]))
    low = max(float(largest[0] - np.quantile(noise, (1 + CONFIDENCE) / 2)), 0.0)
    return Estimate(
        value=float(largest[0]), ci_low=low, ci_high=max(float(largest[0]), ends.ci_high)
    )
