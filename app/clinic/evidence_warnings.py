"""What to beware of in a model, from its own figures, the gravest first: the numbers, not the words.

The order is that of the evaluation report's first page.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from skin_lesion.decisions import OperatingPoint
from skin_lesion.evaluation.evidence import Evidence
from skin_lesion.evaluation.figures import Estimate
from skin_lesion.evaluation.operating_points import PointFigures
from skin_lesion.labels import LABELS, MELANOMA_INDEX

Kind = Literal[
    "missed_melanomas", "sure_misses", "one_source", "unanswered", "strangers", "fragile"
]
SHOWN = 3
_POINT = "melanoma_sensitivity_95"
# As on the report's first page: melanomas that get no answer, pictures from outside that get one,
# and what a perturbation takes from the balanced accuracy.
_MANY_REFUSED, _FEW_REFUSED, _LARGE_DROP = 0.1, 0.9, 0.1


@dataclass(frozen=True)
class Warned:
    """One thing to beware of.

    Attributes:
        kind: What.
        share: The figure that says how much; None where a count or nothing does.
        other: A second figure.
        count: A number of pictures.
        of: Out of how many.
        point: The operating point that it is about.
        name: Code of what it is about: a kind of outlier, or a perturbation.
    """

    kind: Kind
    share: Estimate | None = None
    other: Estimate | None = None
    count: int = 0
    of: int = 0
    point: OperatingPoint | None = field(default=None, repr=False)
    name: str = ""


def warnings(evidence: Evidence, *, synthetic: bool) -> Iterator[Warned]:
    """What to beware of, the gravest first.

    Args:
        evidence: What was measured.
        synthetic: Whether every picture is drawn, which stands on every page anyway.
    """
    yield from _missed_melanomas(evidence)
    yield from _sure_misses(evidence)
    if not synthetic:
        yield Warned("one_source")
    yield from _unanswered(evidence)
    yield from _strangers(evidence)
    yield from _fragile(evidence)


def main_point(evidence: Evidence) -> PointFigures | None:
    """The operating point that a reader looks at first; None where the model has none."""
    points = evidence.operating_points
    return next((one for one in points if one.point.name == _POINT), points[0] if points else None)


def _missed_melanomas(evidence: Evidence) -> Iterator[Warned]:
    found = main_point(evidence)
    if found is None or found.point.target != "melanoma":
        return
    sensitivity = found.figures.lesion_sensitivity
    if sensitivity.value not in (None, 1.0):
        yield Warned(
            "missed_melanomas",
            share=sensitivity,
            other=found.figures.lesion_specificity,
            of=found.figures.positive_lesions,
            point=found.point,
        )


def _sure_misses(evidence: Evidence) -> Iterator[Warned]:
    if evidence.confidence is None:
        return
    high = evidence.confidence.bands[0]
    missed = round((high.melanoma_missed.value or 0.0) * high.n_melanomas)
    if missed:
        yield Warned("sure_misses", share=high.melanoma_missed, count=missed, of=high.n_melanomas)


def _unanswered(evidence: Evidence) -> Iterator[Warned]:
    melanoma = LABELS[MELANOMA_INDEX]
    if evidence.refusals is None or melanoma not in evidence.refusals.per_class:
        return
    refused = evidence.refusals.per_class[melanoma].refused
    if (refused.value or 0.0) > _MANY_REFUSED:
        yield Warned("unanswered", share=refused)


def _strangers(evidence: Evidence) -> Iterator[Warned]:
    outliers = evidence.refusals.outliers if evidence.refusals else {}
    known = {kind: one.refused for kind, one in outliers.items() if one.refused.value is not None}
    if not known:
        return
    kind = min(known, key=lambda one: known[one].value or 0.0)
    if (known[kind].value or 0.0) < _FEW_REFUSED:
        yield Warned("strangers", share=known[kind], name=str(kind))


def _fragile(evidence: Evidence) -> Iterator[Warned]:
    if evidence.robustness is None:
        return
    drops = [
        (strongest.drop.balanced_accuracy, name)
        for name, one in evidence.robustness.perturbations.items()
        for strongest in one.strengths[-1:]
    ]
    drop, name = max(
        drops, key=lambda pair: pair[0].value or 0.0, default=(Estimate(value=0.0), "")
    )
    if (drop.value or 0.0) > _LARGE_DROP:
        yield Warned("fragile", share=drop, name=name)
