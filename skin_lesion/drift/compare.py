"""Today's predictions beside those of the validation pictures, feature by feature.

A feature has drifted where two things hold: the change is large, by the population stability index
(Siddiqi, "Credit Risk Scorecards", 2006: below 0.1 none, above 0.25 large), and it is not the luck
of the draw, by a test whose p-value is corrected for the number of features (Holm, Scand. J. Stat.
6, 1979). Size alone would call every small batch drifted, a test alone every large one. Pictures of
one lesion are not independent, so p-values are somewhat too small; the size stands beside them.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from skin_lesion.drift.features import FEATURES, Kind, watched
from skin_lesion.evaluation.figures import Figures
from skin_lesion.settings import DriftConfig

if TYPE_CHECKING:
    import pandas as pd

Level = Literal["none", "watch", "drift"]
Verdict = Literal["none", "watch", "drift", "too_few", "not_compared"]
LEVELS: tuple[Level, ...] = ("none", "watch", "drift")
# What a process that compares ends with; 1 and 2 are taken by errors and wrong arguments.
EXIT_CODES: dict[Verdict, int] = {
    "none": 0,
    "watch": 10,
    "drift": 11,
    "too_few": 12,
    "not_compared": 13,
}
# Half a picture in every bin keeps the logarithm of an empty one finite.
_HALF = 0.5
# Significant digits of the ends of a bin; the most that single precision has.
_FEWEST_DIGITS, _MOST_DIGITS = 3, 9


class FeatureDrift(Figures):
    """One feature of both tables.

    Attributes:
        name: Column.
        kind: Number or category.
        n_reference: Pictures of the reference that have a value.
        n_batch: Pictures of the batch that have one.
        bins: Names of the categories, or of the intervals of a number.
        reference: Share of the reference in each bin.
        batch: Share of the batch in each bin.
        reference_median: Of a number; None of a category.
        batch_median: Of a number; None of a category.
        psi: Population stability index, 0 or more; None where a side is too small.
        p_value: Of the hypothesis that both sides are alike; Kolmogorov-Smirnov for numbers, a
            permuted chi-squared for categories. Corrected for the number of features.
        level: What it comes to.
    """

    name: str
    kind: Kind
    n_reference: int
    n_batch: int
    bins: tuple[str, ...]
    reference: tuple[float, ...]
    batch: tuple[float, ...]
    reference_median: float | None = None
    batch_median: float | None = None
    psi: float | None = None
    p_value: float | None = None
    level: Level = "none"


class DriftReport(Figures):
    """A batch beside the reference.

    Attributes:
        verdict: The highest level of any feature, or `too_few` where either side is too small to
            tell, or `not_compared` where the model came without a reference.
        data: Name of the batch, as it was given.
        model_version: Model that answered, as the predictions name it.
        bundle_hash: Its bundle, likewise.
        n_reference: Pictures of the reference.
        n_batch: Pictures of the batch.
        features: In the order of `FEATURES`; only those that both tables have.
        limits: What the levels go by.
    """

    verdict: Verdict
    data: str
    model_version: str | None
    bundle_hash: str | None
    n_reference: int
    n_batch: int
    features: tuple[FeatureDrift, ...]
    limits: DriftConfig

    @property
    def exit_code(self) -> int:
        """For a process that was asked whether there is drift."""
        return EXIT_CODES[self.verdict]

    def at(self, level: Level) -> tuple[FeatureDrift, ...]:
        """Features of this level, the largest change first."""
        found = [feature for feature in self.features if feature.level == level]
        return tuple(sorted(found, key=lambda feature: -(feature.psi or 0.0)))

    def to_lines(self) -> list[str]:
        """The verdict for a terminal: one line, then one for each feature that changed."""
        words = {
            "none": "no drift",
            "watch": "some change: watch it",
            "drift": "DRIFT",
            "too_few": f"too few pictures to tell: {self.n_batch} beside {self.n_reference}, and "
            f"{self.limits.min_images} are needed of each",
            "not_compared": "not compared: the model was registered without its answers on the "
            "validation pictures",
        }[self.verdict]
        return [
            f"{self.data}: {words} ({self.n_batch} pictures beside {self.n_reference})",
            *(
                f"  {feature.level:<6}{FEATURES[feature.name].title}: stability index "
                f"{feature.psi:.2f}, p {feature.p_value:.1g}"
                for level in ("drift", "watch")
                for feature in self.at(level)
            ),
        ]


def compare(
    reference: "pd.DataFrame",
    batch: "pd.DataFrame",
    limits: DriftConfig,
    *,
    data: str,
) -> DriftReport:
    """Hold a batch against the reference.

    Args:
        reference: Predictions of the validation pictures, by the same model.
        batch: Predictions to be judged; columns that the reference lacks are left out.
        limits: What counts as a change.
        data: Name of the batch, for the report.

    Raises:
        ValueError: A table holds no predictions, the two share no column, or the batch was answered
            by more than one model: each has a reference of its own.
    """
    version, bundle = (_the_one(batch, name) for name in ("model_version", "bundle_hash"))
    then, now = watched(reference), watched(batch)
    shared = [name for name in then.columns if name in now.columns]
    if not shared:
        raise ValueError(
            f"reference and batch share no column: {list(then.columns)} and {list(now.columns)}"
        )
    measured = [_measure(name, then[name], now[name], limits) for name in shared]
    adjusted = holm([one.p_value for one in measured])
    features = tuple(
        one.model_copy(update={"p_value": p, "level": _level(one.psi, p, limits)})
        for one, p in zip(measured, adjusted, strict=True)
    )
    highest = max((LEVELS.index(feature.level) for feature in features), default=0)
    return DriftReport(
        verdict="too_few" if min(len(then), len(now)) < limits.min_images else LEVELS[highest],
        data=data,
        model_version=version,
        bundle_hash=bundle,
        n_reference=len(then),
        n_batch=len(now),
        features=features,
        limits=limits,
    )


def without_reference(batch: "pd.DataFrame", limits: DriftConfig, *, data: str) -> DriftReport:
    """What there is to say where the model came without a reference.

    Raises:
        ValueError: The batch was answered by more than one model.
    """
    return DriftReport(
        verdict="not_compared",
        data=data,
        model_version=_the_one(batch, "model_version"),
        bundle_hash=_the_one(batch, "bundle_hash"),
        n_reference=0,
        n_batch=len(batch),
        features=(),
        limits=limits,
    )


def stability_index(reference: NDArray[np.integer], batch: NDArray[np.integer]) -> float:
    """Population stability index of two histograms over the same bins.

    Args:
        reference: Counts, shape (K,).
        batch: Counts, shape (K,).
    """
    then = (reference + _HALF) / (reference + _HALF).sum()
    now = (batch + _HALF) / (batch + _HALF).sum()
    return float(((now - then) * np.log(now / then)).sum())


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """P-values corrected for their number by Holm's step-down rule; None stays None."""
    known = sorted((p, index) for index, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (p, index) in enumerate(known):
        highest = max(highest, min(1.0, p * (len(known) - rank)))
        corrected[index] = highest
    return corrected


def _level(psi: float | None, p_value: float | None, limits: DriftConfig) -> Level:
    if psi is None or p_value is None or p_value >= limits.significance:
        return "none"
    if psi >= limits.drift:
        return "drift"
    return "watch" if psi >= limits.watch else "none"


def _measure(
    name: str, reference: "pd.Series", batch: "pd.Series", limits: DriftConfig
) -> FeatureDrift:
    kind = FEATURES[name].kind
    then, now = reference.dropna(), batch.dropna()
    measure = _numbers if kind == "number" else _categories
    found = measure(then, now, limits)
    # A test needs pictures on both sides.
    if min(len(then), len(now)) < limits.min_images:
        found |= {"psi": None, "p_value": None}
    return FeatureDrift(name=name, kind=kind, n_reference=len(then), n_batch=len(now), **found)


def _numbers(then: "pd.Series", now: "pd.Series", limits: DriftConfig) -> dict[str, object]:
    from scipy.stats import ks_2samp

    # The reference is kept in single precision: both sides are compared in it, or equal ratios of
    # sides, such as 4 to 3, would lie in different bins.
    before, after = (side.to_numpy(np.float32).astype(np.float64) for side in (then, now))
    if not len(before) or not len(after):
        return {"bins": (), "reference": (), "batch": ()}
    # Bins that hold equally many pictures of the reference, where equal values share one, and a bin
    # on either side for what the reference never had: the only place to go from a constant.
    edges = np.unique(np.quantile(before, np.linspace(0, 1, limits.bins + 1)))
    inner = np.concatenate([[np.nextafter(edges[0], -np.inf)], edges[1 if len(edges) > 1 else 0 :]])
    counts = [
        np.bincount(np.searchsorted(inner, values, side="left"), minlength=len(inner) + 1)
        for values in (before, after)
    ]
    names = _told_apart(edges)
    return {
        "bins": (
            f"< {names[0]}",
            *(f"{low} to {high}" for low, high in pairwise(names)),
            *(names if len(names) == 1 else ()),
            f"> {names[-1]}",
        ),
        "reference": _shares(counts[0]),
        "batch": _shares(counts[1]),
        "reference_median": float(np.median(before)),
        "batch_median": float(np.median(after)),
        "psi": stability_index(*counts),
        # The exact distribution is not for values that occur more than once.
        "p_value": float(ks_2samp(before, after, method="asymp").pvalue),
    }


def _told_apart(edges: NDArray[np.float64]) -> list[str]:
    """Numbers in ascending order, each with three digits or as many as part it from those beside it."""
    names = []
    for i, edge in enumerate(edges):
        beside = [*edges[max(i - 1, 0) : i], *edges[i + 1 : i + 2]]
        for digits in range(_FEWEST_DIGITS, _MOST_DIGITS + 1):
            name = f"{edge:.{digits}g}"
            if all(name != f"{other:.{digits}g}" for other in beside):
                break
        names.append(name)
    return names


def _categories(then: "pd.Series", now: "pd.Series", limits: DriftConfig) -> dict[str, object]:
    before, after = then.astype("str"), now.astype("str")
    names = sorted({*before, *after})
    counts = [
        side.value_counts().reindex(names, fill_value=0).to_numpy(np.int64)
        for side in (before, after)
    ]
    return {
        "bins": tuple(names),
        "reference": _shares(counts[0]),
        "batch": _shares(counts[1]),
        "psi": stability_index(*counts) if names else None,
        "p_value": permuted_chi_squared(*counts, rounds=limits.permutations, seed=limits.seed),
    }


def permuted_chi_squared(
    reference: NDArray[np.integer], batch: NDArray[np.integer], *, rounds: int, seed: int
) -> float | None:
    """P-value of Pearson's chi-squared of two histograms, by permutation: rare categories are fine.

    Args:
        reference: Counts, shape (K,).
        batch: Counts, shape (K,).
        rounds: Permutations.
        seed: Of the permutations.

    Returns:
        None where a side is empty. Never below 1 / (rounds + 1).
    """
    total = reference + batch
    if not reference.sum() or not batch.sum():
        return None
    if np.count_nonzero(total) < 2:
        return 1.0
    expected = np.stack([total * (side.sum() / total.sum()) for side in (reference, batch)])
    held = total > 0
    random = np.random.default_rng([seed, 83])
    drawn = random.multivariate_hypergeometric(total, int(batch.sum()), size=rounds)

    def chi_squared(now: NDArray[np.integer]) -> NDArray[np.float64]:
        sides = np.stack([total - now, now], axis=-2)[..., held]
        values: NDArray[np.float64] = ((sides - expected[:, held]) ** 2 / expected[:, held]).sum(
            axis=(-1, -2)
        )
        return values

    # A hair of slack: equal tables must not differ by rounding.
    as_extreme = int((chi_squared(drawn) >= chi_squared(batch) - 1e-9).sum())
    return (as_extreme + 1) / (rounds + 1)


def _shares(counts: NDArray[np.integer]) -> tuple[float, ...]:
    return tuple((counts / max(counts.sum(), 1)).tolist())


def _the_one(batch: "pd.DataFrame", column: str) -> str | None:
    """The model that answered."""
    if column not in batch:
        return None
    found = sorted(set(batch[column].dropna().astype("str")))
    if len(found) > 1:
        raise ValueError(
            f"the batch was answered by {len(found)} models ({column} {', '.join(found[:4])}); "
            "compare the answers of one at a time"
        )
    return found[0] if found else None
