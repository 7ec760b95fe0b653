"""Pictures of operating points, predictive values and confidence bands."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from skin_lesion.decisions import OperatingPoint, Target, target_score, target_truth
from skin_lesion.evaluation.confidence_bands import BandFigures
from skin_lesion.evaluation.figures import Estimate
from skin_lesion.evaluation.operating_points import PointFigures
from skin_lesion.evaluation.predictive_values import PredictiveFigures
from skin_lesion.evaluation.sample import Sample
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

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TARGETS: dict[Target, str] = {
    "melanoma": "Melanoma against the rest",
    "malignant": "Malignant against benign",
}
_MARKS = (("o", ORANGE), ("s", GREEN), ("D", PURPLE), ("^", "#E69F00"))
_BAND_COLOURS = {"high": BLUE, "medium": "#56B4E9", "low": "#8a8a8a"}


def roc_with_points(sample: Sample, points: Sequence[PointFigures]) -> bytes:
    """ROC curve of each target with its operating points, their 95 % intervals as crosses.

    Args:
        sample: N images, with both kinds of image for each target that is to be drawn.
        points: Measured on the same images.
    """
    figure = new_figure(12.0, 6.2)
    for axes, (target, title) in zip(figure.subplots(1, 2), _TARGETS.items(), strict=True):
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (2, 3)))
        _roc(axes, sample, target)
        for (marker, colour), one in zip(
            _MARKS * len(points), (p for p in points if p.point.target == target), strict=False
        ):
            _mark(axes, one, marker, colour)
        dress(axes, title, "False positive rate (1 - specificity)", "Sensitivity")
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02), aspect="equal")
        axes.legend(loc="lower right", fontsize=8, frameon=True, framealpha=0.95, edgecolor="none")
    return png(figure)


def predictive_value_curves(tables: Sequence[PredictiveFigures]) -> bytes:
    """PPV and NPV of each operating point against prevalence, on a logarithmic axis.

    Args:
        tables: One for each point, with prevalences above 0.
    """
    figure = new_figure(12.0, 5.2)
    panels = figure.subplots(1, 2)
    for axes, kind, title in zip(
        panels,
        ("ppv", "npv"),
        ("What a flag is worth", "What no flag is worth"),
        strict=True,
    ):
        for (marker, colour), table in zip(_MARKS * len(tables), tables, strict=False):
            x = [100 * row.prevalence for row in table.rows]
            found: list[Estimate] = [getattr(row, kind) for row in table.rows]
            y, low, high = (
                [np.nan if value is None else 100 * value for value in values]
                for values in (
                    [one.value for one in found],
                    [one.ci_low for one in found],
                    [one.ci_high for one in found],
                )
            )
            axes.fill_between(x, low, high, color=colour, alpha=0.13, linewidth=0)
            label = f"{_words(table.name)} (this sample: {table.sample_prevalence:.0%})"
            axes.plot(x, y, color=colour, marker=marker, markersize=4, linewidth=1.6, label=label)
        name = {"ppv": "Positive predictive value (%)", "npv": "Negative predictive value (%)"}
        dress(axes, title, "Prevalence of the target (%, logarithmic)", name[kind])
        axes.set_xscale("log")
        ticks = sorted({100 * row.prevalence for table in tables for row in table.rows})
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.minorticks_off()
    panels[0].axhline(3, color=INK, linewidth=1, linestyle=(0, (4, 3)), label="3 % (NICE NG12)")
    panels[0].set_ylim(0, None)
    panels[0].legend(loc="upper left", fontsize=8, frameon=False)
    return png(figure)


def confidence_band_bars(figures: BandFigures) -> bytes:
    """Share, accuracy and missed melanomas of each confidence band, with 95 % intervals."""
    figure = new_figure(11.0, 3.6)
    for column, (axes, (kind, title)) in enumerate(
        zip(
            figure.subplots(1, 3, sharey=True),
            (
                ("share", "Share of all pictures"),
                ("accuracy", "Accuracy in the band"),
                ("melanoma_missed", "Melanomas called something else"),
            ),
            strict=True,
        )
    ):
        for row, band in enumerate(figures.bands):
            found: Estimate = getattr(band, kind)
            value = 0.0 if found.value is None else 100 * found.value
            axes.barh(row, value, height=0.55, color=_BAND_COLOURS[band.name])
            end = value
            if found.ci_low is not None and found.ci_high is not None:
                axes.plot([100 * found.ci_low, 100 * found.ci_high], [row, row], color=INK)
                end = 100 * found.ci_high
            text = "none" if found.value is None else f"{value:.1f} %"
            axes.text(end + 2, row, text, va="center", fontsize=9, color=INK)
        dress(axes, title, "%", "" if column else "Confidence")
        axes.set(xlim=(0, 124), ylim=(len(figures.bands) - 0.5, -0.5))
        axes.set_xticks(range(0, 101, 25))
        axes.grid(visible=False, axis="y")
        axes.set_yticks(
            range(len(figures.bands)),
            [
                f"{band.name}\n{band.n_images} pictures\n{band.n_melanomas} melanomas"
                for band in figures.bands
            ],
        )
    return png(figure)


def _roc(axes: "Axes", sample: Sample, target: Target) -> None:
    from sklearn.metrics import roc_auc_score, roc_curve

    positive = target_truth(sample.truth, target)
    if positive.all() or not positive.any():
        axes.plot([], [], " ", label="The sample lacks one kind of image")
        return
    score = target_score(sample.probabilities, target)
    false_rate, true_rate, _ = roc_curve(positive, score, drop_intermediate=False)
    area = roc_auc_score(positive, score)
    axes.plot(false_rate, true_rate, color=BLUE, linewidth=2, label=f"ROC, area {area:.3f}")


def _mark(axes: "Axes", one: PointFigures, marker: str, colour: str) -> None:
    sensitivity, specificity = one.figures.sensitivity, one.figures.specificity
    if sensitivity.value is None or specificity.value is None:
        return
    x, y = 1 - specificity.value, sensitivity.value
    if sensitivity.ci_low is not None and sensitivity.ci_high is not None:
        axes.plot([x, x], [sensitivity.ci_low, sensitivity.ci_high], color=colour, linewidth=1.4)
    if specificity.ci_low is not None and specificity.ci_high is not None:
        ends = [1 - specificity.ci_high, 1 - specificity.ci_low]
        axes.plot(ends, [y, y], color=colour, linewidth=1.4)
    axes.plot(
        x,
        y,
        marker,
        color=colour,
        markersize=9,
        markeredgecolor="white",
        label=f"{_asked(one.point)}: sensitivity {y:.2f}, specificity {1 - x:.2f}",
    )


def _asked(point: OperatingPoint) -> str:
    asked = "Risk from" if point.criterion == "ppv" else "Sensitivity asked"
    return f"{asked} {point.goal:.0%}{'' if point.reached else ' (too few to say)'}"


def _words(point: str) -> str:
    """`melanoma_sensitivity_95` as a reader would write it."""
    target, kind, goal = point.rsplit("_", 2)
    return f"{target.capitalize()}, {'risk from' if kind == 'ppv' else kind} {goal} %"
