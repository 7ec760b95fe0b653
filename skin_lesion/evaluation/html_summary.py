"""What opens a report: what the model does, the main figures, and what to beware of."""

from collections.abc import Iterator
from html import escape

from skin_lesion.data.pages import cards, mark
from skin_lesion.evaluation.cautions import MAIN_POINT, SHOWN, Caution, cautions, main_point
from skin_lesion.evaluation.evidence import Evidence
from skin_lesion.evaluation.figures import Estimate
from skin_lesion.evaluation.looks import told
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

_NO_FIGURE = Estimate(value=None)


def notices(synthetic: bool) -> Iterator[str]:
    """What stands above every report."""
    if synthetic:
        yield f"<p>{mark('bad', 'Synthetic pictures only')} <b>{escape(SYNTHETIC)}</b></p>"
    yield f"<p>{escape(RESEARCH)}</p>"


def summary(report: ReportSummary) -> str:
    """One screen: what the model does, the main figures with intervals, the gravest warnings."""
    shown = list(warnings(report.evidence, synthetic=report.synthetic_only))[:SHOWN]
    listed = "".join(f"<li>{warning}</li>" for warning in shown)
    return (
        f"<p>{_purpose(report)}</p>"
        + cards(headline(report.evidence))
        + f"<p class='quiet'>Figures from 0 to 1 with 95 % intervals from a bootstrap over lesions, on "
        f"the test split, which had no say in anything that was fitted: "
        f"{sizes(report.test, report.evidence)}. {escape(told(report.looks))}</p>"
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
    for caution in cautions(evidence, synthetic=synthetic, unit="image"):
        yield _worded(caution, evidence)


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
    point = main_point(evidence)
    shown = [
        ("balanced accuracy", estimates["balanced_accuracy"]),
        ("macro F1", estimates["macro_f1"]),
        ("AUC of melanoma against the rest", estimates["melanoma_auc"]),
        ("AUC of malignant against benign", estimates["malignant_auc"]),
    ]
    if point is not None and point.point.name == MAIN_POINT:
        shown.append(("of the melanomas flagged at the 95 % point", point.figures.sensitivity))
    shown.append(("calibration error (ECE)", estimates["ece"]))
    for name, figure in shown:
        yield number(figure.value), f"{name}, {_ends(figure)}"


def _ends(figure: Estimate) -> str:
    if figure.ci_low is None or figure.ci_high is None:
        return "no interval"
    return f"{figure.ci_low:.3f} to {figure.ci_high:.3f}"


def _worded(caution: Caution, evidence: Evidence) -> str:
    share, other = caution.share or _NO_FIGURE, caution.other or _NO_FIGURE
    match caution.kind:
        case "missed_melanomas" if caution.point is not None:
            short = "" if caution.point.reached else ", which validation could not give,"
            return (
                f"<b>Melanomas are missed.</b> The threshold for {escape(asked(caution.point))}{short} "
                f"flags {per_cent(share)} of the melanoma images here, and {per_cent(other)} of all "
                "images."
            )
        case "sure_misses":
            return (
                "<b>High confidence does not exclude melanoma.</b> Of "
                f"{counted(caution.of, 'melanoma image')} answered with high confidence, "
                f"{caution.count} {'is' if caution.count == 1 else 'are'} called something else."
            )
        case "one_source":
            return f"<b>One source.</b> {escape(ONE_SOURCE)}"
        case "unanswered":
            return (
                f"<b>Many melanomas get no answer.</b> {per_cent(share)} of the melanoma images are "
                "refused as “cannot assess”."
            )
        case "strangers":
            return (
                "<b>Pictures from outside get answers.</b> Of one kind that should be refused "
                f"({escape(named(OUTLIER_NAMES, caution.name).lower())}) only {per_cent(share)} are."
            )
        case "fragile" if evidence.robustness is not None:
            one = evidence.robustness.perturbations[caution.name]
            strongest = f"{one.title} ({one.strengths[-1].amount:g} {one.unit})"
            return (
                f"<b>Poor pictures cost much.</b> {escape(strongest)} lowers the balanced accuracy by "
                f"{with_interval(share, 2)}."
            )
    raise ValueError(f"no words for {caution}")
