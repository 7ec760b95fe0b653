"""Pictures of how well a model tells the classes apart, with the uncertainty beside every figure."""

from typing import TYPE_CHECKING

import numpy as np

from skin_lesion.decisions import Target
from skin_lesion.evaluation.discrimination import Discrimination, PerUnit
from skin_lesion.evaluation.figures import Estimate, Units
from skin_lesion.evaluation.measured import ERRORS, READ_AT, TARGETS, ranking
from skin_lesion.evaluation.ranking import Ranking
from skin_lesion.evaluation.resampling import CONFIDENCE, Resamples, estimate
from skin_lesion.evaluation.sample import Sample
from skin_lesion.evaluation.style import BLUE, INK, MUTED, ORANGE, dress, new_figure, png
from skin_lesion.evaluation.wording import images_and_lesions, short_units

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TITLES: dict[Target, str] = {
    "melanoma": "Melanoma against the rest",
    "malignant": "Malignant against benign",
}
_MARKERS = dict(zip(READ_AT, ("o", "D"), strict=True))
# Sections of the forest plot, each on its own scale: heading, axis, figures with their names.
_SECTIONS: tuple[tuple[str, str, dict[str, str]], ...] = (
    (
        "All classes",
        "Higher is better, 1 is best",
        {
            "accuracy": "Accuracy",
            "balanced_accuracy": "Balanced accuracy",
            "macro_f1": "Macro F1",
            "weighted_f1": "Weighted F1",
            "kappa": "Cohen's kappa",
            "macro_auc": "Macro AUC",
            "macro_average_precision": "Macro average precision",
        },
    ),
    (
        "Melanoma and malignancy",
        "Higher is better, 1 is best",
        {
            "melanoma_auc": "Melanoma: AUC",
            "melanoma.sensitivity_at_specificity_90": "Melanoma: sensitivity at specificity 90 %",
            "melanoma.sensitivity_at_specificity_95": "Melanoma: sensitivity at specificity 95 %",
            "melanoma.specificity_at_sensitivity_90": "Melanoma: specificity at sensitivity 90 %",
            "melanoma.specificity_at_sensitivity_95": "Melanoma: specificity at sensitivity 95 %",
            "malignant_auc": "Malignant: AUC",
            "malignant.sensitivity_at_specificity_90": "Malignant: sensitivity at specificity 90 %",
            "malignant.sensitivity_at_specificity_95": "Malignant: sensitivity at specificity 95 %",
            "malignant.specificity_at_sensitivity_90": "Malignant: specificity at sensitivity 90 %",
            "malignant.specificity_at_sensitivity_95": "Malignant: specificity at sensitivity 95 %",
        },
    ),
    (
        "Errors of the probabilities",
        "Error, lower is better",
        {
            "brier": "Brier score (0 to 2)",
            "nll": "Log loss (nats)",
            "ece": "Calibration error (0 to 1)",
        },
    ),
)


def roc_bands(sample: Sample, resamples: Resamples) -> bytes:
    """ROC of melanoma and of malignancy with a pointwise 95 % band from resampled lesions.

    Args:
        sample: N images.
        resamples: Of these images.
    """
    figure = new_figure(11.4, 6.6)
    panels = figure.subplots(1, len(TARGETS), sharey=True)
    for axes, target in zip(panels, TARGETS, strict=True):
        dress(axes, _TITLES[target], "Specificity (%)", "Sensitivity (%)")
        axes.set(xlim=(101, -1), ylim=(-1, 101), aspect="equal")
        itself = ranking(sample, Resamples.original(sample.groups), target)
        if np.isfinite(itself.aucs()[0]):
            _draw_roc(axes, target, itself, ranking(sample, resamples, target))
        else:
            text = "Not defined:\none kind of image is missing"
            axes.text(50, 50, text, ha="center", va="center", color=INK)
    panels[1].set_ylabel("")
    lesions = len(np.unique(sample.groups))
    figure.supxlabel(
        f"\n{images_and_lesions(len(sample), lesions, sample.units)}. Shaded: where the "
        "sensitivity at each specificity lies in 95 % of the resampled sets of "
        f"{short_units(sample.units)}. Dotted: chance.",
        fontsize=8.5,
        color=MUTED,
    )
    return png(figure)


