"""Figures of an evaluation, as PNG pictures."""

from textwrap import fill

import numpy as np
from numpy.typing import NDArray

from skin_lesion.evaluation.figures import Units
from skin_lesion.evaluation.sample import Sample
from skin_lesion.evaluation.style import (
    BLUE,
    CLASS_COLOURS,
    CLASS_NAMES,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    dress,
    new_figure,
    png,
)
from skin_lesion.evaluation.summary import SplitFigures
from skin_lesion.evaluation.wording import images_and_lesions
from skin_lesion.labels import LABELS


def draw_split(figures: SplitFigures, sample: Sample) -> dict[str, bytes]:
    """Confusion matrix, ROC and figures of each class of a split, by name.

    Args:
        figures: In numbers.
        sample: The images they were measured on.
    """
    return {
        "confusion_matrix": confusion_matrix(figures, sample.units),
        "roc": roc_curves(sample, figures),
        "per_class": per_class_bars(figures, sample.units),
    }


def confusion_matrix(figures: SplitFigures, units: Units) -> bytes:
    """Counts by true and predicted class, coloured by the share of the true class."""
    counts = np.array(figures.confusion)
    of_class = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, of_class, out=np.zeros(counts.shape), where=of_class > 0)
    figure = new_figure(9.4, 7.2)
    axes = figure.add_subplot()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (row, column), count in np.ndenumerate(counts):
        share = shares[row, column]
        axes.text(
            column,
            row,
            f"{count}\n{share:.0%}" if count else "0",
            ha="center",
            va="center",
            fontsize=8.5,
            fontweight="bold" if row == column else "normal",
            color="white" if share > 0.55 else INK if count else MUTED,
        )
    dress(axes, f"Confusion matrix, {_where(figures, units)}", "Predicted class", "True class")
    axes.grid(visible=False)
    axes.set_xticks(range(len(LABELS)), [_wrapped(label) for label in LABELS], fontsize=8)
    axes.set_yticks(
        range(len(LABELS)),
        [f"{_wrapped(label)}\nn = {of_class[i, 0]}" for i, label in enumerate(LABELS)],
        fontsize=8,
    )
    axes.spines[:].set_visible(False)
    bar = figure.colorbar(image, ax=axes, fraction=0.04, pad=0.02, aspect=35)
    bar.set_label("Share of the true class", fontsize=9, color=INK)
    bar.ax.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    bar.ax.tick_params(labelsize=8)
    bar.outline.set_visible(False)
    return png(figure)


def roc_curves(sample: Sample, figures: SplitFigures) -> bytes:
    """One curve for each class against the rest; classes without an AUC are named, not drawn.

    Args:
        sample: The images.
        figures: Where the areas stand.
    """
    figure = new_figure(7.0, 7.0)
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (2, 3)))
    missing, drawn = [], []
    for index, label in enumerate(LABELS):
        auc = figures.per_class[label].auc
        if auc is None:
            missing.append(label)
            continue
        false_rate, true_rate = _roc(sample.truth == index, sample.probabilities[:, index])
        drawn += axes.plot(
            false_rate,
            true_rate,
            color=CLASS_COLOURS[label],
            linewidth=2.2 if label == "mel" else 1.5,
            linestyle="-" if index % 2 == 0 else (0, (5, 1.5)),
            label=f"{CLASS_NAMES[label]} ({label})  {auc:.3f}",
        )
    dress(
        axes,
        f"ROC of each class, {_where(figures, sample.units)}",
        "False positive rate (1 - specificity)",
        "True positive rate (sensitivity)",
    )
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    undefined = f"\nnot defined for {', '.join(missing)}" if missing else ""
    macro = "–" if figures.macro_auc is None else f"{figures.macro_auc:.3f}"
    legend = axes.legend(
        handles=drawn,  # without them Matplotlib warns where a set of one class has none
        loc="lower right",
        fontsize=8,
        frameon=True,
        framealpha=0.95,
        edgecolor="none",
        title=f"Area under the curve (macro {macro})" + undefined,
    )
    legend.get_title().set(fontsize=8.5, fontweight="bold")
    return png(figure)


def per_class_bars(figures: SplitFigures, units: Units) -> bytes:
    """Precision, recall, F1 and AUC of each class, side by side."""
    figure = new_figure(11.0, 4.8)
    axes = figure.add_subplot()
    scores = (
        ("Precision", "precision", BLUE),
        ("Recall (sensitivity)", "recall", ORANGE),
        ("F1", "f1", GREEN),
        ("AUC", "auc", "#8a8a8a"),
    )
    width = 0.2
    for offset, (name, field, colour) in zip((-1.5, -0.5, 0.5, 1.5), scores, strict=True):
        values = [getattr(figures.per_class[label], field) for label in LABELS]
        positions = np.arange(len(LABELS)) + offset * width
        axes.bar(
            positions, [value or 0.0 for value in values], width * 0.92, color=colour, label=name
        )
        for x, value in zip(positions, values, strict=True):
            text = "n/a" if value is None else f"{value:.2f}"
            axes.text(
                x,
                (value or 0.0) + 0.012,
                text,
                ha="center",
                va="bottom",
                fontsize=6.5,
                color=INK,
                rotation=90,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.85},
            )
    axes.axhline(
        figures.macro_f1,
        color=GREEN,
        linewidth=1,
        linestyle=(0, (4, 2)),
        label=f"Macro F1 {figures.macro_f1:.3f}",
    )
    dress(axes, f"Figures of each class, {_where(figures, units)}", "", "Score, 0 to 1")
    axes.grid(visible=False, axis="x")
    axes.set_xticks(
        range(len(LABELS)),
        [f"{_wrapped(label)}\nn = {figures.per_class[label].n}" for label in LABELS],
        fontsize=8,
    )
    axes.set_ylim(0, 1.12)
    axes.set_yticks(np.linspace(0, 1, 6))
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8.5, frameon=False)
    return png(figure)


def _roc(
    positive: NDArray[np.bool_], score: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    from sklearn.metrics import roc_curve

    false_rate, true_rate, _ = roc_curve(positive, score)
    return false_rate, true_rate


def _where(figures: SplitFigures, units: Units) -> str:
    name = {"selection": "validation split", "test": "test split", "external": "external pictures"}[
        figures.purpose
    ]
    if units == "lesion_group":  # each of one id, or of several
        return f"{name} ({figures.n_images} images, {figures.n_lesions} lesion ids)"
    return f"{name} ({images_and_lesions(figures.n_images, figures.n_lesions, units)})"


def _wrapped(label: str) -> str:
    """Name and code on short lines, for an axis."""
    return fill(f"{CLASS_NAMES[label]} ({label})", width=15, break_long_words=False)
