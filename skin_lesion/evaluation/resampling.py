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
from skin_lesion.evaluation.ranking import Ranking

Values = NDArray[np.float64]
CONFIDENCE = 0.95
# A figure that is undefined in more of the resamples than this has no interval worth giving.
_MOST_UNDEFINED = 0.05


@dataclass(frozen=True)
class Resamples:
    """B resamples of N images.

    Attributes:
        weights: How often each image occurs in each resample, shape (B, N).
        groups: Number of the lesion group of each image, shape (N,); None where the images were not
            drawn by lesion.
    """

    weights: NDArray[np.float32]
    groups: NDArray[np.int64] | None = None

    @classmethod
    def original(cls, groups: NDArray[np.int64]) -> "Resamples":
        """The sample itself, each image once, as a single resample."""
        return cls(np.ones((1, len(groups)), np.float32), groups)

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
        return cls(draws[:, groups].astype(np.float32), groups)

    def lesions(self, of: NDArray[np.bool_] | None = None) -> int | None:
        """Lesion groups among the images `of`, shape (N,), or among all; None where not known."""
        if self.groups is None:
            return None
        return len(np.unique(self.groups if of is None else self.groups[of]))

    def sums(self, values: NDArray[np.generic]) -> Values:
        """Sum of a value, shape (N,), over the images of each resample, shape (B,)."""
        # Counts are exact in single precision and much faster there; other values are not.
        exact = np.float32 if values.dtype == np.bool_ else np.float64
        return np.asarray(self.weights @ values.astype(exact), dtype=np.float64)

    def means(self, values: NDArray[np.generic], of: NDArray[np.bool_] | None = None) -> Values:
        """Mean of a value over the images of each resample, NaN where there are none, shape (B,).

        Args:
            values: Shape (N,).
            of: Which images count, shape (N,); None counts all.
        """
        chosen = np.ones(values.shape, bool) if of is None else of
        with np.errstate(invalid="ignore", divide="ignore"):
            zero = values.dtype.type(0)
            means: Values = self.sums(np.where(chosen, values, zero)) / self.sums(chosen)
        return means

    def aucs(self, positive: NDArray[np.bool_], score: NDArray[np.floating]) -> Values:
        """Area under the ROC curve in each resample, ties counted half, shape (B,).

        NaN where a resample lacks one kind of image.

        Args:
            positive: Shape (N,).
            score: Higher means more likely positive, shape (N,).
        """
        return Ranking.of(self.weights, positive, score).aucs()


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


def estimate(value: float | None, resampled: Values, *, lesions: int | None = None) -> Estimate:
    """A figure with the interval of its resampled values.

    Resamples of a sample without a mistake have none either, which proves nothing: a figure that
    is the same in all of them has no interval. For a share of 0 or 1 of a known number of lesions,
    the exact one is known (Clopper and Pearson, Biometrika 26, 1934), and is given.

    Args:
        value: On the sample itself; None or NaN where it is not defined.
        resampled: Shape (B,).
        lesions: Where the figure is a share: how many lesions it is a share of.
    """
    if value is None or not np.isfinite(value):
        return Estimate(value=None)
    ends = interval(resampled)
    if ends is not None and ends.ci_low == ends.ci_high == value:
        ends = _without_exception(value, lesions)
    if ends is None:
        return Estimate(value=value)
    return Estimate(value=value, ci_low=ends.ci_low, ci_high=ends.ci_high)


def symmetric_estimate(value: float, resampled: Values, *, low: float, high: float) -> Estimate:
    """A figure whose interval reaches as far to both sides, cut off at the ends of its range.

    For figures that noise only ever adds to, such as a largest distance: resampling adds noise once
    more, so that a percentile interval lies too high and may even lie above the figure.
    Source: Hall, "On symmetric bootstrap confidence intervals", J. R. Stat. Soc. B 50, 1988.

    Args:
        value: On the sample itself.
        resampled: Shape (B,).
        low: Lowest value the figure can take.
        high: Highest value.
    """
    distances = np.abs(resampled[np.isfinite(resampled)] - value)
    if interval(resampled) is None or not distances.any():
        return Estimate(value=value)
    reach = float(np.quantile(distances, CONFIDENCE))
    return Estimate(value=value, ci_low=max(value - reach, low), ci_high=min(value + reach, high))


def summed_distance(parts: Values, resampled: Values) -> Estimate:
    """A sum of distances, such as a calibration error, which is one of distances bin by bin.

    Noise only ever adds to it, and most where the true distances are 0: neither percentiles nor a
    symmetric interval then reach down to 0. But the sum is off by no more than its parts are off
    together, by the triangle inequality; the lower end goes by that. The upper end is a percentile,
    which noise makes too high rather than too low.

    Args:
        parts: Signed, whose absolute values are summed, shape (K,).
        resampled: The same in each resample, shape (B, K).
    """
    value = float(np.abs(parts).sum())
    noise = np.abs(resampled - parts).sum(axis=1)
    ends = interval(np.abs(resampled).sum(axis=1))
    if ends is None or not noise.any():
        return Estimate(value=value)
    low = max(value - float(np.quantile(noise, (1 + CONFIDENCE) / 2)), 0.0)
    return Estimate(value=value, ci_low=low, ci_high=max(value, ends.ci_high))


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
    return estimate(value, resamples.means(hits, of), lesions=resamples.lesions(of))


def _without_exception(value: float, lesions: int | None) -> Interval | None:
    """Exact interval of a share of 0 or 1; lesions count, since their images are not independent."""
    # A precision is 0 by agreement where no image was called so: a share of no lesion.
    if not lesions or value not in (0.0, 1.0):
        return None
    reach = float(((1 - CONFIDENCE) / 2) ** (1 / lesions))
    return Interval(ci_low=reach, ci_high=1.0) if value else Interval(ci_low=0.0, ci_high=1 - reach)
