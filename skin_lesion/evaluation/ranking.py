"""ROC and precision-recall figures of all resamples at once.

A score divides the images into steps of equal score. How many positives and negatives each resample
has on each step is all that any figure of a ranking needs.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
# Counts are whole numbers, but the share of them that is asked for is a rounded product.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Ranking:
    """Positives and negatives of B resamples on the T distinct values of a score, ascending.

    A step is also a threshold: every image at or above it counts as suspicious.

    Attributes:
        positives: Weight of the positive images on each step, shape (B, T).
        negatives: Weight of the negative images on each step, shape (B, T).
    """

    positives: Values
    negatives: Values

    @classmethod
    def of(
        cls,
        weights: NDArray[np.float32],
        positive: NDArray[np.bool_],
        score: NDArray[np.floating],
    ) -> "Ranking":
        """Rank N images by their score.

        Args:
            weights: How often each image occurs in each resample, shape (B, N).
            positive: Shape (N,).
            score: Finite; higher means more likely positive; shape (N,).
        """
        order = np.argsort(score, kind="stable")
        starts = np.flatnonzero(np.diff(score[order], prepend=-np.inf) != 0)
        ordered = weights[:, order].astype(np.float64)
        of_positives = ordered * positive[order]
        return cls(
            positives=np.add.reduceat(of_positives, starts, axis=1),
            negatives=np.add.reduceat(ordered - of_positives, starts, axis=1),
        )

    def aucs(self) -> Values:
        """Area under the ROC curve, ties counted half, shape (B,).

        NaN where a resample lacks one kind of image.
        """
        below = np.cumsum(self.negatives, axis=1) - self.negatives
        wins = (self.positives * (below + self.negatives / 2)).sum(axis=1)
        return _ratio(wins, self.positives.sum(axis=1) * self.negatives.sum(axis=1))

    def average_precisions(self) -> Values:
        """Mean precision over the positives, each at its own score, shape (B,).

        Nothing is interpolated. NaN where a resample has no positive.
        """
        right = _at_or_above(self.positives)
        called = right + _at_or_above(self.negatives)
        precision = np.divide(right, called, out=np.zeros_like(right), where=called > 0)
        return _ratio((precision * self.positives).sum(axis=1), self.positives.sum(axis=1))

    def sensitivities_at_specificity(self, goal: float) -> Values:
        """Sensitivity at the lowest threshold whose specificity is at least the goal, shape (B,).

        The threshold is read off each resample anew. It may lie above every score: then nothing is
        suspicious and the sensitivity is 0.

        Args:
            goal: Specificity, 0 to 1.

        Returns:
            NaN where a resample lacks one kind of image.
        """
        return self.sensitivities_at(np.array([goal]))[:, 0]

    def sensitivities_at(self, goals: Values) -> Values:
        """The same at each of several specificities, shape (K,), shape (B, K)."""
        negatives, positives = self.negatives.sum(axis=1), self.positives.sum(axis=1)
        cleared = np.cumsum(self.negatives, axis=1) - self.negatives
        found = np.append(_at_or_above(self.positives), np.zeros((len(negatives), 1)), axis=1)
        enough = goals * negatives[:, None] - _ROUNDING
        steps = [np.searchsorted(*both) for both in zip(cleared, enough, strict=True)]
        shares = _ratio(np.take_along_axis(found, np.array(steps), axis=1), positives[:, None])
        return np.where(negatives[:, None] > 0, shares, np.nan)

    def specificities_at_sensitivity(self, goal: float) -> Values:
        """Specificity at the highest threshold whose sensitivity is at least the goal, shape (B,).

        Args:
            goal: Sensitivity, above 0 to 1.

        Returns:
            NaN where a resample lacks one kind of image.
        """
        negatives, positives = self.negatives.sum(axis=1), self.positives.sum(axis=1)
        enough = (goal * positives - _ROUNDING)[:, None]
        last = (_at_or_above(self.positives) >= enough).sum(axis=1) - 1
        cleared = np.cumsum(self.negatives, axis=1) - self.negatives
        chosen = np.take_along_axis(cleared, last[:, None], axis=1)[:, 0]
        return np.where(positives > 0, _ratio(chosen, negatives), np.nan)


def _at_or_above(counts: Values) -> Values:
    """Count on each step and all higher ones."""
    summed: Values = np.cumsum(counts[:, ::-1], axis=1)[:, ::-1]
    return summed


def _ratio(numerator: Values, denominator: Values) -> Values:
    """Quotient, NaN where the denominator is 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        quotient: Values = np.where(denominator > 0, numerator / denominator, np.nan)
    return quotient


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
