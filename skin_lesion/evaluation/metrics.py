"""Figures of a classifier on one split."""

from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skin_lesion.decisions import malignant_probability, softmax
from skin_lesion.evaluation.calibration import expected_calibration_error, negative_log_likelihood
from skin_lesion.evaluation.summary import ClassFigures, SplitFigures
from skin_lesion.labels import LABEL_INDEX, LABELS, MALIGNANT_INDICES, MELANOMA_INDEX, NUM_CLASSES

Truth = NDArray[np.int64]
Probabilities = NDArray[np.float64]


def true_classes(rows: pd.DataFrame) -> Truth:
    """Index of the true class of each row, from its column `dx`, shape (N,)."""
    return np.array([LABEL_INDEX[dx] for dx in rows["dx"]], dtype=np.int64)


def confusion_counts(truth: Truth, predicted: Truth) -> NDArray[np.int64]:
    """Number of images by true class (rows) and predicted class (columns), shape (7, 7)."""
    cells = np.bincount(truth * NUM_CLASSES + predicted, minlength=NUM_CLASSES**2)
    return cells.reshape(NUM_CLASSES, NUM_CLASSES).astype(np.int64)


def binary_auc(positive: NDArray[np.bool_], score: NDArray[np.float64]) -> float | None:
    """Area under the ROC curve, ties counted half; None unless both kinds of image are there."""
    from scipy.stats import rankdata

    n_positive = int(positive.sum())
    n_negative = len(positive) - n_positive
    if not n_positive or not n_negative:
        return None
    # Mann-Whitney: of all pairs, the share in which the positive scores higher.
    wins = rankdata(score)[positive].sum() - n_positive * (n_positive + 1) / 2
    return float(wins / (n_positive * n_negative))


def brier_score(probabilities: Probabilities, truth: Truth) -> float:
    """Mean over images of the squared error summed over the classes, 0 to 2."""
    return float(((probabilities - np.eye(NUM_CLASSES)[truth]) ** 2).sum(axis=1).mean())


def measure(
    logits: NDArray[np.floating],
    truth: Truth,
    lesion_ids: NDArray[np.object_],
    *,
    temperature: float,
    bins: int,
    purpose: Literal["selection", "test"],
) -> SplitFigures:
    """Everything that is reported of one split.

    Args:
        logits: Shape (N, 7), as the serving export gives them.
        truth: Index of the true class of each image, shape (N,).
        lesion_ids: Lesion of each image, shape (N,).
        temperature: Frozen temperature.
        bins: Equal-mass bins of the calibration error.
        purpose: What the split was used for.

    Raises:
        ValueError: The split is empty.
    """
    if not len(truth):
        raise ValueError("the split holds no images; expected at least one")
    probabilities = softmax(logits, temperature)
    uncalibrated = softmax(logits)
    confusion = confusion_counts(truth, logits.argmax(axis=1))
    classes = [_one_class(i, confusion, truth, probabilities) for i in range(NUM_CLASSES)]
    support = np.array([figures.n for figures in classes])
    return SplitFigures(
        purpose=purpose,
        n_images=len(truth),
        n_lesions=len(set(lesion_ids)),
        accuracy=float(confusion.trace() / len(truth)),
        balanced_accuracy=_mean([figures.recall for figures in classes]),
        macro_f1=_mean([figures.f1 for figures in classes]),
        weighted_f1=float(np.average([figures.f1 or 0.0 for figures in classes], weights=support)),
        macro_auc=_mean_or_none([figures.auc for figures in classes]),
        melanoma_auc=classes[MELANOMA_INDEX].auc,
        malignant_auc=binary_auc(
            np.isin(truth, MALIGNANT_INDICES), malignant_probability(probabilities)
        ),
        ece=expected_calibration_error(probabilities, truth, bins),
        ece_uncalibrated=expected_calibration_error(uncalibrated, truth, bins),
        nll=negative_log_likelihood(logits, truth, temperature),
        nll_uncalibrated=negative_log_likelihood(logits, truth),
        brier=brier_score(probabilities, truth),
        brier_uncalibrated=brier_score(uncalibrated, truth),
        per_class=dict(zip(LABELS, classes, strict=True)),
        absent_classes=tuple(LABELS[i] for i in np.flatnonzero(support == 0)),
        confusion=tuple(tuple(row) for row in confusion.tolist()),
    )


def _one_class(
    index: int, confusion: NDArray[np.int64], truth: Truth, probabilities: Probabilities
) -> ClassFigures:
    n = int(confusion[index].sum())
    if not n:
        return ClassFigures(precision=None, recall=None, f1=None, auc=None, n=0)
    hits = int(confusion[index, index])
    called = int(confusion[:, index].sum())
    return ClassFigures(
        precision=hits / called if called else 0.0,
        recall=hits / n,
        f1=2 * hits / (called + n),
        auc=binary_auc(truth == index, probabilities[:, index]),
        n=n,
    )


def _mean_or_none(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _mean(values: list[float | None]) -> float:
    mean = _mean_or_none(values)
    assert mean is not None  # a split with an image holds a class
    return mean
