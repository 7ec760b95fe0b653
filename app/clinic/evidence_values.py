"""What a flag means where the disease is more or less common than in the archive, lesion by lesion."""

from dataclasses import dataclass, field

import numpy as np

from skin_lesion.decisions import OperatingPoint, target_truth
from skin_lesion.evaluation.figures import Estimate
from skin_lesion.evaluation.operating_points import FlagFigures, PointFigures
from skin_lesion.evaluation.predictive_values import PredictiveRow, predictive_values
from skin_lesion.evaluation.proportions import Flags, Values, lesion_weights
from skin_lesion.evaluation.resampling import Resamples, interval
from skin_lesion.evaluation.sample import Sample

# NICE guideline NG12 (2015) refers from this positive predictive value on.
REFERRAL = 0.03
# Where predictive values are drawn, and where the slider stops: from a screening to a tumour unit.
PREVALENCES: tuple[float, ...] = (
    0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1, 0.125, 0.15,
    0.2, 0.25, 0.3, 0.4, 0.5,
)  # fmt: skip


@dataclass(frozen=True)
class PointValues:
    """An operating point with what it came to on the test lesions, and in each resample of them.

    Attributes:
        point: As frozen.
        figures: As recorded.
        sensitivity: With each lesion weighing the same, in each resample, shape (B,).
        specificity: The same of lesions without the target.
        prevalence: Share of the target among the test lesions.
    """

    point: OperatingPoint
    figures: FlagFigures
    sensitivity: Values = field(repr=False)
    specificity: Values = field(repr=False)
    prevalence: float

    def at(self, prevalence: float) -> PredictiveRow:
        """Predictive values where the target is this common, by Bayes' rule.

        Both rise with sensitivity and with specificity. Where all resamples agree, as they do if
        nothing was missed, their ends are those that the ends of the two give, which is wider.

        Raises:
            ValueError: The prevalence is not from 0 to 1.
        """
        seen = self.figures.lesion_sensitivity, self.figures.lesion_specificity
        value = predictive_values(_known(seen[0].value), _known(seen[1].value), prevalence)
        drawn = predictive_values(self.sensitivity, self.specificity, prevalence)
        low = predictive_values(_known(seen[0].ci_low), _known(seen[1].ci_low), prevalence)
        high = predictive_values(_known(seen[0].ci_high), _known(seen[1].ci_high), prevalence)
        return PredictiveRow(
            prevalence=prevalence,
            ppv=_estimate(value.ppv, drawn.ppv, low.ppv, high.ppv),
            npv=_estimate(value.npv, drawn.npv, low.npv, high.npv),
        )

    def prevalence_for(self, ppv: float) -> float | None:
        """How common the target has to be for this positive predictive value; None if never."""
        sensitivity = _known(self.figures.lesion_sensitivity.value)
        alarms = 1 - _known(self.figures.lesion_specificity.value)
        found = ppv * alarms / (sensitivity * (1 - ppv) + ppv * alarms) if sensitivity else np.nan
        return float(found) if np.isfinite(found) else None


def point_values(
    sample: Sample, points: tuple[PointFigures, ...], *, count: int, seed: int
) -> dict[str, PointValues]:
    """Every operating point by its name.

    Args:
        sample: The test images.
        points: As recorded.
        count: Number of resamples.
        seed: Of the lesions drawn.
    """
    resamples = Resamples.over_lesions(sample.groups, count, seed)
    found = {}
    for one in points:
        flagged = one.point.positive(sample.probabilities)
        positive = target_truth(sample.truth, one.point.target)
        lesions = one.figures.positive_lesions + one.figures.negative_lesions
        found[one.point.name] = PointValues(
            point=one.point,
            figures=one.figures,
            sensitivity=_lesion_means(resamples, sample, flagged, positive),
            specificity=_lesion_means(resamples, sample, ~flagged, ~positive),
            prevalence=one.figures.positive_lesions / lesions if lesions else float("nan"),
        )
    return found


def _lesion_means(resamples: Resamples, sample: Sample, hits: Flags, of: Flags) -> Values:
    """Share of hits with each lesion weighing the same, in each resample; NaN without any."""
    weights = lesion_weights(sample.groups, of)
    with np.errstate(invalid="ignore", divide="ignore"):
        means: Values = resamples.sums(weights * hits) / resamples.sums(weights)
    return means


def _estimate(value: Values, drawn: Values, low: Values, high: Values) -> Estimate:
    shown = float(value)
    if not np.isfinite(shown):
        return Estimate(value=None)
    ends = interval(drawn)
    if ends is not None and ends.ci_low < ends.ci_high:
        return Estimate(value=shown, ci_low=ends.ci_low, ci_high=ends.ci_high)
    if np.isfinite(low) and np.isfinite(high):
        return Estimate(value=shown, ci_low=float(low), ci_high=float(high))
    return Estimate(value=shown)


def _known(value: float | None) -> float:
    return float("nan") if value is None else value
