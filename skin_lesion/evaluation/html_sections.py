"""Sections of the report in words and tables; the pictures are placed by `html`."""

from collections.abc import Sequence
from html import escape

from skin_lesion.data.pages import mark, table
from skin_lesion.decisions import OperatingPoint
from skin_lesion.evaluation.confidence_bands import BandFigures
from skin_lesion.evaluation.evidence import Evidence
from skin_lesion.evaluation.freezing import FreezingFigures
from skin_lesion.evaluation.predictive_values import PredictiveFigures
from skin_lesion.evaluation.style import CLASS_NAMES
from skin_lesion.evaluation.summary import ReportSummary, SplitFigures
from skin_lesion.evaluation.wording import (
    number,
    per_cent,
    stacked,
    stacked_per_cent,
    with_interval,
)
from skin_lesion.labels import LABELS, MALIGNANT

_NOT_MEASURED = "<p>Not measured here.</p>"
_OVERALL = (
    ("Balanced accuracy (mean recall)", "balanced_accuracy"),
    ("Macro F1", "macro_f1"),
    ("Weighted F1", "weighted_f1"),
    ("Accuracy", "accuracy"),
    ("Cohen's kappa", "kappa"),
    ("Macro AUC", "macro_auc"),
    ("Melanoma AUC", "melanoma_auc"),
    ("Malignant AUC (mel + bcc + akiec)", "malignant_auc"),
    ("Melanoma average precision", "melanoma.average_precision"),
    ("Melanoma sensitivity at 90 % specificity", "melanoma.sensitivity_at_specificity_90"),
    ("Melanoma specificity at 90 % sensitivity", "melanoma.specificity_at_sensitivity_90"),
    ("Malignant specificity at 95 % sensitivity", "malignant.specificity_at_sensitivity_95"),
    ("Brier score (0 to 2)", "brier"),
    ("Negative log-likelihood (nats)", "nll"),
    ("Calibration error (ECE)", "ece"),
)
_METHODS = {
    "none": "none",
    "temperature": "temperature",
    "vector": "vector scaling",
    "isotonic": "isotonic regression",
}
_SHOWN_PREVALENCES = (0.005, 0.02, 0.1, 0.2)


def overall(summary: ReportSummary) -> str:
    """The main figures, per image, per lesion, and on validation."""
    unit = summary.evidence.discrimination
    rows = []
    for name, field in _OVERALL:
        found = getattr(summary.val, field, None) if "." not in field else None
        rows.append(
            [
                escape(name),
                with_interval(unit.images.estimates[field]),
                with_interval(unit.lesions.estimates[field]),
                "" if found is None else number(found),
            ]
        )
    rows.append(["Images", str(unit.images.n_images), str(unit.lesions.n_images),
                 str(summary.val.n_images)])  # fmt: skip
    return (
        _numbers(("", "Test, every image", "Test, one image a lesion", "Validation"), rows)
        + "<p class='quiet'>Validation chose the weights, so its figures flatter the model. Figures "
        "read off the ROC curve choose their threshold on the test split itself; those of frozen "
        f"thresholds stand under Operating points.{_absent(summary)}</p>"
    )


def classes(figures: SplitFigures, evidence: Evidence) -> str:
    """Figures of each class."""
    estimates = evidence.discrimination.images.estimates
    lesions = evidence.discrimination.images.class_lesions
    rows = [
        [
            escape(f"{CLASS_NAMES[label]} ({label}), ")
            + ("malignant" if label in MALIGNANT else "benign"),
            *(
                stacked(estimates[f"per_class.{label}.{name}"], 2)
                for name in ("precision", "recall", "f1", "auc", "average_precision")
            ),
            f"{figures.per_class[label].n} / {lesions[label]}",
        ]
        for label in LABELS
    ]
    head = ("Class", "Precision", "Recall", "F1", "AUC", "Average precision",
            "Images / lesions")  # fmt: skip
    return _numbers(head, rows) + (
        "<p class='quiet'>Classes of a few dozen lesions have wide intervals: their figures are "
        "indicative.</p>"
    )


def operating_points(evidence: Evidence) -> str:
    """What each frozen threshold comes to."""
    rows = []
    for one in evidence.operating_points:
        point, found = one.point, one.figures
        rows.append(
            [
                escape(asked(point)) + ("" if point.reached else "<br><i>not reached</i>"),
                f"{point.threshold:.3f}",
                stacked_per_cent(found.sensitivity),
                stacked_per_cent(found.specificity),
                stacked_per_cent(found.ppv),
                stacked_per_cent(found.npv, 1),
                stacked(found.number_needed_to_biopsy, 1),
                stacked_per_cent(found.flagged),
            ]
        )
    head = ("Point", "Threshold", "Sensitivity", "Specificity", "PPV", "NPV",
            "Number needed to biopsy", "Flagged")  # fmt: skip
    return (
        "<p>Thresholds were chosen on validation and frozen with the model.</p>"
        + _numbers(head, rows)
        + "<p>Predictive values hold for the mix of this data set. Elsewhere they follow from the "
        "prevalence:</p>" + _by_prevalence(evidence.predictive_values)
    )


