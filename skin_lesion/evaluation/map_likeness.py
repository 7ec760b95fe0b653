"""How much two heat-maps of a picture resemble each other."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skin_lesion.evaluation.explanation_figures import MapSimilarity
from skin_lesion.evaluation.figures import Estimate
from skin_lesion.evaluation.resampling import Resamples, Values, estimate

_SMALLEST_WINDOW, _USUAL_WINDOW = 3, 7


@dataclass(frozen=True)
class Likeness:
    """How much two maps of each of N pictures resemble each other.

    Attributes:
        name: What was done to the trained model.
        rank: Spearman correlation of the signed evidence, NaN where a map is constant; shape
            (repeats, N).
        structure: Structural similarity of the signed evidence, brought to 0 to 1; NaN where a map
            is constant or smaller than 3 x 3; shape (repeats, N). The positive part alone would
            not do: a shuffled head often leaves none, and an empty map resembles nothing.
    """

    name: str
    rank: Values
    structure: Values

    def figures(self, resamples: Resamples) -> MapSimilarity:
        """Means over repeats and pictures, with intervals over the lesions of the pictures."""
        return MapSimilarity(
            name=self.name,
            rank_correlation=_mean(self.rank, resamples),
            absolute_rank_correlation=_mean(np.abs(self.rank), resamples),
            structural_similarity=_mean(self.structure, resamples),
            undefined=int(np.isnan(self.rank).all(axis=0).sum()),
        )


def likeness(
    name: str, trained: Sequence[NDArray[np.floating]], others: Sequence[NDArray[np.floating]]
) -> Likeness:
    """Compare maps of signed evidence.

    Args:
        name: What was done to the trained model.
        trained: A map (h, w) of each of N pictures.
        others: The map to compare with each of them.

    Returns:
        Arrays of shape (1, N).
    """
    from scipy.stats import spearmanr

    rank = np.full((1, len(trained)), np.nan)
    structure = np.full((1, len(trained)), np.nan)
    for row, (one, other) in enumerate(zip(trained, others, strict=True)):
        if np.ptp(one) > 0 and np.ptp(other) > 0:
            rank[0, row] = spearmanr(one, other, axis=None).statistic
            structure[0, row] = _structural_similarity(_scaled(one), _scaled(other))
    return Likeness(name, rank, structure)


def joined(repeats: Sequence[Likeness]) -> Likeness:
    """The repeats of one comparison as a single one, under the name of the first."""
    return Likeness(
        repeats[0].name,
        np.concatenate([one.rank for one in repeats]),
        np.concatenate([one.structure for one in repeats]),
    )


def _scaled(evidence: NDArray[np.floating]) -> NDArray[np.float64]:
    """The lowest value brought to 0, the highest to 1."""
    low, high = float(evidence.min()), float(evidence.max())
    return (evidence.astype(np.float64) - low) / (high - low)


def _structural_similarity(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Wang et al., IEEE Trans. Image Process. 13, 2004, with as large a window as fits."""
    from skimage.metrics import structural_similarity

    shorter = min(one.shape)
    window = min(_USUAL_WINDOW, shorter - (shorter + 1) % 2)
    if window < _SMALLEST_WINDOW:
        return float("nan")
    return float(structural_similarity(one, other, win_size=window, data_range=1.0))


def _mean(values: Values, resamples: Resamples) -> Estimate:
    """Mean over repeats, then over pictures; pictures without a value are left out."""
    known = np.isfinite(values)
    count = known.sum(axis=0)
    of = count > 0
    per_picture = np.where(known, values, 0.0).sum(axis=0) / np.maximum(count, 1)
    value = float(per_picture[of].mean()) if of.any() else None
    return estimate(value, resamples.means(per_picture, of))
