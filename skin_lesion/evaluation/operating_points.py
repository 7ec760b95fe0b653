"""Operating points: from which probability a picture counts as suspicious, and what that costs.

Chosen on validation with each lesion weighing the same (its images share weight 1), since the
promise is about the next lesion: one that was photographed six times must not count six times.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from skin_lesion.decisions import (
    OperatingPoint,
    Probabilities,
    Target,
    target_score,
    target_truth,
)
from skin_lesion.evaluation.figures import Estimate, Figures
from skin_lesion.evaluation.proportions import (
    Flags,
    Groups,
    Values,
    cut_points,
    lesion_share,
    lesion_weights,
    sums_above,
)
from skin_lesion.evaluation.resampling import Resamples, share
from skin_lesion.evaluation.sample import Sample

Truth = NDArray[np.int64]
# Sums of thirds and sixths miss a goal by rounding alone.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class PointGoal:
    """What is asked of an operating point; attributes as in `OperatingPoint`."""

    name: str
    target: Target
    criterion: Literal["sensitivity", "ppv"]
    goal: float


# 3 % is the positive predictive value from which NICE guideline NG12 (2015) refers a patient.
GOALS: tuple[PointGoal, ...] = (
    PointGoal("melanoma_sensitivity_90", "melanoma", "sensitivity", 0.90),
    PointGoal("melanoma_sensitivity_95", "melanoma", "sensitivity", 0.95),
    PointGoal("malignant_sensitivity_95", "malignant", "sensitivity", 0.95),
    PointGoal("melanoma_ppv_3", "melanoma", "ppv", 0.03),
)


class FlagFigures(Figures):
    """What it comes to when these pictures are flagged and the others are not.

    Counts and shares are of images unless a name says otherwise; intervals are over lesions.

    Attributes:
        tp: Flagged images of the target.
        fp: Flagged images of the rest.
        tn: Images of the rest that are not flagged.
        fn: Images of the target that are not flagged.
        positive_lesions: Lesions with an image of the target.
        negative_lesions: Lesions with an image of the rest.
        sensitivity: Share of the images of the target that are flagged.
        specificity: Share of the images of the rest that are not flagged.
        ppv: Share of the flagged images that are of the target, at the sample's prevalence.
        npv: Share of the images not flagged that are of the rest, at the sample's prevalence.
        number_needed_to_biopsy: Flagged images for each one of the target, 1 / PPV; at least 1.
        flagged: Share of all images that are flagged.
        lesion_sensitivity: Sensitivity with each lesion weighing the same, which is what a
            sensitivity goal is about.
        lesion_specificity: Specificity with each lesion weighing the same.
    """

    tp: int
    fp: int
    tn: int
    fn: int
    positive_lesions: int
    negative_lesions: int
    sensitivity: Estimate
    specificity: Estimate
    ppv: Estimate
    npv: Estimate
    number_needed_to_biopsy: Estimate
    flagged: Estimate
    lesion_sensitivity: Estimate
    lesion_specificity: Estimate


class PointFigures(Figures):
    """A frozen operating point and what it comes to on a sample."""

    point: OperatingPoint
    figures: FlagFigures


class CrossFittedPoint(Figures):
    """How far a threshold flatters itself on the images it was chosen on.

    Attributes:
        name: Of the operating point.
        folds: Lesion-grouped folds of validation.
        fold_thresholds: Threshold chosen without each fold.
        fitted: Figures at the frozen threshold, on the images it was chosen on.
        cross_fitted: Figures with each image judged at the threshold chosen without its fold.
    """

    name: str
    folds: int
    fold_thresholds: tuple[float, ...]
    fitted: FlagFigures
    cross_fitted: FlagFigures


def choose_operating_points(
    probabilities: Probabilities, truth: Truth, groups: Groups
) -> tuple[OperatingPoint, ...]:
    """Find the threshold of each of `GOALS` on validation.

    Sensitivity points: the largest threshold that still flags the asked share of the lesions of the
    target. It counts as reached with at least 1 / (1 - goal) such lesions; with fewer, the goal
    could only be met by missing none, and the threshold hangs on the one lowest score. Without any
    such lesion the threshold is 0, which flags everything.

    The referral point flags every picture whose own calibrated risk is at least the goal, so its
    threshold is the goal: with calibrated probabilities that risk is the picture's predictive
    value, and it is the patient in front of one that NG12's 3 % is about. A threshold at which the
    flagged pictures together hold 3 % melanoma would be 0 wherever melanoma is more common than
    that, as in every dermatoscopic archive. It counts as reached where at least 1 / goal lesions
    are flagged and the target's share among them is at least the goal. The risk is that at the
    prevalence of validation; elsewhere it has to be recomputed.

    Args:
        probabilities: Cross-fitted calibrated ones of validation, shape (N, 7).
        truth: Index of the true class, shape (N,).
        groups: Number of the lesion group of each image, from 0, shape (N,).

    Raises:
        ValueError: No images, lengths that differ, or a probability outside 0 to 1.
    """
    return tuple(_choose(goal, probabilities, truth, groups) for goal in GOALS)


def measure_point(sample: Sample, point: OperatingPoint, resamples: Resamples) -> PointFigures:
    """What a frozen operating point comes to on other images.

    Args:
        sample: N images.
        point: As frozen.
        resamples: Of the same images.

    Raises:
        ValueError: The resamples are of another number of images.
    """
    figures = _flag_figures(
        point.positive(sample.probabilities),
        target_truth(sample.truth, point.target),
        sample.groups,
        resamples,
    )
    return PointFigures(point=point, figures=figures)


def cross_fitted_point(
    probabilities: Probabilities,
    truth: Truth,
    groups: Groups,
    point: OperatingPoint,
    resamples: Resamples,
    *,
    folds: int,
    seed: int,
) -> CrossFittedPoint:
    """Choose the threshold again without each fold, and judge that fold by it.

    Args:
        probabilities: Cross-fitted calibrated ones of validation, shape (N, 7).
        truth: Index of the true class, shape (N,).
        groups: Number of the lesion group of each image, from 0, shape (N,).
        point: Chosen on the same images.
        resamples: Of the same images.
        folds: Number of folds; fewer where there are fewer lesions.
        seed: Which lesions share a fold.

    Raises:
        ValueError: Fewer than two lesions, or as for `choose_operating_points`.
    """
    from sklearn.model_selection import GroupKFold

    lesions = len(np.unique(groups))
    if lesions < 2:
        raise ValueError(f"got {lesions} lesion(s); cross-fitting needs at least 2")
    goal = PointGoal(point.name, point.target, point.criterion, point.goal)
    flagged = np.zeros(len(truth), bool)
    thresholds: list[float] = []
    splitter = GroupKFold(min(folds, lesions), shuffle=True, random_state=seed)
    for others, fold in splitter.split(probabilities, truth, groups):
        refitted = _choose(goal, probabilities[others], truth[others], groups[others])
        flagged[fold] = refitted.positive(probabilities[fold])
        thresholds.append(refitted.threshold)
    positive = target_truth(truth, point.target)
    return CrossFittedPoint(
        name=point.name,
        folds=len(thresholds),
        fold_thresholds=tuple(thresholds),
        fitted=_flag_figures(point.positive(probabilities), positive, groups, resamples),
        cross_fitted=_flag_figures(flagged, positive, groups, resamples),
    )


def _choose(
    goal: PointGoal, probabilities: Probabilities, truth: Truth, groups: Groups
) -> OperatingPoint:
    if not 0 < len(probabilities) == len(truth) == len(groups):
        raise ValueError(
            f"{len(probabilities)} rows of probabilities, {len(truth)} true classes and "
            f"{len(groups)} groups; expected one of each for every image, and at least one image"
        )
    if not ((probabilities >= 0) & (probabilities <= 1)).all():
        raise ValueError("a probability is not from 0 to 1; pass calibrated probabilities")
    score = target_score(probabilities, goal.target)
    positive = target_truth(truth, goal.target)
    if goal.criterion == "ppv":
        threshold, reached = _by_risk(goal.goal, score, positive, groups)
    else:
        threshold, reached = _by_sensitivity(goal.goal, score, positive, groups)
    return OperatingPoint(
        name=goal.name,
        target=goal.target,
        criterion=goal.criterion,
        goal=goal.goal,
        threshold=threshold,
        reached=reached,
    )


def _by_sensitivity(
    goal: float, score: Values, positive: Flags, groups: Groups
) -> tuple[float, bool]:
    weights = lesion_weights(groups, positive)
    lesions = len(np.unique(groups[positive]))
    if not lesions:
        return 0.0, False
    cuts = cut_points(score)
    sensitivity = sums_above(score, cuts, weights) / weights.sum()
    largest = np.flatnonzero(sensitivity >= goal - _ROUNDING)[-1]
    return float(cuts[largest]), lesions >= 1 / (1 - goal) - _ROUNDING


def _by_risk(goal: float, score: Values, positive: Flags, groups: Groups) -> tuple[float, bool]:
    flagged = score >= goal
    weights = lesion_weights(groups, flagged)
    lesions = len(np.unique(groups[flagged]))
    enough = lesions >= 1 / goal - _ROUNDING
    return goal, bool(enough and (weights * positive).sum() / lesions >= goal - _ROUNDING)


def _flag_figures(
    flagged: Flags, positive: Flags, groups: Groups, resamples: Resamples
) -> FlagFigures:
    if resamples.weights.shape[1] != len(flagged):
        raise ValueError(
            f"the resamples are of {resamples.weights.shape[1]} images, the sample has "
            f"{len(flagged)}; draw them from the sample's own groups"
        )
    ppv = share(resamples, positive, flagged)
    return FlagFigures(
        tp=int((flagged & positive).sum()),
        fp=int((flagged & ~positive).sum()),
        tn=int((~flagged & ~positive).sum()),
        fn=int((~flagged & positive).sum()),
        positive_lesions=len(np.unique(groups[positive])),
        negative_lesions=len(np.unique(groups[~positive])),
        sensitivity=share(resamples, flagged, positive),
        specificity=share(resamples, ~flagged, ~positive),
        ppv=ppv,
        npv=share(resamples, ~positive, ~flagged),
        number_needed_to_biopsy=_inverse(ppv),
        flagged=share(resamples, flagged),
        lesion_sensitivity=lesion_share(resamples, flagged, groups, positive),
        lesion_specificity=lesion_share(resamples, ~flagged, groups, ~positive),
    )


def _inverse(share: Estimate) -> Estimate:
    """1 / share; without an interval where that would have no upper end."""
    if not share.value:
        return Estimate(value=None)
    if not share.ci_low or not share.ci_high:
        return Estimate(value=1 / share.value)
    return Estimate(value=1 / share.value, ci_low=1 / share.ci_high, ci_high=1 / share.ci_low)
