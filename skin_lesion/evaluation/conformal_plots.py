"""Picture of what the prediction sets are worth, class by class."""

from typing import TYPE_CHECKING

import numpy as np

from skin_lesion.evaluation.conformal import CoverageFigures
from skin_lesion.evaluation.figures import Estimate, Units
from skin_lesion.evaluation.style import (
    BLUE,
    CLASS_NAMES,
    INK,
    MUTED,
    ORANGE,
    dress,
    new_figure,
    png,
)
from skin_lesion.evaluation.wording import images_and_lesions
from skin_lesion.labels import LABELS, NUM_CLASSES

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def coverage_picture(figures: CoverageFigures, where: str, units: Units = "lesion_group") -> bytes:
    """Coverage and size of the sets of each class, with their intervals.

    Args:
        figures: What is drawn.
        where: Which images, such as `test split`.
        units: What counts as a lesion.
    """
    figure = new_figure(11.0, 5.2)
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(1.15, 1))
    rows = [figures.per_class[label] for label in LABELS]
    colours = [*(BLUE if row.supported else MUTED for row in rows), INK]
    _points(left, [*(row.coverage for row in rows), figures.coverage], colours, scale=100)
    _points(right, [*(row.mean_size for row in rows), figures.mean_size], colours, scale=1)
    for position, row in enumerate(rows):
        if row.n_images and not row.supported:
            _note(left, position + 0.34, "too few lesions in validation: in every set")
        if not row.n_images:
            _note(left, position, "no image")
    left.axvline(100 * figures.promised, color=ORANGE, linewidth=1.3, linestyle=(0, (4, 2)))
    left.set_yticks(
        range(NUM_CLASSES + 1),
        [
            *(
                f"{CLASS_NAMES[label]} ({label})\n"
                + images_and_lesions(row.n_images, row.n_lesions, units)
                for label, row in zip(LABELS, rows, strict=True)
            ),
            f"All\n{images_and_lesions(figures.n_images, figures.n_lesions, units)}",
        ],
    )
    dress(left, f"Coverage, {where}", "Images whose set holds the true class (%)", "")
    dress(right, "Size of the sets", "Mean number of classes in a set", "")
    left.text(
        100 * figures.promised - 1,
        -0.62,
        f"promised: {figures.promised:.0%}",
        ha="right",
        va="center",
        fontsize=8,
        color=ORANGE,
    )
    lowest = min(
        row.coverage.value if row.coverage.ci_low is None else row.coverage.ci_low
        for row in rows
        if row.coverage.value is not None
    )
    left.set(
        xlim=(min(50, 100 * np.floor(10 * lowest - 0.2) / 10), 102), ylim=(NUM_CLASSES + 0.6, -0.95)
    )
    right.set(xlim=(0.8, NUM_CLASSES + 0.2), xticks=range(1, NUM_CLASSES + 1))
    right.tick_params(labelleft=False)
    for axes in (left, right):
        axes.axhline(NUM_CLASSES - 0.5, color=MUTED, linewidth=0.6)
    return png(figure)


def _note(axes: "Axes", position: float, text: str) -> None:
    """A remark at the left end of a row."""
    axes.text(
        0.012,
        position,
        text,
        transform=axes.get_yaxis_transform(),
        va="center",
        fontsize=7.5,
        color=MUTED,
    )


def _points(axes: "Axes", estimates: list[Estimate], colours: list[str], *, scale: float) -> None:
    """One row for each figure: its value, and its interval as a bar."""
    for position, (found, colour) in enumerate(zip(estimates, colours, strict=True)):
        if found.value is None:
            continue
        if found.ci_low is not None and found.ci_high is not None:
            ends = scale * np.array([found.ci_low, found.ci_high])
            axes.plot(ends, [position, position], color=colour, linewidth=2.2, alpha=0.45)
        value = scale * found.value
        axes.plot(value, position, "o", color=colour, markersize=6.5, markeredgecolor="white")
        axes.annotate(
            f"{value:.0f}" if scale > 1 else f"{value:.1f}",
            (value, position),
            xytext=(0, 6),
            textcoords="offset points",
            ha="center",
            fontsize=8,
            color=INK,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.4},
        )
