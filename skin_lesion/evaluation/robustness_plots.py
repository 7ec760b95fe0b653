"""The picture of robustness, as PNG."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from skin_lesion.evaluation.figures import Estimate, Units
from skin_lesion.evaluation.robustness_figures import (
    PerturbationFigures,
    RobustnessFigures,
    StrengthFigures,
)
from skin_lesion.evaluation.style import BLUE, GREEN, INK, MUTED, ORANGE, dress, new_figure, png
from skin_lesion.evaluation.wording import pictures_of, short_units

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLUMNS = 5
_LINES: tuple[tuple[str, str, str, Callable[[StrengthFigures], Estimate]], ...] = (
    ("Balanced accuracy", BLUE, "o", lambda step: step.drop.balanced_accuracy),
    (
        "Melanoma sensitivity at the frozen threshold",
        ORANGE,
        "s",
        lambda step: step.drop.melanoma_sensitivity,
    ),
    (
        "Melanoma specificity at the frozen threshold",
        GREEN,
        "^",
        lambda step: step.drop.melanoma_specificity,
    ),
)


def robustness_plot(figures: RobustnessFigures, units: Units = "lesion_group") -> bytes:
    """Drop against strength, a panel for each perturbation, with 95 % intervals.

    Args:
        figures: What is drawn.
        units: What counts as a lesion.
    """
    figure = new_figure(15.0, 7.0)
    rows = -(-len(figures.perturbations) // _COLUMNS)
    panels = figure.subplots(rows, _COLUMNS, sharey=True, squeeze=False)
    for axes in panels.flat[len(figures.perturbations) :]:
        axes.set_visible(False)
    for number, (axes, (name, one)) in enumerate(
        zip(panels.flat, figures.perturbations.items(), strict=False)
    ):
        _panel(axes, one, worst=name == figures.worst)
        if number % _COLUMNS == 0:
            axes.set_ylabel("Drop (percentage points)", fontsize=9, color=INK)
    # Room for the words in each panel's upper corner; the panels share the axis.
    first: Axes = panels.flat[0]
    low, high = first.get_ylim()
    first.set_yticks([tick for tick in first.get_yticks() if low <= tick <= high])
    first.set_ylim(low, high + 0.2 * (high - low))
    figure.suptitle(
        "What perturbed pictures cost: "
        f"{pictures_of(figures.n_images, figures.n_lesions, units)}, each compared with "
        f"itself; bands are 95 % intervals over {short_units(units)}",
        fontsize=11,
        color=INK,
        x=0.01,
        ha="left",
        fontweight="bold",
    )
    handles, names = first.get_legend_handles_labels()
    if handles:
        figure.legend(
            handles, names, loc="outside lower left", ncols=len(names), fontsize=9, frameon=False
        )
    return png(figure)


def _panel(axes: "Axes", one: PerturbationFigures, *, worst: bool) -> None:
    axes.axhline(0, color=MUTED, linewidth=1)
    x = np.array([step.strength for step in one.strengths])
    for name, colour, marker, drop in _LINES:
        drops = [drop(step) for step in one.strengths]
        if all(estimate.value is None for estimate in drops):
            continue
        middle, low, high = (
            np.array([getattr(estimate, end) for estimate in drops], dtype=np.float64) * 100
            for end in ("value", "ci_low", "ci_high")
        )
        axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
        axes.plot(x, middle, marker, linestyle="-", color=colour, markersize=4.5, label=name)
    loss = one.mean_relative_drop.value
    # Adding 0 turns a rounded -0 into 0.
    lost = "–" if loss is None else f"{round(loss, 2) + 0.0:.0%}".replace("-", "−")
    axes.text(
        0.03,
        0.97,
        f"Balanced accuracy lost:\n{lost} on average" + (", the most" if worst else ""),
        transform=axes.transAxes,
        va="top",
        fontsize=8,
        color=ORANGE if worst else MUTED,
        fontweight="bold" if worst else "normal",
    )
    dress(axes, one.title, f"Strengths 1 to 5 ({one.unit})", "")
    axes.xaxis.label.set_fontsize(8.5)
    axes.set_xticks(x, [f"{step.amount:g}" for step in one.strengths])
    axes.tick_params(labelleft=True)