def confidence(evidence: Evidence) -> str:
    """What the bands of confidence are worth."""
    if evidence.confidence is None:
        return _NOT_MEASURED
    rows = [
        [
            band.name,
            str(band.n_images),
            stacked_per_cent(band.share),
            stacked_per_cent(band.accuracy),
            f"{stacked_per_cent(band.melanoma_missed)} of {band.n_melanomas}",
        ]
        for band in evidence.confidence.bands
    ]
    cutoffs = evidence.confidence.cutoffs
    curve = evidence.risk_coverage
    return (
        f"<p>High from a top probability of {cutoffs.high:.2f}, medium from {cutoffs.medium:.2f}. "
        "Confidence says how sure the model is, not how dangerous a lesion would be.</p>"
        + _numbers(("Band", "Images", "Share", "Accuracy", "Melanomas called something else"), rows)
        + _sure_misses(evidence.confidence)
        + f"<p>Withholding the least sure answers: area under the risk-coverage curve "
        f"{with_interval(curve.aurc)}, {with_interval(curve.excess_aurc)} above the best "
        "possible one.</p>"
    )


def _sure_misses(figures: BandFigures) -> str:
    high = figures.bands[0]
    if not high.n_melanomas or high.melanoma_missed.value is None:
        return ""
    missed = round(high.melanoma_missed.value * high.n_melanomas)
    return (
        f"<p><b>High confidence does not exclude melanoma:</b> of the {high.n_melanomas} melanomas "
        f"in the high band, {missed} are called something else. The most probable class alone is no "
        "way to look for melanoma; the operating points are.</p>"
    )


def prediction_sets(evidence: Evidence) -> str:
    """Coverage of the sets and the caveat."""
    found = evidence.prediction_sets
    if found is None:
        return _NOT_MEASURED
    rows = [
        [
            escape(f"{CLASS_NAMES[label]} ({label})"),
            "yes" if one.supported else "no: always in the set",
            per_cent(one.coverage),
            with_interval(one.mean_size, 2),
            f"{one.n_images} / {one.n_lesions}",
        ]
        for label, one in found.per_class.items()
    ]
    return (
        f"<p>Each set should hold the true class of at least {100 * found.promised:.0f} % of the "
        f"lesions of every class. Over all images it does in {per_cent(found.coverage)}, with "
        f"{with_interval(found.mean_size, 2)} classes on average; {per_cent(found.single)} of the "
        "sets name one class alone.</p>"
        + _numbers(
            ("Class", "Promise made", "Coverage", "Classes in the set", "Images / lesions"),
            rows,
            left=2,
        )
        + f"<p class='quiet'>{escape(found.caveat)}</p>"
    )


def calibration(evidence: Evidence, freezing: FreezingFigures | None) -> str:
    """How far probabilities can be believed, and how the calibrator was chosen."""
    pair = evidence.calibration
    sides = (pair.before, pair.after)
    rows = [
        ["Negative log-likelihood (nats)", *(with_interval(side.nll) for side in sides)],
        ["Brier score (0 to 2)", *(with_interval(side.brier) for side in sides)],
        ["… its reliability part", *(number(side.brier_parts.reliability) for side in sides)],
        ["… its resolution part", *(number(side.brier_parts.resolution) for side in sides)],
        ["Calibration error (ECE)", *(with_interval(side.ece) for side in sides)],
        ["… by chance alone", *(number(side.ece_by_chance) for side in sides)],
        ["Largest error of a bin (MCE)", *(with_interval(side.mce) for side in sides)],
        ["Classwise ECE", *(with_interval(side.classwise_ece) for side in sides)],
        ["Malignant or benign, ECE", *(with_interval(side.malignant_ece) for side in sides)],
    ]
    text = _numbers(("Measured here", "Before", "After calibration"), rows)
    return text if freezing is None else _competition(freezing) + text


def _competition(freezing: FreezingFigures) -> str:
    choice = freezing.calibration
    rows = [
        [
            _METHODS[one.method] + (" (chosen)" if one.method == choice.method else ""),
            number(one.nll, 4),
            number(one.ece),
            number(one.brier),
            f"{one.nll_gain:+.4f} ± {one.nll_gain_error:.4f}",
            "yes" if one.eligible else "no",
        ]
        for one in choice.methods
    ]
    head = ("On validation, cross-fitted", "NLL", "ECE", "Brier", "NLL gained on temperature",
            "Eligible")  # fmt: skip
    unsure = (
        ""
        if choice.identified
        else " Validation could not tell which is best: the model made no mistake there, or did no "
        "better than chance. Its confidence means little."
    )
    return _numbers(head, rows) + (
        f"<p class='quiet'>{choice.folds} folds of whole lesions, {choice.n_images} images of "
        f"{choice.n_lesions} lesions. What bends more has to beat the temperature by more than one "
        f"standard error.{unsure}</p>"
    )


