"""Bootstrap over lesions: what a figure would have been on other patients of the same kind.

Images of one lesion resemble each other, so lesions are drawn, not images (Field and Welsh,
"Bootstrapping clustered data", J. R. Stat. Soc. B 69, 2007). A resample is kept as the number of
times that each image occurs in it, so every statistic is a weighted one and all resamples are
computed at once.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skin_lesion.evaluation.figures import Estimate, Interval

Values = NDArray[np.float64]
CONFIDENCE = 0.95
# A figure that is undefined in more of the resamples than this has no interval worth giving.
_MOST_UNDEFINED = 0.05


@dataclass(frozen=True)
class Resamples:
    """B resamples of N images.

    Attributes:
        weights: How often each image occurs in each resample, shape (B, N).
    """

    weights: NDArray[np.float32]

    @classmethod
    def over_lesions(cls, groups: NDArray[np.int64], count: int, seed: int) -> "Resamples":
        """Draw as many lesions as there are, with replacement, `count` times.

        Args:
            groups: Number of the lesion group of each image, 0 to G-1, shape (N,).
            count: B.
            seed: Equal seeds draw the same lesions.
        """
        lesions = int(groups.max()) + 1
        random = np.random.default_rng([seed, 31])
        draws = random.multinomial(lesions, np.full(lesions, 1 / lesions), size=count)
        return cls(draws[:, groups].astype(np.float32))

    def sums(self, values: NDArray[np.generic]) -> Values:
        """Sum of a value, shape (N,), over the images of each resample, shape (B,)."""
        return np.asarray(self.weights @ values.astype(np.float32), dtype=np.float64)

    def means(self, values: NDArray[np.generic], of: NDArray[np.bool_] | None = None) -> Values:
        """Mean of a value over the images of each resample, NaN where there are none, shape (B,).

        Args:
            values: Shape (N,).
            of: Which images count, shape (N,); None counts all.
        """
        chosen = np.ones(values.shape, bool) if of is None else of
        with np.errstate(invalid="ignore", divide="ignore"):
            means: Values = self.sums(np.where(chosen, values, 0)) / self.sums(chosen)
        return means

    def aucs(self, positive: NDArray[np.bool_], score: NDArray[np.floating]) -> Values:
        """Area under the ROC curve in each resample, ties counted half, shape (B,).

        NaN where a resample lacks one kind of image.

        Args:
            positive: Shape (N,).
            score: Higher means more likely positive, shape (N,).
        """
        order = np.argsort(score, kind="stable")
        starts = np.flatnonzero(np.diff(score[order], prepend=-np.inf) != 0)
        weights = self.weights[:, order].astype(np.float64)
        of_positives = np.add.reduceat(weights * positive[order], starts, axis=1)
        of_negatives = np.add.reduceat(weights * ~positive[order], starts, axis=1)
        below = np.cumsum(of_negatives, axis=1) - of_negatives
        wins = (of_positives * (below + of_negatives / 2)).sum(axis=1)
        pairs = of_positives.sum(axis=1) * of_negatives.sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            aucs: Values = wins / pairs
        return aucs


def interval(values: Values) -> Interval | None:
    """Percentile interval of a figure's resampled values, shape (B,).

    Returns:
        None where the figure is undefined in more than 5 % of the resamples.
    """
    known = values[np.isfinite(values)]
    if len(known) < (1 - _MOST_UNDEFINED) * len(values):
        return None
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(known, [tail, 1 - tail])
    return Interval(ci_low=float(low), ci_high=float(high))


def estimate(value: float | None, resampled: Values) -> Estimate:
    """A figure with the interval of its resampled values."""
    if value is None or not np.isfinite(value):
        return Estimate(value=None)
    ends = interval(resampled)
    if ends is None:
        return Estimate(value=value)
    return Estimate(value=value, ci_low=ends.ci_low, ci_high=ends.ci_high)


def share(
    resamples: Resamples, hits: NDArray[np.bool_], of: NDArray[np.bool_] | None = None
) -> Estimate:
    """Share of the images `of` which are `hits`, with its interval.

    Args:
        resamples: Of the same N images.
        hits: Shape (N,).
        of: Shape (N,); None means all images.
    """
    counted = hits if of is None else hits[of]
    value = float(counted.mean()) if len(counted) else None
    return estimate(value, resamples.means(hits, of))
