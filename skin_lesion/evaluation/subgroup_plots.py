"""Forest plots of subgroups: every group's figures beside those of all images."""

from typing import TYPE_CHECKING

import numpy as np

from skin_lesion.evaluation.figures import Estimate, Units
from skin_lesion.evaluation.style import (
    BLUE,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    PURPLE,
    dress,
    new_figure,
    png,
)
from skin_lesion.evaluation.subgroups import Subgroup, SubgroupAttribute, SubgroupFigures
from skin_lesion.evaluation.wording import short_units

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PANELS = (
    ("_auc", "Area under the ROC curve"),
    (".sensitivity", "Sensitivity at the frozen point"),
    (".specificity", "Specificity at the frozen point"),
)
_MARKS = (("o", ORANGE), ("s", BLUE), ("D", GREEN), ("^", PURPLE))
_TITLES = {"sex": "By sex", "age": "By age in years", "site": "By body site"}


def subgroup_forests(figures: SubgroupFigures, units: Units = "lesion_group") -> dict[str, bytes]:
    """One forest plot for each attribute, by `subgroups_<attribute>`.

    Args:
        figures: What is drawn.
        units: What counts as a lesion.
    """
    return {
        f"subgroups_{attribute.name}": _forest(attribute, figures, units)
        for attribute in figures.attributes
    }


def _forest(attribute: SubgroupAttribute, figures: SubgroupFigures, units: Units) -> bytes:
    from matplotlib.transforms import ScaledTranslation

    scale = f"Value, with its 95 % interval over {short_units(units)}"
    rows = (figures.overall, *attribute.groups)
    figure = new_figure(13.0, 2.0 + 0.46 * len(rows))
    for axes, (ending, title) in zip(
        figure.subplots(1, len(_PANELS), sharey=True), _PANELS, strict=True
    ):
        names = [one.name for one in figures.overall.figures if one.name.endswith(ending)]
        _panel(axes, names, rows)
        dress(axes, title, scale, "")
        axes.grid(visible=False, axis="y")
        # As far below the axes as their label is high, whatever the height of the axes.
        below = axes.transAxes + ScaledTranslation(0, -0.45, figure.dpi_scale_trans)
        axes.set_yticks(range(len(rows)), [_row_words(group) for group in rows])
        axes.legend(
            loc="upper center",
            bbox_to_anchor=(0.5, 0.0),
            bbox_transform=below,
            fontsize=8.5,
            frameon=False,
            ncols=1,
        )
    figure.suptitle(
        f"{_TITLES.get(attribute.name, attribute.name)}: pictures (of melanoma; of any malignant "
        "class). Dotted lines: all pictures.",
        x=0.01,
        ha="left",
        fontsize=10,
        color=MUTED,
    )
    return png(figure)


def _panel(axes: "Axes", names: list[str], rows: tuple[Subgroup, ...]) -> None:
    lowest = 0.9
    offsets = (np.arange(len(names)) - (len(names) - 1) / 2) * 0.36
    for name, offset, (marker, colour) in zip(names, offsets, _MARKS * len(names), strict=False):
        axes.plot([], [], marker, color=colour, label=_words(name))
        overall = rows[0].figure(name)
        if overall is not None and overall.value is not None:
            axes.axvline(overall.value, color=colour, linewidth=1, linestyle=(0, (1, 2)))
        for row, group in enumerate(rows):
            found = group.figure(name)
            if found is not None and found.value is not None:
                _draw(axes, row + offset, found.value, found, marker, colour)
                lowest = min(lowest, found.value if found.ci_low is None else found.ci_low)
            elif not group.too_few:
                _say(axes, row + offset, "too few", MUTED)
    for row, group in enumerate(rows):
        if group.too_few:
            _say(axes, row, "too few", MUTED)
    axes.axhline(0.5, color=MUTED, linewidth=0.8)
    start = np.floor(10 * lowest - 0.2) / 10
    axes.locator_params(axis="x", nbins=5)
    axes.set(xlim=(start, 1.0 + 0.02 * (1 - start)), ylim=(len(rows) - 0.5, -0.5))


def _draw(axes: "Axes", y: float, value: float, found: Estimate, marker: str, colour: str) -> None:
    if found.ci_low is not None and found.ci_high is not None:
        axes.plot([found.ci_low, found.ci_high], [y, y], color=colour, linewidth=1.6)
    axes.plot(value, y, marker, color=colour, markersize=6, markeredgecolor="white")
    _say(axes, y, f"{value:.2f}", INK)


def _say(axes: "Axes", y: float, text: str, colour: str) -> None:
    """Text to the right of the panel, where no line runs."""
    axes.annotate(
        text,
        (1.0, y),
        xycoords=("axes fraction", "data"),
        xytext=(5, 0),
        textcoords="offset points",
        va="center",
        fontsize=7.5,
        color=colour,
        annotation_clip=False,
    )


def _words(name: str) -> str:
    """`melanoma_sensitivity_95.specificity` as a reader would write its point."""
    if name.endswith("_auc"):
        return name.removesuffix("_auc").capitalize()
    target, kind, goal = name.split(".")[0].rsplit("_", 2)
    return f"{target.capitalize()}, {'risk from' if kind == 'ppv' else kind} {goal} % asked"


def _row_words(group: Subgroup) -> str:
    return f"{group.name}: {group.n_images} ({group.melanoma_images}; {group.malignant_images})"
