"""When there must be no answer: which gates are frozen, and what they refuse.

Two gates stand before an answer: the picture's quality, and its likeness to the training pictures.
Both are set on validation pictures. The score for likeness is chosen by one half of the photographs
without a lesion; the other half, which had no say, is what is reported on beside the test split.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skin_lesion.decisions import Limits, OodGate, OodScore
from skin_lesion.evaluation.calibration_choice import lesion_folds
from skin_lesion.evaluation.figures import Estimate, Figures
from skin_lesion.evaluation.outliers import SELECTION_SOURCES
from skin_lesion.evaluation.ranking import Ranking
from skin_lesion.evaluation.resampling import Resamples, estimate, share
from skin_lesion.evaluation.sample import Sample
from skin_lesion.ood import OodReference, score
from skin_lesion.quality import Quality, fit_quality_limits, judge

OutlierKind = Literal["crops", "corruptions", "skin"]
Flags = NDArray[np.bool_]
Scores = NDArray[np.float64]

KINDS: tuple[OutlierKind, ...] = get_args(OutlierKind)
# Where two scores separate equally well, the one that needs less at serving time is taken.
_CHEAPEST_FIRST: tuple[OodScore, ...] = ("energy", "max_softmax", "mahalanobis", "knn")
_ROUNDING = 1e-9


@dataclass(frozen=True)
class OutlierSample:
    """Pictures that should be refused, with what the model says of them.

    Attributes:
        source: Photograph, kind of corruption or drawing that each comes from, shape (n,).
        cluster: Name of what each shares its fate with: the photograph, or the lesion group of the
            spoilt picture; the unit of resampling; shape (n,).
        logits: Shape (n, 7), as the serving export gives them.
        features: Pooled features, shape (n, C).
        qualities: Measures of each.
    """

    source: NDArray[np.str_]
    cluster: NDArray[np.str_]
    logits: NDArray[np.float32]
    features: NDArray[np.float32]
    qualities: tuple[Quality, ...]

    def __len__(self) -> int:
        return len(self.source)

    @cached_property
    def groups(self) -> NDArray[np.int64]:
        """Number of the cluster of each, from 0, shape (n,)."""
        return np.asarray(pd.factorize(self.cluster, sort=True)[0], dtype=np.int64)

    def of_sources(self, names: frozenset[str]) -> "OutlierSample":
        """Those that come from some sources."""
        rows = np.flatnonzero(np.isin(self.source, sorted(names)))
        return OutlierSample(
            self.source[rows],
            self.cluster[rows],
            self.logits[rows],
            self.features[rows],
            tuple(self.qualities[row] for row in rows),
        )


class Separation(Figures):
    """How well a score tells pictures of lesions from those that should be refused.

    Attributes:
        auroc: Chance that an outlier of each kind scores higher than a picture of a lesion, with
            an interval over lesions and over what the outliers come from; by kind.
        n_outliers: Pictures of each kind.
        n_clusters: What they come from, of each kind. An interval over a dozen photographs or fewer
            is indicative.
    """

    auroc: dict[OutlierKind, Estimate]
    n_outliers: dict[OutlierKind, int]
    n_clusters: dict[OutlierKind, int]


class OodChoice(Figures):
    """Both gates as they were set on validation, and why.

    Attributes:
        limits: Acceptable range of each measure of quality, by its name.
        gate: The chosen score and its threshold.
        separations: Every score on validation, by its name.
        selection_sources: Photographs that the choice looked at.
        acceptance: Share of the validation pictures that had to be accepted.
        accepted: Share that both gates accept where they were set: at least as many.
        accepted_cross_fitted: The same, each picture by gates set without its fold of lesions.
        refused_by_quality: Validation pictures that the gate for quality refuses.
        n_images: Validation pictures.
    """

    limits: dict[str, Limits]
    gate: OodGate
    separations: dict[OodScore, Separation]
    selection_sources: tuple[str, ...]
    acceptance: float
    accepted: float
    accepted_cross_fitted: Estimate
    refused_by_quality: int
    n_images: int


def choose_ood_gate(
    validation: Sample,
    qualities: Sequence[Quality],
    outliers: Mapping[OutlierKind, OutlierSample],
    reference: OodReference,
    *,
    acceptance: float,
    quality_share: float,
    min_short_side: float,
    max_aspect: float,
    neighbours: int,
    folds: int,
    resamples: int,
    seed: int,
) -> OodChoice:
    """Set both gates: quality first, likeness with what quality leaves of the budget.

    Args:
        validation: All that counts as pictures of lesions here.
        qualities: Measures of its pictures.
        outliers: Must hold `crops`. Of these, only those of the half of the photographs meant for
            selection are looked at, and they alone choose; other kinds are reported on.
        reference: The training pictures.
        acceptance: Share of the validation pictures that both gates together accept, 0 to 1.
        quality_share: Share of what is refused that the gate for quality may refuse, 0 to 1.
        min_short_side: Shortest side of a source picture, in pixels.
        max_aspect: Largest ratio of its sides.
        neighbours: Rank of the neighbour that `knn` goes by.
        folds: Folds of lesions for the cross-fit.
        resamples: Bootstrap resamples.
        seed: Of the folds and the resamples.

    Raises:
        ValueError: There are no crops of the half meant for selection.
    """
    seen = {**outliers, "crops": outliers["crops"].of_sources(SELECTION_SOURCES)}
    if not len(seen["crops"]):
        raise ValueError(
            f"no crop comes from the photographs meant for selection, {sorted(SELECTION_SOURCES)}; make "
            "them with skin_lesion.evaluation.outliers.non_lesion_crops"
        )
    lesions = Resamples.over_lesions(validation.groups, resamples, seed)
    separations = separate(validation, seen, reference, neighbours, lesions, seed)
    best = max(_CHEAPEST_FIRST, key=lambda kind: separations[kind].auroc["crops"].value or 0.0)
    scores = score(best, validation.logits, validation.features, reference, neighbours)
    budget = _Budget(acceptance, quality_share, min_short_side, max_aspect)
    limits, threshold = budget.fit(qualities, scores)
    fold_of = lesion_folds(validation.truth, validation.groups, folds=folds, seed=seed)
    return OodChoice(
        limits=limits,
        gate=OodGate(score=best, threshold=threshold, neighbours=neighbours),
        separations=separations,
        selection_sources=tuple(sorted(SELECTION_SOURCES)),
        acceptance=acceptance,
        accepted=float(_accepted(qualities, scores, limits, threshold).mean()),
        accepted_cross_fitted=share(lesions, _cross_fitted(budget, qualities, scores, fold_of)),
        refused_by_quality=int((~_good(qualities, limits)).sum()),
        n_images=len(validation),
    )


def separate(
    sample: Sample,
    outliers: Mapping[OutlierKind, OutlierSample],
    reference: OodReference,
    neighbours: int,
    lesions: Resamples,
    seed: int,
) -> dict[OodScore, Separation]:
    """How well every score that the reference suffices for tells outliers from a sample.

    Args:
        sample: Pictures of lesions.
        outliers: By kind.
        reference: The training pictures; it may lack what some scores need.
        neighbours: Rank of the neighbour that `knn` goes by.
        lesions: Resamples of the sample.
        seed: Of the resamples of the outliers.
    """
    # A seed of its own for each kind: equal ones would draw lesions and outliers in step.
    drawn = {
        kind: Resamples.over_lesions(found.groups, len(lesions.weights), seed + 1 + index)
        for index, (kind, found) in enumerate(outliers.items())
    }
    separations: dict[OodScore, Separation] = {}
    for kind in reference.scores:
        inside = score(kind, sample.logits, sample.features, reference, neighbours)
        auroc = {
            name: _auroc(
                inside,
                score(kind, found.logits, found.features, reference, neighbours),
                lesions,
                drawn[name],
            )
            for name, found in outliers.items()
        }
        separations[kind] = Separation(
            auroc=auroc,
            n_outliers={name: len(found) for name, found in outliers.items()},
            n_clusters={name: len(np.unique(found.groups)) for name, found in outliers.items()},
        )
    return separations


@dataclass(frozen=True)
class _Budget:
    """How much may be refused, and by which gate."""

    acceptance: float
    quality_share: float
    min_short_side: float
    max_aspect: float

    def fit(self, qualities: Sequence[Quality], scores: Scores) -> tuple[dict[str, Limits], float]:
        """Limits of quality, and the largest score that is still accepted."""
        limits = fit_quality_limits(
            qualities,
            acceptance=self.acceptance,
            quality_share=self.quality_share,
            min_short_side=self.min_short_side,
            max_aspect=self.max_aspect,
        )
        good = _good(qualities, limits)
        left = int((1 - self.acceptance) * len(scores) + _ROUNDING) - int((~good).sum())
        descending = np.sort(scores[good])[::-1]
        return limits, float(descending[max(left, 0)])


def _cross_fitted(
    budget: _Budget, qualities: Sequence[Quality], scores: Scores, fold_of: NDArray[np.int64]
) -> Flags:
    """Whether gates set without its fold accept each picture, shape (N,)."""
    accepted = np.empty(len(scores), bool)
    for fold in np.unique(fold_of):
        held = fold_of == fold
        inside, outside = _rows(qualities, held), _rows(qualities, ~held)
        limits, threshold = budget.fit(outside, scores[~held])
        accepted[held] = _accepted(inside, scores[held], limits, threshold)
    return accepted


def _rows(qualities: Sequence[Quality], of: Flags) -> list[Quality]:
    return [quality for quality, chosen in zip(qualities, of, strict=True) if chosen]


def _good(qualities: Sequence[Quality], limits: Mapping[str, Limits]) -> Flags:
    return np.array([judge(quality, limits) is None for quality in qualities])


def _accepted(
    qualities: Sequence[Quality], scores: Scores, limits: Mapping[str, Limits], threshold: float
) -> Flags:
    return _good(qualities, limits) & (scores <= threshold)


def _auroc(inside: Scores, outside: Scores, lesions: Resamples, clusters: Resamples) -> Estimate:
    """Chance that an outlier scores higher; lesions and clusters are drawn independently."""
    outlying = np.arange(len(inside) + len(outside)) >= len(inside)
    scores = np.concatenate([inside, outside])
    once = Ranking.of(np.ones((1, len(scores)), np.float32), outlying, scores).aucs()
    weights = np.hstack([lesions.weights, clusters.weights])
    return estimate(float(once[0]), Ranking.of(weights, outlying, scores).aucs())
