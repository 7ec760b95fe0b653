"""Which calibrator is frozen: chosen on validation by what each is worth on lesions it has not seen.

A calibrator judged on the images it was fitted on flatters itself, the more the more it may bend. So
every method is fitted without each fold in turn and judged on that fold, with every lesion group in
one fold.
"""

import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from skin_lesion.decisions import Calibrator, Probabilities
from skin_lesion.evaluation.calibration import (
    LEAST_SCALE,
    TEMPERATURE_BOUNDS,
    expected_calibration_error,
    fit_isotonic,
    fit_temperature,
    fit_vector,
    image_brier,
    image_nll,
)
from skin_lesion.evaluation.figures import Figures
from skin_lesion.evaluation.sample import Sample
from skin_lesion.labels import MELANOMA_INDEX, NUM_CLASSES

Method = Literal["none", "temperature", "vector", "isotonic"]
# From the simplest to the one with most freedom.
METHODS: tuple[Method, ...] = ("none", "temperature", "vector", "isotonic")
_SIMPLE: tuple[Method, ...] = ("none", "temperature")
# With fewer lesions the standard error that the choice leans on is itself a guess.
FEWEST_LESIONS_FOR_MORE = 100


class MethodFigures(Figures):
    """One way to calibrate, judged on validation images that it was not fitted on.

    Attributes:
        method: `none` is the plain softmax.
        nll: Mean negative log-likelihood in nats.
        ece: Expected calibration error of the top probability in equal-mass bins, 0 to 1.
        brier: Mean squared error summed over the classes, 0 to 2.
        nll_gain: By how much its NLL lies below that of temperature scaling; negative: above.
        nll_gain_error: Standard error of the gain over lesions; 0 for temperature itself.
        answers_changed: Share of the images whose most probable class it changes.
        balanced_accuracy: Mean recall over the classes of its most probable class.
        balanced_accuracy_change: Its balanced accuracy less that of temperature scaling, which
            changes no answer.
        balanced_accuracy_change_error: Standard error of that change over lesions.
        melanoma_recall: Share of the melanomas whose most probable class is melanoma; None where
            validation holds none.
        melanoma_recall_change: It less that of temperature scaling; None likewise.
        eligible: Whether it could be chosen: all but those with more freedom than temperature whose
            gain is not above its standard error, or which lose more balanced accuracy or more
            recall of melanoma than is tolerated.
    """

    method: Method
    nll: float
    ece: float
    brier: float
    nll_gain: float
    nll_gain_error: float
    answers_changed: float
    balanced_accuracy: float
    balanced_accuracy_change: float
    balanced_accuracy_change_error: float
    melanoma_recall: float | None
    melanoma_recall_change: float | None
    eligible: bool


class CalibrationChoiceFigures(Figures):
    """How the frozen calibrator was chosen.

    Attributes:
        fitted_on: The only split that was looked at.
        method: The chosen one.
        identified: False where validation could not tell: it holds no mistake, so the likelihood
            rises towards certainty without end and the plain softmax is kept; or a fit ran into the
            end of its allowed range.
        folds: Lesion-grouped, stratified folds of the cross-fit.
        bins: Equal-mass bins of the calibration error.
        tolerated_loss: Of balanced accuracy and of the recall of melanoma.
        n_images: Images of validation.
        n_lesions: Lesion groups of validation.
        temperature: The best one for all of validation, whichever method was chosen.
        fold_temperatures: The best one without each fold.
        methods: Each method's figures, from the simplest on.
    """

    fitted_on: Literal["val"] = "val"
    method: Method
    identified: bool
    folds: int
    bins: int
    tolerated_loss: float
    n_images: int
    n_lesions: int
    temperature: float
    fold_temperatures: tuple[float, ...]
    methods: tuple[MethodFigures, ...]


@dataclass(frozen=True)
class CalibrationChoice:
    """The chosen calibrator.

    Attributes:
        calibrator: Fitted on all of validation; what is frozen.
        cross_fitted: What the chosen method says of each validation image when fitted without the
            image's fold, shape (N, 7). Thresholds are chosen on these. That all images had a say in
            which of the four methods it is remains; so small a choice flatters little.
        figures: How it was chosen.
    """

    calibrator: Calibrator
    cross_fitted: Probabilities
    figures: CalibrationChoiceFigures


