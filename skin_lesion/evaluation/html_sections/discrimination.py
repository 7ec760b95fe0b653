"""How well the classes are told apart."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from skin_lesion.data.pages import figures_table
from skin_lesion.evaluation.discrimination import Discrimination
from skin_lesion.evaluation.evidence import Evidence
from skin_lesion.evaluation.figures import Units
from skin_lesion.evaluation.style import CLASS_NAMES
from skin_lesion.evaluation.summary import SplitFigures
from skin_lesion.evaluation.wording import (
    UNIT_NAMES,
    counts,
    counts_head,
    drawn_units,
    number,
    stacked,
    with_interval,
)
from skin_lesion.labels import LABELS, MALIGNANT

_OVERALL = (
    ("Balanced accuracy (mean recall)", "balanced_accuracy"),
    ("Macro F1", "macro_f1"),
    ("Weighted F1", "weighted_f1"),
    ("Accuracy", "accuracy"),
    ("Cohen's kappa (-1 to 1)", "kappa"),
    ("Macro AUC", "macro_auc"),
    ("Melanoma AUC", "melanoma_auc"),
    ("Malignant AUC (mel + bcc + akiec)", "malignant_auc"),
    ("Melanoma average precision", "melanoma.average_precision"),
    ("Melanoma sensitivity at 90 % specificity", "melanoma.sensitivity_at_specificity_90"),
    ("Melanoma specificity at 90 % sensitivity", "melanoma.specificity_at_sensitivity_90"),
    ("Malignant specificity at 95 % sensitivity", "malignant.specificity_at_sensitivity_95"),
    ("Brier score (0 to 2, lower is better)", "brier"),
    ("Negative log-likelihood (nats, lower is better)", "nll"),
    ("Calibration error (ECE, lower is better)", "ece"),
)


@dataclass(frozen=True)
class _Column:
    """A column of the table of main figures: its cells by the name of the figure, then its counts."""

    title: str
    cell: Callable[[str], str]
    images: int
    lesion_ids: int | None
    lesion_groups: int | None


def overall(
    evidence: Evidence, test: SplitFigures, val: SplitFigures, val_groups: int | None = None
) -> str:
    """The main figures, per image, per lesion group, and on validation.

    Args:
        evidence: Of the test split.
        test: Of the same.
        val: Of the split that chose the weights.
        val_groups: Its lesion groups; None where they were not counted.
    """
    unit = evidence.discrimination

    def validation(field: str) -> str:
        found = getattr(val, field, None) if "." not in field else None
        return "" if found is None else number(found)

    columns = (
        _column("Test, every image", unit.images, test.n_lesions),
        _column("Test, one image of each lesion group", unit.lesions),
        _Column("Validation", validation, val.n_images, val.n_lesions, val_groups),
    )
    return (
        _main_figures(columns)
        + "<p class='quiet'>Validation chose the weights, so its figures flatter the model. Figures "
        "read off the ROC curve choose their threshold on the test split itself; those of frozen "
        f"thresholds stand under Operating points."
        f"{_absent('test split', test)}{_absent('validation split', val)}</p>"
    )


def overall_external(
    figures: SplitFigures, evidence: Evidence, with_overlap: Discrimination | None
) -> str:
    """The main figures of pictures from elsewhere, per image and per lesion where these are known.

    Args:
        figures: Of the pictures that the model has not seen.
        evidence: Of the same.
        with_overlap: Of every picture, where some were seen.
    """
    unit, units = evidence.discrimination, evidence.units
    columns = [_column("Every picture", unit.images)]
    if units != "picture":
        title = "One picture of each lesion"
        unnamed = ", and each without a lesion id" if units == "lesion_or_picture" else ""
        columns.append(_column(title + unnamed, unit.lesions))
    if with_overlap is not None:
        columns.append(
            _column(
                "With those seen in training or validation, or of a lesion that was", with_overlap
            )
        )
    return (
        _main_figures(columns, units)
        + "<p class='quiet'>Figures read off the ROC curve choose their threshold on these very "
        "pictures; those of frozen thresholds stand under Operating points. Ranges are 95 % intervals "
        f"from a bootstrap over {drawn_units(units)}."
        f"{_absent('data set', figures)}</p>"
    )


def _column(title: str, found: Discrimination, lesion_ids: int | None = None) -> _Column:
    def cell(field: str) -> str:
        return with_interval(found.estimates[field])

    return _Column(title, cell, found.n_images, lesion_ids, found.n_lesions)


def _main_figures(columns: Sequence[_Column], units: Units = "lesion_group") -> str:
    rows = [[escape(name), *(column.cell(field) for column in columns)] for name, field in _OVERALL]
    counted: dict[str, list[int] | list[int | None]] = {
        "Images": [column.images for column in columns],
        "Lesion ids": [column.lesion_ids for column in columns],
    }
    if units != "picture":
        counted[UNIT_NAMES[units].capitalize()] = [column.lesion_groups for column in columns]
    for name, numbers in counted.items():
        if any(n is not None for n in numbers):
            rows.append([name, *("" if n is None else f"{n:,}" for n in numbers)])
    table = figures_table(
        ("", *(column.title for column in columns)),
        rows,
        caption="From 0 to 1 and higher is better, unless the row says otherwise; in brackets the 95 % "
        "interval.",
    )
    if not any(cell.endswith("(no interval)") for row in rows for cell in row):
        return table
    return (
        f"{table}<p class='quiet'>There is no interval where too many resamples lack a class, since a "
        "mean over fewer classes is another figure, nor where all resamples agree.</p>"
    )


def classes(figures: SplitFigures, evidence: Evidence) -> str:
    """Figures of each class.

    Args:
        figures: Of the pictures.
        evidence: Of the same.
    """
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
            counts(figures.per_class[label].n, lesions[label], evidence.units),
        ]
        for label in LABELS
    ]
    head = ("Class", "Precision", "Recall", "F1", "AUC", "Average precision",
            counts_head(evidence.units))  # fmt: skip
    return figures_table(
        head,
        rows,
        caption="Each class against all others, from 0 to 1; below each figure its 95 % interval.",
    ) + (
        f"<p class='quiet'>Classes of a few dozen {drawn_units(evidence.units)} have wide intervals: "
        "their figures are indicative.</p>"
    )


def _absent(where: str, figures: SplitFigures) -> str:
    if not figures.absent_classes:
        return ""
    absent = ", ".join(figures.absent_classes)
    return f" The {where} holds no {absent}; means are over the classes present."