def cannot_assess(evidence: Evidence, freezing: FreezingFigures | None) -> str:
    """What is refused, and how well other pictures are told apart."""
    found = evidence.refusals
    if found is None:
        return _NOT_MEASURED
    answers = [
        ["All images", str(found.everything.n_images), per_cent(found.everything.accuracy),
         per_cent(found.everything.melanoma_sensitivity)],
        ["Accepted", str(found.accepted.n_images), per_cent(found.accepted.accuracy),
         per_cent(found.accepted.melanoma_sensitivity)],
        ["Refused, had they been answered", str(found.withheld.n_images),
         per_cent(found.withheld.accuracy), per_cent(found.withheld.melanoma_sensitivity)],
    ]  # fmt: skip
    reasons = ", ".join(
        f"{escape(reason.replace('_', ' '))} {count}"
        for reason, count in found.reasons.items()
        if count
    )
    text = (
        f"<p>Refused: {per_cent(found.refused, 1)} of the images, {per_cent(found.by_quality, 1)} "
        f"for their quality and {per_cent(found.by_likeness, 1)} because they are unlike the "
        f"training pictures{f' ({reasons})' if reasons else ''}.</p>"
        + _numbers(("", "Images", "Accuracy", "Melanoma sensitivity at the 95 % point"), answers)
    )
    kinds = list(found.outliers)
    if kinds:
        rows = [
            [
                escape(OUTLIER_NAMES.get(kind, kind)),
                f"{one.n_images} / {one.n_clusters}",
                per_cent(one.refused),
                per_cent(one.by_quality),
                per_cent(one.unlike),
            ]
            for kind, one in found.outliers.items()
        ]
        text += _numbers(
            (
                "Pictures that should be refused",
                "Pictures / sources",
                "Refused",
                "By quality",
                "By likeness alone",
            ),
            rows,
        )
        chosen = freezing.cannot_assess.gate.score if freezing else None
        scores = [
            [
                escape(name.replace("_", " ")) + (" (chosen)" if name == chosen else ""),
                *(with_interval(one.auroc[kind]) for kind in kinds),
            ]
            for name, one in found.separations.items()
        ]
        text += _numbers(
            ("AUROC of each score", *(OUTLIER_NAMES.get(kind, kind) for kind in kinds)), scores
        )
    return text + ("" if freezing is None else _gate_note(freezing, sources=found.report_sources))


OUTLIER_NAMES = {
    "crops": "Photographs without a lesion",
    "corruptions": "Spoilt pictures",
    "skin": "Drawn skin without a lesion",
}


def _gate_note(freezing: FreezingFigures, sources: Sequence[str]) -> str:
    choice = freezing.cannot_assess
    return (
        f"<p class='quiet'>The score was chosen by {len(choice.selection_sources)} photographs "
        f"({escape(', '.join(choice.selection_sources))}); the figures above are on "
        f"{len(sources)} others ({escape(', '.join(sources))}), and an interval over so few is "
        f"indicative. Limits and threshold were set on validation to accept "
        f"{100 * choice.acceptance:.0f} %; cross-fitted they accept "
        f"{per_cent(choice.accepted_cross_fitted, 1)} there.</p>"
    )


def subgroups(evidence: Evidence) -> str:
    """Groups by sex, age and site, and the worst of each."""
    found = evidence.subgroups
    if found is None:
        return _NOT_MEASURED
    names = [one.name for one in found.overall.figures]
    rows = []
    for attribute in (None, *found.attributes):
        groups = (found.overall,) if attribute is None else attribute.groups
        for group in groups:
            label = "all" if attribute is None else f"{attribute.name}: {group.name}"
            cells = [
                stacked(figure, 2) if figure else "too few"
                for figure in (group.figure(name) for name in names)
            ]
            counts = f"{group.n_images} / {group.n_lesions} / {group.malignant_lesions}"
            rows.append([escape(label), counts, *cells])
    head = ("Group", "Images / lesions / malignant", *(_words(name) for name in names))
    gaps = [
        [
            escape(f"{attribute.name}: {_words(gap.figure)}"),
            escape(gap.worst),
            with_interval(gap.gap, 2),
        ]
        for attribute in found.attributes
        for gap in attribute.gaps
    ]
    return (
        _numbers(head, rows)
        + f"<p class='quiet'>Groups of fewer than {found.min_images} images, and figures that rest "
        f"on fewer than {found.min_positives} lesions, are not reported.</p>"
        + _numbers(("Furthest below all", "Worst group", "Gap"), gaps, left=2)
        + f"<p class='quiet'>{escape(found.gap_note)}</p><p>{escape(found.skin_tone)}</p>"
    )