def choose_calibrator(
    sample: Sample, *, folds: int, seed: int, bins: int, tolerated_loss: float
) -> CalibrationChoice:
    """Choose between no calibration, a temperature, vector scaling and isotonic regression.

    The lowest cross-fitted NLL wins, but vector scaling (14 numbers) and isotonic regression (free
    curves) must beat temperature (one number) by more than one standard error of the difference,
    paired over lesions: a smaller lead is within the luck of which lesions validation holds, the
    best of several tries looks better than it is, and what bends more carries over less to other
    patients. (The one-standard-error rule of Breiman et al., "Classification and regression trees",
    1984.)

    Nor may they pay for a better likelihood with what matters more: vector scaling may shift the
    answers towards nevi, the most frequent class, which likelihood rewards and a missed melanoma
    does not pay for. Where balanced accuracy or the recall of melanoma falls by more than
    `tolerated_loss`, temperature, which leaves every answer as it is, stands. That validation is too
    small to be sure of the loss is no excuse: the burden of proof lies with what changes answers.

    Args:
        sample: Validation.
        folds: Number of folds; fewer where there are fewer lesion groups.
        seed: Which lesion groups share a fold.
        bins: Equal-mass bins of the calibration error.
        tolerated_loss: Of balanced accuracy and of the recall of melanoma, 0 to 1.

    Raises:
        ValueError: Fewer than two lesion groups.
    """
    logits, truth, groups = sample.logits, sample.truth, sample.groups
    fold_of = lesion_folds(truth, groups, folds=folds, seed=seed)
    fitted = {method: cross_fit(method, logits, truth, fold_of) for method in METHODS}
    figures = tuple(
        _judge(method, fitted, truth, groups, bins, tolerated_loss) for method in METHODS
    )
    mistaken = _holds_a_mistake(logits, truth)
    best = min((f for f in figures if f.eligible), key=lambda f: f.nll).method
    method: Method = best if mistaken else "none"
    calibrator = fit_calibrator(method, logits, truth)
    temperature = fit_temperature(logits, truth)
    return CalibrationChoice(
        calibrator=calibrator,
        cross_fitted=fitted[method],
        figures=CalibrationChoiceFigures(
            method=method,
            identified=mistaken and not _at_an_end(temperature, calibrator),
            folds=int(fold_of.max()) + 1,
            bins=bins,
            tolerated_loss=tolerated_loss,
            n_images=len(truth),
            n_lesions=int(groups.max()) + 1,
            temperature=temperature,
            fold_temperatures=tuple(
                fit_temperature(logits[fold_of != fold], truth[fold_of != fold])
                for fold in range(int(fold_of.max()) + 1)
            ),
            methods=figures,
        ),
    )


def fit_calibrator(
    method: Method, logits: NDArray[np.floating], truth: NDArray[np.int64]
) -> Calibrator:
    """Fit one method; the plain softmax where there is no mistake to learn from.

    Args:
        method: `none` gives the plain softmax.
        logits: Shape (N, 7), N at least 1.
        truth: Index of the true class, shape (N,).
    """
    if method == "none" or not _holds_a_mistake(logits, truth):
        return Calibrator()
    if method == "vector":
        return fit_vector(logits, truth)
    if method == "isotonic":
        return fit_isotonic(logits, truth)
    return Calibrator(temperature=fit_temperature(logits, truth))


def lesion_folds(
    truth: NDArray[np.int64], groups: NDArray[np.int64], *, folds: int, seed: int
) -> NDArray[np.int64]:
    """Fold of each image, shape (N,); a lesion group lies in one, and classes are spread evenly.

    Args:
        truth: Index of the true class, shape (N,).
        groups: Lesion group of each image, shape (N,).
        folds: At most this many; fewer where there are fewer groups.
        seed: Which groups share a fold.

    Raises:
        ValueError: Fewer than two lesion groups.
    """
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

    n_groups = len(np.unique(groups))
    if n_groups < 2:
        raise ValueError(
            f"validation holds {n_groups} lesion group(s); calibrating needs at least 2"
        )
    folds = min(folds, n_groups)
    # Where no class has an image for every fold there is nothing to spread evenly.
    spread = np.bincount(truth).max() >= folds
    kind = StratifiedGroupKFold if spread else GroupKFold
    splitter = kind(folds, shuffle=True, random_state=seed)
    fold_of = np.empty(len(truth), np.int64)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        for fold, (_, inside) in enumerate(splitter.split(truth, truth, groups)):
            fold_of[inside] = fold
    # Few and unequal groups may leave a fold empty.
    return np.asarray(np.unique(fold_of, return_inverse=True)[1], dtype=np.int64)


