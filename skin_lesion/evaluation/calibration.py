"""Calibrators, each fitted on the images it is given, and binned reliability.

Sources: temperature and vector scaling: Guo et al., "On calibration of modern neural networks",
ICML 2017. Isotonic, one class against the rest: Zadrozny and Elkan, "Transforming classifier scores
into accurate multiclass probability estimates", KDD 2002. Equal-mass bins: Nixon et al., "Measuring
calibration in deep learning", CVPR workshops 2019.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skin_lesion.decisions import Calibrator, MonotoneCurve, Probabilities, softmax
from skin_lesion.labels import NUM_CLASSES

# A model worse than chance would be fitted to an endless temperature.
TEMPERATURE_BOUNDS = (0.05, 20.0)
# Vector scaling may not turn a class's logit around, whatever its few images say.
LEAST_SCALE = 0.05
# Before the images are seen, a class's scale is expected within 1 ± 2 of these and its odds within
# a factor exp(± 2 of these): what a class with hundreds of images overrules and one with five not.
PRIOR_DEVIATION = 0.5


@dataclass(frozen=True)
class ReliabilityBins:
    """What was said against what came true, in bins of images; empty bins are left out.

    Attributes:
        confidence: Mean probability given in each bin, ascending.
        accuracy: Share of each bin's images in which it came true.
        count: Images in each bin.
    """

    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    count: NDArray[np.int64]

    @property
    def calibration_error(self) -> float:
        """Mean distance of accuracy from confidence, weighted by the bins' number of images."""
        return float(np.average(np.abs(self.accuracy - self.confidence), weights=self.count))


def equal_mass_bins(score: NDArray[np.float64], bins: int) -> NDArray[np.int64]:
    """Bin of each image, 0 to bins - 1, of about equally many images each, shape (N,).

    Images of equal score always share a bin, so the result does not depend on the images' order;
    with many ties some bins stay empty.
    """
    edges = np.quantile(score, np.linspace(0, 1, bins + 1)[1:-1])
    return np.asarray(np.searchsorted(edges, score, side="right"), dtype=np.int64)


def binned(
    score: NDArray[np.float64], event: NDArray[np.bool_], members: NDArray[np.int64]
) -> ReliabilityBins:
    """Mean score against how often the event came true.

    Args:
        score: Probability given to the event, shape (N,).
        event: Whether it came true, shape (N,).
        members: Bin of each image, shape (N,).
    """
    count = np.bincount(members)
    filled = count > 0
    return ReliabilityBins(
        confidence=np.bincount(members, score)[filled] / count[filled],
        accuracy=np.bincount(members, event)[filled] / count[filled],
        count=count[filled],
    )


def reliability_bins(
    probabilities: NDArray[np.float64], truth: NDArray[np.int64], bins: int
) -> ReliabilityBins:
    """Group images by their top probability, in `equal_mass_bins`.

    Args:
        probabilities: Shape (N, 7).
        truth: Index of the true class, shape (N,).
        bins: Number of bins.
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == truth
    return binned(confidence, right, equal_mass_bins(confidence, bins))


def expected_calibration_error(
    probabilities: NDArray[np.float64], truth: NDArray[np.int64], bins: int
) -> float:
    """Expected calibration error of the top probability in equal-mass bins, 0 to 1."""
    return reliability_bins(probabilities, truth, bins).calibration_error


def negative_log_likelihood(
    logits: NDArray[np.floating], truth: NDArray[np.int64], temperature: float = 1.0
) -> float:
    """Mean negative log-likelihood in nats.

    Args:
        logits: Shape (N, 7).
        truth: Index of the true class, shape (N,).
        temperature: Logits are divided by it.
    """
    from scipy.special import log_softmax

    scaled = logits.astype(np.float64) / temperature
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


def fit_vector(logits: NDArray[np.floating], truth: NDArray[np.int64]) -> Calibrator:
    """A scale and an offset for each class, drawn towards plain temperature scaling.

    The logits are first divided by their best temperature; what is fitted on top, scale 1 + a and
    offset b, minimises the summed negative log-likelihood plus (|a|² + |b|²) / (2
    `PRIOR_DEVIATION`²). A class with few images so keeps about the common temperature instead of
    running away; and as that sum is convex and the offsets' common shift costs something, there is
    one solution.

    Args:
        logits: Shape (N, 7), N at least 1.
        truth: Index of the true class, shape (N,).
    """
    from scipy.optimize import minimize
    from scipy.special import log_softmax

    temperature = fit_temperature(logits, truth)
    scaled = logits.astype(np.float64) / temperature
    hits = np.eye(NUM_CLASSES)[truth]
    identity = np.repeat([1.0, 0.0], NUM_CLASSES)
    stiffness = 1 / (len(truth) * PRIOR_DEVIATION**2)

    def loss(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        scale, offset = np.split(parameters, 2)
        log_probabilities = log_softmax(scaled * scale + offset, axis=1)
        pull = parameters - identity
        value = -(hits * log_probabilities).sum() / len(truth) + stiffness / 2 * pull @ pull
        residual = (np.exp(log_probabilities) - hits) / len(truth)
        slope = np.concatenate([(residual * scaled).sum(axis=0), residual.sum(axis=0)])
        return value, slope + stiffness * pull

    fit = minimize(
        loss,
        identity,
        jac=True,
        method="L-BFGS-B",
        bounds=[(LEAST_SCALE, None)] * NUM_CLASSES + [(None, None)] * NUM_CLASSES,
        options={"maxiter": 1000, "ftol": 1e-13, "gtol": 1e-8},
    )
    scale, offset = np.split(fit.x, 2)
    return Calibrator(
        method="vector",
        scale=tuple((scale / temperature).tolist()),
        offset=tuple(offset.tolist()),
    )


def fit_isotonic(logits: NDArray[np.floating], truth: NDArray[np.int64]) -> Calibrator:
    """For each class the rising curve of its share over its softmax probability.

    No curve falls below 1 / (N + 2), the rule of succession for what was never seen in N images:
    an exact 0 would call a class impossible that merely did not occur, at an endless
    log-likelihood if it does. Normalising keeps every probability below 1 for the same reason.

    Args:
        logits: Shape (N, 7), N at least 1.
        truth: Index of the true class, shape (N,).
    """
    from sklearn.isotonic import IsotonicRegression

    probabilities = softmax(logits)
    floor = 1 / (len(truth) + 2)
    curves = []
    for index in range(NUM_CLASSES):
        fit = IsotonicRegression(y_min=floor, y_max=1, out_of_bounds="clip")
        fit.fit(probabilities[:, index], truth == index)
        x, y = fit.X_thresholds_.tolist(), fit.y_thresholds_.tolist()
        curves.append(MonotoneCurve(x=tuple(x), y=tuple(y)))
    return Calibrator(method="isotonic", curves=tuple(curves))


def image_nll(probabilities: Probabilities, truth: NDArray[np.int64]) -> NDArray[np.float64]:
    """Negative log-likelihood of each image in nats, shape (N,)."""
    of_truth = probabilities[np.arange(len(truth)), truth]
    # A softmax of wide logits rounds to 0; the smallest number stands for it.
    nll: NDArray[np.float64] = -np.log(np.maximum(of_truth, np.finfo(np.float64).tiny))
    return nll


def image_brier(probabilities: Probabilities, truth: NDArray[np.int64]) -> NDArray[np.float64]:
    """Squared error of each image, summed over the classes, 0 to 2, shape (N,)."""
    squares: NDArray[np.float64] = ((probabilities - np.eye(NUM_CLASSES)[truth]) ** 2).sum(axis=1)
    return squares
