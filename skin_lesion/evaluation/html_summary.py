"""What opens a report: what the model does, the main figures, and what to beware of."""

from collections.abc import Iterator
from html import escape

from skin_lesion.data.pages import cards, mark
from skin_lesion.evaluation.evidence import Evidence
from skin_lesion.evaluation.figures import Estimate
from skin_lesion.evaluation.operating_points import PointFigures
from skin_lesion.evaluation.summary import ReportSummary, SplitFigures
from skin_lesion.evaluation.wording import (
    METHOD_NAMES,
    OUTLIER_NAMES,
    asked,
    counted,
    named,
    number,
    per_cent,
    with_interval,
)

SYNTHETIC = (
    "This model has seen only computer-drawn pictures. Its figures show that the pipeline works; "
    "they say nothing about real skin lesions, and it must not be used on them."
)
RESEARCH = (
    "For research only: not a medical device, not for diagnosis, not for triage. Dermatoscopic "
    "pictures of the seven classes below only; non-pigmented, subungual, ocular and mucosal lesions "
    "were not part of the data."
)
ONE_SOURCE = (
    "Training and test pictures are of one source, without a label for skin tone: how the model does "
    "elsewhere, or on darker skin, is not known."
)
_SHOWN_WARNINGS = 3
_POINT = "melanoma_sensitivity_95"
# From here on something is worth a warning: melanomas that get no answer, pictures from outside that
# get one, and what a perturbation takes from the balanced accuracy.
_MANY_REFUSED, _FEW_REFUSED, _LARGE_DROP = 0.1, 0.9, 0.1


def notices(synthetic: bool) -> Iterator[str]:
    """What stands above every report."""
    if synthetic:
        yield f"<p>{mark('bad', 'Synthetic pictures only')} <b>{escape(SYNTHETIC)}</b></p>"
    yield f"<p>{escape(RESEARCH)}</p>"


def summary(report: ReportSummary) -> str:
    """One screen: what the model does, the main figures with intervals, the gravest warnings."""
    shown = list(warnings(report.evidence, synthetic=report.synthetic_only))[:_SHOWN_WARNINGS]
    listed = "".join(f"<li>{warning}</li>" for warning in shown)
    return (
        f"<p>{_purpose(report)}</p>"
        + cards(headline(report.evidence))
        + f"<p class='quiet'>Figures from 0 to 1 with 95 % intervals from a bootstrap over lesions, on "
        f"the test split, which had no say in anything that was fitted: "
        f"{sizes(report.test, report.evidence)}.</p>"
        + (f"<p><b>Beware</b></p><ol class='warnings'>{listed}</ol>" if listed else "")
    )


def sizes(figures: SplitFigures, evidence: Evidence) -> str:
    """How many images, lesion ids and lesion groups a split holds."""
    groups = evidence.discrimination.images.n_lesions
    return (
        f"{counted(figures.n_images, 'image')} of {counted(figures.n_lesions, 'lesion id')} in "
        f"{counted(groups, 'lesion group')} (ids with near-identical pictures are one group, and "
        "“lesions” on this page are groups)"
    )


def warnings(evidence: Evidence, *, synthetic: bool) -> Iterator[str]:
    """What to beware of, as HTML, the gravest first.

    Args:
        evidence: What was measured.
        synthetic: Whether every picture is drawn, which is said elsewhere.
    """
    yield from _missed_melanomas(evidence)
    yield from _sure_misses(evidence)
    if not synthetic:
        yield f"<b>One source.</b> {escape(ONE_SOURCE)}"
    yield from _unanswered_melanomas(evidence)
    yield from _answered_strangers(evidence)
    yield from _fragility(evidence)


def _purpose(report: ReportSummary) -> str:
    decisions = report.decisions
    parts = [
        f"{counted(len(decisions.operating_points), 'threshold')} that flag melanoma or malignancy",
        "bands of confidence" if decisions.confidence else "",
        "prediction sets" if decisions.prediction_sets else "",
        "limits outside of which a picture gets no answer" if decisions.quality else "",
    ]
    return (
        f"A network (<code>{escape(report.backbone)}</code>) that reads one dermatoscopic picture and "
        "gives each of seven classes of pigmented lesions a probability "
        f"({escape(METHOD_NAMES[report.freezing.calibration.method])}). Frozen with it, on validation: "
        f"{'; '.join(part for part in parts if part)}."
    )


