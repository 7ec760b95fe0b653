"""What to beware of in a model, from its own figures, the gravest first: the numbers, not the words.

The report words them in HTML, the dashboard in the language of its reader.
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
Unit = Literal["image", "lesion"]
SHOWN = 3
MAIN_POINT = "melanoma_sensitivity_95"
# From here on something is worth a warning: melanomas that get no answer, pictures from outside that
# get one, and what a perturbation takes from the balanced accuracy.
_MANY_REFUSED, _FEW_REFUSED, _LARGE_DROP = 0.1, 0.9, 0.1


@dataclass(frozen=True)
class Caution:
    """One thing to beware of.

    Attributes:
        kind: What.
        share: The figure that says how much; None where a count or nothing does.
        other: A second figure: of the missed melanomas' point, its specificity by lesion, or the share
            of all images that it flags.
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


def cautions(evidence: Evidence, *, synthetic: bool, unit: Unit) -> Iterator[Caution]:
    """What to beware of, the gravest first.

    Args:
        evidence: What was measured.
        synthetic: Whether every picture is drawn, which is said elsewhere.
        unit: What melanomas are counted by: one missed in a picture may be found in the next.
    """
    yield from _missed_melanomas(evidence, unit)
    yield from _sure_misses(evidence)
    if not synthetic:
        yield Caution("one_source")
    yield from _unanswered(evidence)
    yield from _strangers(evidence)
    yield from _fragile(evidence)


def main_point(evidence: Evidence) -> PointFigures | None:
    """The operating point that a reader looks at first; None where the model has none."""
    points = evidence.operating_points
    return next(
        (one for one in points if one.point.name == MAIN_POINT), points[0] if points else None
    )


def _missed_melanomas(evidence: Evidence, unit: Unit) -> Iterator[Caution]:
    found = main_point(evidence)
    if found is None or found.point.target != "melanoma":
        return
    figures = found.figures
    by_lesion = unit == "lesion"
    sensitivity = figures.lesion_sensitivity if by_lesion else figures.sensitivity
    if sensitivity.value not in (None, 1.0):
        yield Caution(
            "missed_melanomas",
            share=sensitivity,
            other=figures.lesion_specificity if by_lesion else figures.flagged,
            of=figures.positive_lesions if by_lesion else figures.tp + figures.fn,
            point=found.point,
        )


def _sure_misses(evidence: Evidence) -> Iterator[Caution]:
    if evidence.confidence is None:
        return
    high = evidence.confidence.bands[0]
    missed = round((high.melanoma_missed.value or 0.0) * high.n_melanomas)
    if missed:
        yield Caution("sure_misses", share=high.melanoma_missed, count=missed, of=high.n_melanomas)


def _unanswered(evidence: Evidence) -> Iterator[Caution]:
    melanoma = LABELS[MELANOMA_INDEX]
    if evidence.refusals is None or melanoma not in evidence.refusals.per_class:
        return
    refused = evidence.refusals.per_class[melanoma].refused
    if (refused.value or 0.0) > _MANY_REFUSED:
        yield Caution("unanswered", share=refused)


def _strangers(evidence: Evidence) -> Iterator[Caution]:
    outliers = evidence.refusals.outliers if evidence.refusals else {}
    known = {kind: one.refused for kind, one in outliers.items() if one.refused.value is not None}
    if not known:
        return
    kind = min(known, key=lambda one: known[one].value or 0.0)
    if (known[kind].value or 0.0) < _FEW_REFUSED:
        yield Caution("strangers", share=known[kind], name=str(kind))


def _fragile(evidence: Evidence) -> Iterator[Caution]:
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
        yield Caution("fragile", share=drop, name=name)
