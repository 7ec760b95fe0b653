"""Shares with each lesion weighing the same, and thresholds that rounding cannot upset."""

import numpy as np
from numpy.typing import NDArray

from skin_lesion.evaluation.figures import Estimate
from skin_lesion.evaluation.resampling import CONFIDENCE, Resamples, estimate

Flags = NDArray[np.bool_]
Groups = NDArray[np.int64]
Values = NDArray[np.float64]


def lesion_weights(groups: Groups, of: Flags | None = None) -> Values:
    """Weights by which the counted images of each lesion share 1; 0 for images not counted.

    Args:
        groups: Number of the lesion group of each image, from 0, shape (N,).
        of: Which images count, shape (N,); None counts all.

    Returns:
        Shape (N,).
    """
    counted = np.ones(len(groups), bool) if of is None else of
    weights = np.zeros(len(groups))
    weights[counted] = 1 / np.bincount(groups[counted])[groups[counted]] if counted.any() else 0
    return weights


def lesion_share(resamples: Resamples, hits: Flags, groups: Groups, of: Flags) -> Estimate:
    """Share of hits with each lesion weighing the same, however many of its images count.

    It is the share to expect of one picture of one lesion.

    Args:
        resamples: Of the same N images.
        hits: Shape (N,).
        groups: Number of the lesion group of each image, from 0, shape (N,).
        of: Which images count, shape (N,).
    """
    if not of.any():
        return Estimate(value=None)
    weights = lesion_weights(groups, of)
    with np.errstate(invalid="ignore", divide="ignore"):
        resampled = resamples.sums(weights * hits) / resamples.sums(weights)
    value = float((weights * hits).sum() / weights.sum())
    return estimate(value, resampled, lesions=resamples.lesions(of))


def wilson_ends(hits: Values, trials: Values) -> Values:
    """Ends of Wilson's 95 % interval of shares, 0 and 1 where nothing was tried.

    Unlike a bootstrap's it stays honest where all or none came true. Source: Wilson, J. Am. Stat.
    Assoc. 22, 1927. Counts need not be whole numbers, so lesions may count in part, for which
    SciPy's `binomtest` has no room.

    Args:
        hits: Number of hits, any shape.
        trials: Out of how many, same shape.

    Returns:
        Lower and upper ends, shape (2, *shape of hits).
    """
    from scipy.stats import norm

    z = float(norm.ppf((1 + CONFIDENCE) / 2))
    tried = np.maximum(trials, np.finfo(float).tiny)
    rate = hits / tried
    spread = z * np.sqrt(rate * (1 - rate) * tried + z**2 / 4)
    middle, total = hits + z**2 / 2, tried + z**2
    ends: Values = np.clip(np.stack([middle - spread, middle + spread]) / total, 0.0, 1.0)
    return np.where(trials > 0, ends, np.array([0.0, 1.0]).reshape(2, *[1] * np.ndim(hits)))


def cut_points(scores: Values) -> Values:
    """Thresholds that split the scores in every possible way, each midway between two neighbours.

    A threshold on a score itself would let rounding decide about that image, so scores that differ
    by rounding alone count as equal, and the lowest threshold is halfway between 0 and the lowest
    score.

    Args:
        scores: 0 to 1, shape (N,), N at least 1.

    Returns:
        Ascending; as many as there are different scores.
    """
    ordered = np.unique(scores)
    lower = np.concatenate([[0.0], ordered[:-1]])
    apart = ordered - lower > 1e-9 * ordered
    apart[0] = True
    cuts: Values = ((lower + ordered) / 2)[apart]
    return cuts


def sums_above(scores: Values, cuts: Values, values: Values) -> Values:
    """Sum of a value over the images whose score is at or above each cut.

    Args:
        scores: Shape (N,).
        cuts: Shape (C,).
        values: Shape (N,).

    Returns:
        Shape (C,).
    """
    order = np.argsort(scores, kind="stable")
    from_top = np.append(np.cumsum(values[order][::-1])[::-1], 0.0)
    sums: Values = from_top[np.searchsorted(scores[order], cuts, side="left")]
    return sums