def headline(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """The figures that a reader wants first, each with what it is and its 95 % interval."""
    estimates = evidence.discrimination.images.estimates
    point = _point(evidence)
    shown = [
        ("balanced accuracy", estimates["balanced_accuracy"]),
        ("macro F1", estimates["macro_f1"]),
        ("AUC of melanoma against the rest", estimates["melanoma_auc"]),
        ("AUC of malignant against benign", estimates["malignant_auc"]),
    ]
    if point is not None:
        shown.append(("of the melanomas flagged at the 95 % point", point.figures.sensitivity))
    shown.append(("calibration error (ECE)", estimates["ece"]))
    for name, figure in shown:
        yield number(figure.value), f"{name}, {_ends(figure)}"


def _ends(figure: Estimate) -> str:
    if figure.ci_low is None or figure.ci_high is None:
        return "no interval"
    return f"{figure.ci_low:.3f} to {figure.ci_high:.3f}"


def _point(evidence: Evidence) -> PointFigures | None:
    return next((one for one in evidence.operating_points if one.point.name == _POINT), None)


def _missed_melanomas(evidence: Evidence) -> Iterator[str]:
    found = _point(evidence)
    if found is None or found.figures.sensitivity.value in (None, 1.0):
        return
    short = "" if found.point.reached else ", which validation could not give,"
    yield (
        f"<b>Melanomas are missed.</b> The threshold for {escape(asked(found.point))}{short} flags "
        f"{per_cent(found.figures.sensitivity)} of the melanoma images here, and "
        f"{per_cent(found.figures.flagged)} of all images."
    )


def _sure_misses(evidence: Evidence) -> Iterator[str]:
    if evidence.confidence is None:
        return
    high = evidence.confidence.bands[0]
    missed = round((high.melanoma_missed.value or 0.0) * high.n_melanomas)
    if missed:
        yield (
            "<b>High confidence does not exclude melanoma.</b> Of "
            f"{counted(high.n_melanomas, 'melanoma image')} answered with high confidence, {missed} "
            f"{'is' if missed == 1 else 'are'} called something else."
        )


def _unanswered_melanomas(evidence: Evidence) -> Iterator[str]:
    if evidence.refusals is None or "mel" not in evidence.refusals.per_class:
        return
    refused = evidence.refusals.per_class["mel"].refused
    if (refused.value or 0.0) > _MANY_REFUSED:
        yield (
            f"<b>Many melanomas get no answer.</b> {per_cent(refused)} of the melanoma images are "
            "refused as “cannot assess”."
        )


def _answered_strangers(evidence: Evidence) -> Iterator[str]:
    outliers = evidence.refusals.outliers if evidence.refusals else {}
    known = {kind: one.refused for kind, one in outliers.items() if one.refused.value is not None}
    if not known:
        return
    kind = min(known, key=lambda one: known[one].value or 0.0)
    if (known[kind].value or 0.0) < _FEW_REFUSED:
        yield (
            "<b>Pictures from outside get answers.</b> Of one kind that should be refused "
            f"({escape(named(OUTLIER_NAMES, kind).lower())}) only {per_cent(known[kind])} are."
        )


def _fragility(evidence: Evidence) -> Iterator[str]:
    if evidence.robustness is None:
        return
    drops = [
        (worst.drop.balanced_accuracy, f"{one.title} ({worst.amount:g} {one.unit})")
        for one in evidence.robustness.perturbations.values()
        for worst in one.strengths[-1:]
    ]
    drop, name = max(
        drops, key=lambda pair: pair[0].value or 0.0, default=(Estimate(value=0.0), "")
    )
    if (drop.value or 0.0) > _LARGE_DROP:
        yield (
            f"<b>Poor pictures cost much.</b> {escape(name)} lowers the balanced accuracy by "
            f"{with_interval(drop, 2)}."
        )