def _draw_roc(axes: "Axes", target: Target, itself: Ranking, resampled: Ranking) -> None:
    specificities = np.linspace(0, 1, 201)
    fine = np.linspace(0, 1, 2001)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.nanquantile(resampled.sensitivities_at(specificities), [tail, 1 - tail], axis=0)
    colour = {"melanoma": ORANGE, "malignant": BLUE}[target]
    x = 100 * specificities
    axes.plot([100, 0], [0, 100], color=MUTED, linewidth=1, linestyle=(0, (2, 3)))
    axes.fill_between(x, 100 * low, 100 * high, color=colour, alpha=0.18, linewidth=0)
    auc = estimate(float(itself.aucs()[0]), resampled.aucs())
    axes.plot(
        100 * fine,
        100 * itself.sensitivities_at(fine)[0],
        color=colour,
        linewidth=2,
        label=f"AUC {_text(auc, 3)}",
    )
    for per_cent, marker in _MARKERS.items():
        goal = per_cent / 100
        specificity = 100 * itself.specificities_at_sensitivity(goal)[0]
        axes.plot(
            [specificity],
            [100 * itself.sensitivities_at_specificity(specificity / 100)[0]],
            marker,
            color="white",
            markeredgecolor=INK,
            markeredgewidth=1.6,
            markersize=7,
            linestyle="none",
            label=f"Sensitivity ≥ {per_cent} %: specificity {specificity:.0f} %",
        )
    axes.legend(loc="lower right", fontsize=9, frameon=True, framealpha=0.95, edgecolor="none")


def forest(figures: PerUnit, units: Units = "lesion_group") -> bytes:
    """The main figures with their 95 % intervals, per image and per lesion.

    Args:
        figures: Of both.
        units: What counts as a lesion; where each picture does, the two are the same and drawn once.
    """
    rows = [len(names) for _, _, names in _SECTIONS]
    figure = new_figure(10.6, 10.4)
    panels = figure.subplots(len(_SECTIONS), 1, height_ratios=[count + 1.6 for count in rows])
    for axes, (title, scale, names) in zip(panels, _SECTIONS, strict=True):
        dress(axes, title, scale, "")
        _draw_forest(axes, figures, names, units)
    panels[0].legend(
        loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, fontsize=9, frameon=False
    )
    return png(figure)


def _draw_forest(axes: "Axes", figures: PerUnit, names: dict[str, str], units: Units) -> None:
    errors = names.keys() <= ERRORS
    lesion = (
        "Per lesion, or picture without an id" if units == "lesion_or_picture" else "Per lesion"
    )
    series = [
        ("Per image", figures.images, BLUE, "o", -0.17),
        (lesion, figures.lesions, ORANGE, "s", 0.17),
    ]
    if units == "picture":
        series.pop()  # the same figures once more
    for unit, measured, colour, marker, offset in series:
        for row, name in enumerate(names):
            one = measured.estimates[name]
            label = f"{unit} (n = {measured.n_images})" if row == 0 else None
            y = row + offset
            text = "not defined" if one.value is None else _text(one, 3 if errors else 2)
            axes.annotate(
                text,
                (1.02, y),
                xycoords=("axes fraction", "data"),
                va="center",
                fontsize=8,
                color=colour,
                annotation_clip=False,
            )
            if one.ci_low is not None and one.ci_high is not None:
                axes.plot([one.ci_low, one.ci_high], [y, y], color=colour, linewidth=2, alpha=0.75)
            value = np.nan if one.value is None else one.value
            axes.plot(
                [value], [y], marker, color=colour, markersize=5.5, label=label, clip_on=False
            )
    axes.set_yticks(range(len(names)), list(names.values()))
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    if errors:
        axes.set_xlim(left=0)
    else:
        # Kappa alone may lie below 0.
        lows = [low for _, one, *_ in series for low in _lows(one, names)]
        axes.set_xlim(min([0.0, *lows]), 1)


def _lows(measured: Discrimination, names: dict[str, str]) -> list[float]:
    """Lowest values to be drawn."""
    ends = [measured.estimates[name] for name in names]
    return [low for one in ends for low in (one.value, one.ci_low) if low is not None]


def _text(one: Estimate, decimals: int) -> str:
    if one.ci_low is None or one.ci_high is None:
        return f"{one.value:.{decimals}f} (no interval)"
    return f"{one.value:.{decimals}f} ({one.ci_low:.{decimals}f} to {one.ci_high:.{decimals}f})"