def cross_fit(
    method: Method,
    logits: NDArray[np.floating],
    truth: NDArray[np.int64],
    fold_of: NDArray[np.int64],
) -> Probabilities:
    """What the method says of each image when fitted without the image's fold, shape (N, 7).

    Args:
        method: Which.
        logits: Shape (N, 7).
        truth: Index of the true class, shape (N,).
        fold_of: Fold of each image, at least two of them, shape (N,).
    """
    probabilities = np.empty((len(truth), NUM_CLASSES))
    for fold in np.unique(fold_of):
        inside = fold_of == fold
        calibrator = fit_calibrator(method, logits[~inside], truth[~inside])
        probabilities[inside] = calibrator.probabilities(logits[inside])
    return probabilities


def lesion_standard_error(values: NDArray[np.float64], groups: NDArray[np.int64]) -> float:
    """Standard error of the mean over images when lesions, not images, are independent.

    That of a ratio of sums over lesions (Cochran, "Sampling techniques", 1977, section 2.11).

    Args:
        values: Shape (N,).
        groups: Number of the lesion group of each image, 0 to G-1, G at least 2, shape (N,).
    """
    residual = np.bincount(groups, values - values.mean())
    lesions = len(residual)
    return float(np.sqrt(lesions / (lesions - 1) * (residual**2).sum()) / len(values))


def _judge(
    method: Method,
    fitted: dict[Method, Probabilities],
    truth: NDArray[np.int64],
    groups: NDArray[np.int64],
    bins: int,
    tolerated_loss: float,
) -> MethodFigures:
    probabilities = fitted[method]
    nll = image_nll(probabilities, truth)
    gains = image_nll(fitted["temperature"], truth) - nll
    gain, error = float(gains.mean()), lesion_standard_error(gains, groups)
    enough = int(groups.max()) + 1 >= FEWEST_LESIONS_FOR_MORE
    raw = fitted["none"].argmax(axis=1)
    hits = probabilities.argmax(axis=1) == truth
    # The mean of these over all images is the change of the mean recall over the classes.
    shifts = _class_balance(truth) * (hits.astype(np.float64) - (raw == truth))
    change, change_error = float(shifts.mean()), lesion_standard_error(shifts, groups)
    melanoma = truth == MELANOMA_INDEX
    recall, raw_recall = (
        float(found[melanoma].mean()) if melanoma.any() else None for found in (hits, raw == truth)
    )
    recall_change = None if recall is None or raw_recall is None else recall - raw_recall
    lost = max(-change, -(recall_change or 0.0))
    return MethodFigures(
        method=method,
        nll=float(nll.mean()),
        ece=expected_calibration_error(probabilities, truth, bins),
        brier=float(image_brier(probabilities, truth).mean()),
        nll_gain=gain,
        nll_gain_error=error,
        answers_changed=float((probabilities.argmax(axis=1) != raw).mean()),
        balanced_accuracy=float((_class_balance(truth) * hits).mean()),
        balanced_accuracy_change=change,
        balanced_accuracy_change_error=change_error,
        melanoma_recall=recall,
        melanoma_recall_change=recall_change,
        eligible=method in _SIMPLE or (enough and gain > error and lost <= tolerated_loss),
    )


def _class_balance(truth: NDArray[np.int64]) -> NDArray[np.float64]:
    """Weight of each image with which every class that occurs counts as much, mean 1, shape (N,)."""
    counts = np.bincount(truth, minlength=NUM_CLASSES)
    weights: NDArray[np.float64] = len(truth) / (np.count_nonzero(counts) * counts[truth])
    return weights


def _holds_a_mistake(logits: NDArray[np.floating], truth: NDArray[np.int64]) -> bool:
    return bool((logits.argmax(axis=1) != truth).any())


def _at_an_end(temperature: float, calibrator: Calibrator) -> bool:
    """Whether a fit ran into the end of its range."""
    if any(abs(np.log(temperature / bound)) < 1e-3 for bound in TEMPERATURE_BOUNDS):
        return True
    scales = np.asarray(calibrator.scale) * temperature
    return bool((scales < LEAST_SCALE * 1.001).any())
