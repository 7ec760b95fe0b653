"""Temperature scaling, fitted on validation alone, and how far probabilities can be believed.

Source: Guo et al., "On calibration of modern neural networks", ICML 2017. Equal-mass bins after
Nixon et al., "Measuring calibration in deep learning", CVPR workshops 2019.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skin_lesion.decisions import softmax
from skin_lesion.evaluation.summary import CalibrationFigures

# A model worse than chance would be fitted to an endless temperature.
TEMPERATURE_BOUNDS = (0.05, 20.0)


@dataclass(frozen=True)
class ReliabilityBins:
    """Confidence against accuracy in bins of about equally many images; empty bins are left out.

    Attributes:
        confidence: Mean top probability in each bin, ascending.
        accuracy: Share of right answers in each bin.
        count: Images in each bin.
    """

    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    count: NDArray[np.int64]

    @property
    def calibration_error(self) -> float:
        """Mean distance of accuracy from confidence, weighted by the bins' number of images."""
        return float(np.average(np.abs(self.accuracy - self.confidence), weights=self.count))


def reliability_bins(
    probabilities: NDArray[np.float64], truth: NDArray[np.int64], bins: int
) -> ReliabilityBins:
    """Group images by their top probability.

    Args:
        probabilities: Shape (N, 7).
        truth: Index of the true class, shape (N,).
        bins: Number of bins; images of equal confidence always share one, so the result does not
            depend on the order of the images.
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == truth
    edges = np.quantile(confidence, np.linspace(0, 1, bins + 1)[1:-1])
    members = np.searchsorted(edges, confidence, side="right")
    count = np.bincount(members, minlength=bins)
    filled = count > 0
    return ReliabilityBins(
        confidence=np.bincount(members, confidence, bins)[filled] / count[filled],
        accuracy=np.bincount(members, right, bins)[filled] / count[filled],
        count=count[filled],
    )


def expected_calibration_error(
    probabilities: NDArray[np.float64], truth: NDArray[np.int64], bins: int
) -> float:
    """Expected calibration error of the top probability in equal-mass bins, 0 to 1."""
    return reliability_bins(probabilities, truth, bins).calibration_error


def negative_log_likelihood(
    logits: NDArray[np.floating],
    truth: NDArray[np.int64],
    temperature: float | NDArray[np.float64] = 1.0,
) -> float:
    """Mean negative log-likelihood in nats.

    Args:
        logits: Shape (N, 7).
        truth: Index of the true class, shape (N,).
        temperature: One for all images, or one for each, shape (N,).
    """
    from scipy.special import log_softmax

    scaled = logits.astype(np.float64) / np.reshape(temperature, (-1, 1))
    return float(-log_softmax(scaled, axis=1)[np.arange(len(truth)), truth].mean())


def fit_temperature(logits: NDArray[np.floating], truth: NDArray[np.int64]) -> float:
    """Temperature that minimises the negative log-likelihood, within `TEMPERATURE_BOUNDS`.

    The likelihood is log-concave in 1 / temperature, so there is one minimum; but without a single
    mistake it lies at temperature 0, that is at certainty. A sample without mistakes does not
    warrant that, so the temperature is then left at 1.

    Args:
        logits: Shape (N, 7), N at least 1.
        truth: Index of the true class, shape (N,).
    """
    if (logits.argmax(axis=1) == truth).all():
        return 1.0
    from scipy.optimize import minimize_scalar

    fit = minimize_scalar(
        lambda log_temperature: negative_log_likelihood(logits, truth, np.exp(log_temperature)),
        bounds=tuple(np.log(TEMPERATURE_BOUNDS)),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return float(np.exp(fit.x))


def calibrate(
    logits: NDArray[np.floating],
    truth: NDArray[np.int64],
    groups: NDArray[np.object_],
    *,
    folds: int,
    bins: int,
    seed: int,
) -> CalibrationFigures:
    """Fit the temperature on validation, and say by cross-fitting what it is worth.

    A temperature judged on the images it was fitted on flatters itself; so each fold is judged at
    the temperature fitted on the other folds, with every lesion group in one fold.

    Args:
        logits: Of the validation images, shape (N, 7).
        truth: Index of their true class, shape (N,).
        groups: Their lesion group, shape (N,).
        folds: Number of folds; fewer where there are fewer groups.
        bins: Equal-mass bins of the calibration error.
        seed: Which groups share a fold.

    Raises:
        ValueError: Fewer than two lesion groups.
    """
    from sklearn.model_selection import GroupKFold

    n_groups = len(set(groups))
    if n_groups < 2:
        raise ValueError(
            f"validation holds {n_groups} lesion group(s); calibrating needs at least 2"
        )
    folds = min(folds, n_groups)
    fold_temperatures: list[float] = []
    temperatures = np.empty(len(truth))
    splitter = GroupKFold(folds, shuffle=True, random_state=seed)
    for others, fold in splitter.split(logits, truth, groups):
        fold_temperatures.append(fit_temperature(logits[others], truth[others]))
        temperatures[fold] = fold_temperatures[-1]
    temperature = fit_temperature(logits, truth)
    return CalibrationFigures(
        temperature=temperature,
        identified=bool((logits.argmax(axis=1) != truth).any())
        and not any(abs(np.log(temperature / bound)) < 1e-3 for bound in TEMPERATURE_BOUNDS),
        folds=folds,
        fold_temperatures=tuple(fold_temperatures),
        bins=bins,
        nll_uncalibrated=negative_log_likelihood(logits, truth),
        nll_cross_fitted=negative_log_likelihood(logits, truth, temperatures),
        ece_uncalibrated=expected_calibration_error(softmax(logits), truth, bins),
        ece_cross_fitted=expected_calibration_error(softmax(logits, temperatures), truth, bins),
    )
