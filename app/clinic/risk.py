"""How dangerous it would be: the level of malignancy risk, by the model's frozen operating points.

Confidence says how sure the model is of its most probable class. Risk says how much of its
probability lies on malignant classes, and does not care which class is the most probable. The rule,
with p(mel) the melanoma probability, p(mal) the summed probability of the malignant classes, and
each operating point looking at the one that is its target:

- `very_high`: p(mal) is at least one half, so that malignancy is as probable as not.
- `high`: at or above the most specific sensitivity point of a target, which is the one with the
  highest threshold.
- `raised`: at or above any other point, be it for sensitivity or for a predictive value.
- `low`: below all of them. It is the absence of a signal, never a statement that a lesion is safe.

The first that holds counts. More malignant probability never lowers the level. A point that
validation could not reach goes on counting where it raises the level, but cannot vouch for `low`; nor
can a model that has no point for one of the targets. Such a picture has no level (None) unless it is
raised.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from skin_lesion.decisions import Decisions, OperatingPoint, Target
from skin_lesion.prediction import Prediction

RiskLevel = Literal["low", "raised", "high", "very_high"]
# From the least to the gravest.
RISK_LEVELS: tuple[RiskLevel, ...] = get_args(RiskLevel)

AS_PROBABLE_AS_NOT = 0.5
_TARGETS: tuple[Target, ...] = get_args(Target)
_MELANOMA = "mel"


@dataclass(frozen=True)
class Risk:
    """How much of the probability lies on malignant classes, and what that counts as.

    Attributes:
        level: None where the model has no threshold that could vouch for `low`.
        malignant: Summed probability of the malignant classes, 0 to 1.
        melanoma: Probability of melanoma, 0 to 1.
        crossed: Operating points that the picture is at or above, in the contract's order.
        points: How many there are.
    """

    level: RiskLevel | None
    malignant: float
    melanoma: float
    crossed: tuple[OperatingPoint, ...]
    points: int

    @property
    def rank(self) -> int:
        """For sorting, higher is graver; what has no level stands with `raised`, not with `low`."""
        return RISK_LEVELS.index(self.level or "raised")


def risk_of(prediction: Prediction, decisions: Decisions | None) -> Risk | None:
    """The risk of a picture; None where it was not assessed, and so says nothing about risk.

    Args:
        prediction: The answer.
        decisions: What was frozen with the model that gave it.
    """
    if prediction.probabilities is None or prediction.malignant_probability is None:
        return None
    return risk(
        prediction.probabilities[_MELANOMA],
        prediction.malignant_probability,
        decisions.operating_points if decisions else (),
    )


def risk(melanoma: float, malignant: float, points: Sequence[OperatingPoint]) -> Risk:
    """The risk of two probabilities.

    Args:
        melanoma: Probability of melanoma.
        malignant: Summed probability of the malignant classes.
        points: The model's operating points.
    """
    score = {"melanoma": melanoma, "malignant": malignant}
    crossed = tuple(point for point in points if score[point.target] >= point.threshold)
    level: RiskLevel | None
    if malignant >= AS_PROBABLE_AS_NOT:
        level = "very_high"
    elif any(score[point.target] >= point.threshold for point in _most_specific(points)):
        level = "high"
    elif crossed:
        level = "raised"
    else:
        level = "low" if _vouches_for_low(points) else None
    return Risk(level, malignant, melanoma, crossed, len(points))


def _most_specific(points: Sequence[OperatingPoint]) -> Iterator[OperatingPoint]:
    """The sensitivity point with the highest threshold, of each target that has one."""
    for target in _TARGETS:
        of_target = [
            point for point in points if point.target == target and point.criterion == "sensitivity"
        ]
        if of_target:
            yield max(of_target, key=lambda point: point.threshold)


def _vouches_for_low(points: Sequence[OperatingPoint]) -> bool:
    vouching = {
        point.target for point in points if point.criterion == "sensitivity" and point.reached
    }
    return vouching.issuperset(_TARGETS)
