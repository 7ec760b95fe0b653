"""How well the classes are told apart."""

from html import escape

from skin_lesion.data.pages import figures_table
from skin_lesion.evaluation.evidence import Evidence
from skin_lesion.evaluation.style import CLASS_NAMES
from skin_lesion.evaluation.summary import ReportSummary, SplitFigures
from skin_lesion.evaluation.wording import number, stacked, with_interval
from skin_lesion.labels import LABELS, MALIGNANT

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
        figures_table(("", "Test, every image", "Test, one image a lesion", "Validation"), rows)
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
    return figures_table(head, rows) + (
        "<p class='quiet'>Classes of a few dozen lesions have wide intervals: their figures are "
        "indicative.</p>"
    )


def _absent(summary: ReportSummary) -> str:
    return "".join(
        f" The {name} split holds no {', '.join(figures.absent_classes)}; means are over the "
        "classes present."
        for name, figures in (("test", summary.test), ("validation", summary.val))
        if figures.absent_classes
    )
