"""Pictures of what was found about the heat-maps, as PNG."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from skin_lesion.evaluation.explanation_figures import DeletionFigures, RandomisationFigures
from skin_lesion.evaluation.figures import Estimate, Units
from skin_lesion.evaluation.style import (
    BLUE,
    CLASS_NAMES,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    dress,
    new_figure,
    png,
)
from skin_lesion.evaluation.wording import pictures_of
from skin_lesion.explain.gradcam import class_activation, grad_cam_plus_plus, hires_cam, overlay
from skin_lesion.labels import LABELS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_EXAMPLES = 8
_ABREAST = 2


@dataclass(frozen=True)
class ExampleMaps:
    """N pictures whose maps are to be drawn; rows of all arrays belong together.

    Attributes:
        pixels: RGB, shape (N, H, W, 3).
        features: Last feature maps, shape (N, h, w, C).
        class_index: Class explained in each picture, shape (N,).
        image_ids: Public identifier of each picture.
    """

    pixels: NDArray[np.uint8]
    features: NDArray[np.float32]
    class_index: NDArray[np.int64]
    image_ids: tuple[str, ...]


def randomisation_plot(figures: RandomisationFigures, units: Units = "lesion_group") -> bytes:
    """Similarity to the maps of the trained model, one point for each stage of randomisation.

    Args:
        figures: What is drawn.
        units: What counts as a lesion.
    """
    stages = figures.cascade or (figures.head,)
    figure = new_figure(max(6.4, 3.6 + 0.42 * len(stages)), 4.6)
    axes = figure.add_subplot()
    positions = np.arange(len(stages) + 1)
    series = (
        ("Rank correlation of the evidence", "rank_correlation", BLUE, "o", -0.12),
        ("Absolute rank correlation", "absolute_rank_correlation", GREEN, "^", 0.0),
        ("Structural similarity of the evidence", "structural_similarity", ORANGE, "s", 0.12),
    )
    for title, field, colour, marker, place in series:
        shift = place * len(positions) / 14  # the same distance on paper
        unrelated = getattr(figures.unrelated, field)
        if unrelated.value is None:
            continue
        estimates = [getattr(stage, field) for stage in stages]
        # Equal to itself before anything is shuffled.
        values = [1.0, *(np.nan if e.value is None else e.value for e in estimates)]
        axes.plot(positions + shift, values, color=colour, marker=marker, markersize=5, label=title)
        axes.vlines(
            positions[1:] + shift,
            [_end(e, e.ci_low) for e in estimates],
            [_end(e, e.ci_high) for e in estimates],
            color=colour,
            linewidth=1.2,
        )
        axes.axhline(unrelated.value, color=colour, linewidth=1, linestyle=(0, (2, 3)))
    axes.plot([], [], color=MUTED, linewidth=1, linestyle=(0, (2, 3)), label="Unrelated pictures")
    title = (
        "Do the heat-maps depend on the weights?\n"
        f"{pictures_of(figures.n_images, figures.n_lesions, units)}, "
        f"{figures.repeats} randomised models, maps of {figures.map_height} × {figures.map_width}"
    )
    dress(axes, title, "Weights shuffled down to and including this stage", "Similarity to own map")
    axes.set_xticks(
        positions,
        ["none", *(stage.name for stage in stages)],
        rotation=40 if len(stages) > 6 else 0,
        ha="right" if len(stages) > 6 else "center",
    )
    axes.set_ylim(min(-0.35, axes.get_ylim()[0]), 1.05)
    axes.axhline(0, color=MUTED, linewidth=0.8)
    axes.legend(fontsize=8.5, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return png(figure)


def curves_plot(figures: DeletionFigures, label: str, units: Units = "lesion_group") -> bytes:
    """Mean deletion and insertion curves beside those of chance.

    Args:
        figures: Of the pictures of one class.
        label: Its code.
        units: What counts as a lesion.
    """
    figure = new_figure(11.0, 5.0)
    left, right = figure.subplots(1, 2, sharey=True)
    hidden = 100 * np.array(figures.hidden)
    shown = 100 - hidden[::-1]
    _curve(left, hidden, figures.deletion, BLUE, "o", f"Hottest first  {_of(figures.deletion_auc)}")
    _curve(left, hidden, figures.centre, GREEN, "^", f"Centre first  {_of(figures.centre_auc)}")
    _curve(left, hidden, figures.random, ORANGE, "s", f"Random order  {_of(figures.random_auc)}")
    _curve(
        right, shown, figures.insertion, BLUE, "o", f"Hottest first  {_of(figures.insertion_auc)}"
    )
    _curve(
        right,
        shown,
        figures.random[::-1],
        ORANGE,
        "s",
        f"Random order  {_of(figures.random_auc)}",
    )
    probability = f"Mean probability of {label}"
    dress(left, "Deletion: lower is better", "Share of the picture blurred (%)", probability)
    dress(right, "Insertion: higher is better", "Share of the picture shown (%)", "")
    for axes, beaten in ((left, figures.better_deletion), (right, figures.better_insertion)):
        axes.set(ylim=(0, 1), xlim=(-2, 102))
        axes.legend(
            fontsize=8.5,
            frameon=False,
            title=f"Area under the curve; map beats chance in {_percent(beaten)}",
            title_fontsize=8.5,
            loc="upper center",
            bbox_to_anchor=(0.5, -0.16),
            ncols=3,
        )
    few = ", indicative only" if figures.indicative else ""
    figure.suptitle(
        f"Do the hottest cells matter? {CLASS_NAMES[label]} called right: "
        f"{pictures_of(figures.n_images, figures.n_lesions, units)}{few}; "
        f"{figures.map_height} × {figures.map_width} cells",
        fontsize=11,
        color=INK,
    )
    return png(figure)


def example_maps(examples: ExampleMaps, kernel: NDArray[np.float32]) -> bytes:
    """The first pictures, each beside its maps: Grad-CAM, Grad-CAM++ and signed evidence.

    Args:
        examples: At least one picture.
        kernel: Weights of the classification layer, shape (C, 7).
    """
    count = min(_MOST_EXAMPLES, len(examples.pixels))
    abreast = min(_ABREAST, count)
    height, width = examples.pixels.shape[1:3]
    rows = -(-count // abreast)
    figure = new_figure(6.0 * abreast + 0.4, rows * (1.45 * height / width + 0.45) + 0.9)
    gap = 0.12
    widths = [1.0, 1.0, 1.0, 1.0, gap] * abreast
    panels = figure.subplots(rows, len(widths), squeeze=False, gridspec_kw={"width_ratios": widths})
    for axes in panels.flat:
        axes.set_axis_off()
    for number in range(count):
        row, column = divmod(number, abreast)
        _example(panels[row, 5 * column : 5 * column + 4], examples, number, kernel)
    figure.suptitle(
        "Where the network sees evidence for the class it names (not evidence of being right). "
        "Last panel: red speaks for it, blue against.",
        fontsize=9.5,
        color=INK,
    )
    return png(figure)


def _example(
    panels: "NDArray[np.object_]", examples: ExampleMaps, number: int, kernel: NDArray[np.float32]
) -> None:
    pixels, features = examples.pixels[number], examples.features[number]
    index = int(examples.class_index[number])
    panels[0].imshow(pixels)
    heats = (
        ("Grad-CAM", class_activation(features, kernel, index)),
        ("Grad-CAM++", grad_cam_plus_plus(features, kernel, index)),
    )
    for axes, (title, heat) in zip(panels[1:3], heats, strict=True):
        axes.imshow(overlay(pixels, heat))
        axes.set_title(title if heat.any() else f"{title}: none", fontsize=8, color=MUTED)
    signed = hires_cam(features, kernel, index)
    reach = max(float(np.abs(signed).max()), 1e-12)
    panels[3].imshow(
        signed, cmap="RdBu_r", vmin=-reach, vmax=reach, aspect="auto",
        extent=(0, pixels.shape[1], pixels.shape[0], 0),
    )  # fmt: skip
    panels[3].set_aspect("equal")
    panels[0].set_title(
        f"{examples.image_ids[number]}\ncalled {LABELS[index]}", fontsize=8, color=INK
    )
    panels[3].set_title("For and against", fontsize=8, color=MUTED)


def _curve(
    axes: "Axes",
    x: NDArray[np.float64],
    y: tuple[float, ...],
    colour: str,
    marker: str,
    label: str,
) -> None:
    axes.plot(x, y, color=colour, marker=marker, markersize=4, linewidth=1.6, label=label)


def _end(estimate: Estimate, end: float | None) -> float:
    """An end of the interval; the figure itself where there is none."""
    known = estimate.value if end is None else end
    return float("nan") if known is None else known


def _of(estimate: Estimate) -> str:
    return "" if estimate.value is None else f"{estimate.value:.2f}"


def _percent(estimate: Estimate) -> str:
    if estimate.value is None:
        return "n/a"
    if estimate.ci_low is None or estimate.ci_high is None:
        return f"{estimate.value:.0%}"
    return f"{estimate.value:.0%} ({estimate.ci_low:.0%} to {estimate.ci_high:.0%})"
