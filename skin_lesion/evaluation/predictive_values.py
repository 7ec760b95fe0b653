"""What a flag means where the disease is more or less common than in the archive.

A dermatoscopic archive holds far more melanoma than a practice sees, so predictive values measured
on it flatter a flag; sensitivity and specificity carry over better.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from skin_lesion.decisions import OperatingPoint, target_truth
from skin_lesion.evaluation.figures import Estimate, Figures
from skin_lesion.evaluation.proportions import Flags, Values
from skin_lesion.evaluation.resampling import Resamples, estimate
from skin_lesion.evaluation.sample import Sample


@dataclass(frozen=True)
class PredictiveValues:
    """Predictive values by Bayes' rule, NaN where nothing would be flagged, or everything.

    Attributes:
        ppv: Positive predictive value.
        npv: Negative predictive value, same shape.
    """

    ppv: Values
    npv: Values


class PredictiveRow(Figures):
    """What a flag means where the target is this common.

    Attributes:
        prevalence: Share of the pictures that are of the target, 0 to 1.
        ppv: Share of the flagged pictures that are of the target.
        npv: Share of the pictures not flagged that are not.
    """

    prevalence: float
    ppv: Estimate
    npv: Estimate


class PredictiveFigures(Figures):
    """Predictive values of one operating point at several prevalences.

    They hold as far as sensitivity and specificity carry over to the other population.

    Attributes:
        name: Of the operating point.
        sample_prevalence: Share of the target among the measured images.
        rows: One for each prevalence.
    """

    name: str
    sample_prevalence: float
    rows: tuple[PredictiveRow, ...]


def predictive_values(
    sensitivity: ArrayLike, specificity: ArrayLike, prevalence: ArrayLike
) -> PredictiveValues:
    """Predictive values where the target is more or less common; shapes are broadcast.

    Args:
        sensitivity: 0 to 1.
        specificity: 0 to 1.
        prevalence: 0 to 1.

    Raises:
        ValueError: A prevalence outside 0 to 1.
    """
    sens, spec, prior = (
        np.asarray(values, dtype=np.float64) for values in (sensitivity, specificity, prevalence)
    )
    if not ((prior >= 0) & (prior <= 1)).all():
        raise ValueError(f"prevalence is {prior}; expected shares from 0 to 1")
    hits, false_alarms = sens * prior, (1 - spec) * (1 - prior)
    misses, cleared = (1 - sens) * prior, spec * (1 - prior)
    with np.errstate(invalid="ignore", divide="ignore"):
        return PredictiveValues(hits / (hits + false_alarms), cleared / (cleared + misses))


def predictive_figures(
    sample: Sample, point: OperatingPoint, resamples: Resamples, *, prevalences: Sequence[float]
) -> PredictiveFigures:
    """Predictive values of a frozen operating point at several prevalences.

    There is no interval where all resamples agree, as they do if nothing was missed.

    Args:
        sample: N images.
        point: As frozen.
        resamples: Of the same images.
        prevalences: Shares of the target, 0 to 1.
    """
    flagged = point.positive(sample.probabilities)
    positive = target_truth(sample.truth, point.target)
    values = predictive_values(
        _mean(flagged[positive]), _mean(~flagged[~positive]), np.asarray(prevalences)
    )
    resampled = predictive_values(
        resamples.means(flagged, positive)[:, None],
        resamples.means(~flagged, ~positive)[:, None],
        np.asarray(prevalences),
    )
    rows = tuple(
        PredictiveRow(
            prevalence=float(prevalence),
            ppv=estimate(float(values.ppv[i]), resampled.ppv[:, i]),
            npv=estimate(float(values.npv[i]), resampled.npv[:, i]),
        )
        for i, prevalence in enumerate(prevalences)
    )
    return PredictiveFigures(name=point.name, sample_prevalence=_mean(positive), rows=rows)


def _mean(flags: Flags) -> float:
    return float(flags.mean()) if len(flags) else float("nan")
