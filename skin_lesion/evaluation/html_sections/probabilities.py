"""How far probabilities can be believed, one by one and as sets."""

from html import escape

from skin_lesion.data.pages import figures_table
from skin_lesion.evaluation.evidence import Evidence
from skin_lesion.evaluation.freezing import FreezingFigures
from skin_lesion.evaluation.style import CLASS_NAMES
from skin_lesion.evaluation.wording import (
    METHOD_NAMES,
    NOT_MEASURED,
    counts,
    counts_head,
    number,
    per_cent,
    with_interval,
)


def prediction_sets(evidence: Evidence) -> str:
    """Coverage of the sets and the caveat."""
    found = evidence.prediction_sets
    if found is None:
        return NOT_MEASURED
    rows = [
        [
            escape(f"{CLASS_NAMES[label]} ({label})"),
            "yes" if one.supported else "no: always in the set",
            per_cent(one.coverage),
            with_interval(one.mean_size, 2),
            counts(one.n_images, one.n_lesions, evidence.units),
        ]
        for label, one in found.per_class.items()
    ]
    return (
        f"<p>Each set should hold the true class of at least {100 * found.promised:.0f} % of the "
        f"lesions of every class. Over all images it does in {per_cent(found.coverage)}, with "
        f"{with_interval(found.mean_size, 2)} classes on average; {per_cent(found.single)} of the "
        "sets name one class alone.</p>"
        + figures_table(
            (
                "Class",
                "Promise made",
                "Coverage",
                "Classes in the set",
                counts_head(evidence.units),
            ),
            rows,
            left=2,
            caption="Coverage: share of the images whose set holds the true class. In brackets the 95 % "
            "interval.",
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
    rows += [
        ["Accuracy", *(with_interval(side.accuracy) for side in sides)],
        ["Balanced accuracy", *(with_interval(side.balanced_accuracy) for side in sides)],
        ["Melanomas called melanoma", *(with_interval(side.melanoma_recall) for side in sides)],
    ]
    text = figures_table(
        ("Measured here", "Before", "After calibration"),
        rows,
        caption="Of resolution and of the last three rows higher is better, of all others lower. Errors "
        "of calibration and the last three rows are from 0 to 1; in brackets the 95 % interval.",
    )
    return text if freezing is None else _competition(freezing) + text


def _competition(freezing: FreezingFigures) -> str:
    choice = freezing.calibration
    rows = [
        [
            METHOD_NAMES[one.method] + (" (chosen)" if one.method == choice.method else ""),
            number(one.nll, 4),
            number(one.ece),
            number(one.brier),
            f"{one.nll_gain:+.4f} ± {one.nll_gain_error:.4f}",
            f"{one.answers_changed:.1%}".replace("%", " %"),
            f"{one.balanced_accuracy_change:+.3f} ± {one.balanced_accuracy_change_error:.3f}",
            "–" if one.melanoma_recall_change is None else f"{one.melanoma_recall_change:+.3f}",
            "yes" if one.eligible else "no",
        ]
        for one in choice.methods
    ]
    head = ("On validation, cross-fitted", "NLL", "ECE", "Brier", "NLL gained on temperature",
            "Answers changed", "Balanced accuracy, change",
            "Melanomas called melanoma, change", "Eligible")  # fmt: skip
    unsure = (
        ""
        if choice.identified
        else " Validation could not tell which is best: the model made no mistake there, or did no "
        "better than chance. Its confidence means little."
    )
    return figures_table(
        head,
        rows,
        caption="Negative log-likelihood (NLL) in nats, calibration error (ECE) from 0 to 1, Brier score "
        "from 0 to 2; lower is better. After ±, one standard error over lesions.",
    ) + (
        f"<p class='quiet'>{choice.folds} folds of whole lesions, {choice.n_images:,} images of "
        f"{choice.n_lesions:,} lesion groups. What bends more has to beat the temperature by more than one "
        f"standard error, and may lose at most {choice.tolerated_loss:g} of balanced accuracy and of "
        f"the share of melanomas called melanoma.{unsure}</p>"
    )