def robustness(evidence: Evidence) -> str:
    """What perturbations cost."""
    found = evidence.robustness
    if found is None:
        return _NOT_MEASURED
    rows = []
    for one in found.perturbations.values():
        worst = one.strengths[-1]
        rows.append(
            [
                escape(f"{one.title} ({worst.amount:g} {one.unit})"),
                stacked(worst.drop.balanced_accuracy),
                stacked(worst.drop.malignant_auc),
                stacked(worst.drop.melanoma_sensitivity),
                stacked_per_cent(worst.changed_predictions),
                escape(one.training),
            ]
        )
    head = ("At the highest strength", "Drop of balanced accuracy", "Drop of malignant AUC",
            "Drop of melanoma sensitivity", "Answers changed", "Varied in training")  # fmt: skip
    clean = found.clean
    return (
        f"<p>{found.n_images} images of {found.n_lesions} lesions, evenly over the classes. "
        f"Undisturbed: balanced accuracy {with_interval(clean.balanced_accuracy)}, malignant AUC "
        f"{with_interval(clean.malignant_auc)}.</p>"
        + _numbers(head, rows, right=4)
        + f"<p class='quiet'>{escape(found.how_to_read)}</p>"
    )


def explanations(evidence: Evidence) -> str:
    """Whether heat-maps mean something."""
    found = evidence.explanations
    if found is None:
        return _NOT_MEASURED
    shuffled = found.randomisation
    last = shuffled.cascade[-1] if shuffled.cascade else shuffled.head
    text = (
        "<p>A heat-map shows what the network responded to. It is no evidence that the answer is "
        "right.</p><p>"
        + _verdict(
            shuffled.reached,
            "The maps depend on the weights",
            "The maps do not depend enough on the weights",
        )
        + f" With all weights shuffled their rank correlation with those of the trained network is "
        f"{with_interval(last.rank_correlation, 2)}; at most {shuffled.goal:g} was asked.</p>"
        f"<p class='quiet'>{escape(shuffled.how_to_read)}</p>"
    )
    hidden = found.deletion
    if hidden is None:
        return text + "<p>No picture of this class was answered rightly: nothing to hide.</p>"
    return (
        text
        + "<p>"
        + _verdict(
            hidden.reached,
            "The maps point at what matters",
            "The maps do not point at what matters often enough",
        )
        + f" In {per_cent(hidden.better_deletion)} of {hidden.n_images} rightly recognised "
        f"melanomas, hiding what the map points at lowers the probability faster than hiding "
        f"places at random; {100 * hidden.goal:.0f} % was asked. It beats hiding from the centre "
        f"outwards in {per_cent(hidden.better_than_centre)}.</p>"
        f"<p class='quiet'>{escape(hidden.how_to_read)}</p>"
    )


def asked(point: OperatingPoint) -> str:
    """An operating point in words."""
    if point.criterion == "ppv":
        return f"{point.target} risk of {100 * point.goal:g} % (referral)"
    return f"{point.target} at {100 * point.goal:g} % sensitivity"


def _by_prevalence(tables: Sequence[PredictiveFigures]) -> str:
    rows = []
    for one in tables:
        shown = [row for row in one.rows if row.prevalence in _SHOWN_PREVALENCES]
        cells = [
            f"PPV {stacked_per_cent(row.ppv)}<br>NPV {stacked_per_cent(row.npv, 1)}"
            for row in shown
        ]
        rows.append([escape(_words(one.name)), *cells])
    head = ("At a prevalence of", *(f"{100 * p:g} %" for p in _SHOWN_PREVALENCES))
    return _numbers(head, rows)


def _verdict(reached: bool | None, good: str, bad: str) -> str:
    if reached is None:
        return mark("look", "Too few pictures to tell")
    return mark("good", good) if reached else mark("bad", bad)


def _absent(summary: ReportSummary) -> str:
    return "".join(
        f" The {name} split holds no {', '.join(figures.absent_classes)}; means are over the "
        "classes present."
        for name, figures in (("test", summary.test), ("validation", summary.val))
        if figures.absent_classes
    )


def _words(name: str) -> str:
    return name.replace("_", " ").replace(".", ": ")


def _numbers(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    left: int = 1,
    right: int | None = None,
) -> str:
    """A table whose columns from `left` on, at most `right` of them, are set flush right."""
    last = len(head) if right is None else left + right
    return table(head, rows, frozenset(range(left, last)))
