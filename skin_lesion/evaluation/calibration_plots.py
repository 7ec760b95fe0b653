"""Reliability diagrams: what was said against what came true."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from skin_lesion.decisions import Probabilities, malignant_probability, softmax, target_truth
from skin_lesion.evaluation.calibration import ReliabilityBins, binned, equal_mass_bins
from skin_lesion.evaluation.proportions import wilson_ends
from skin_lesion.evaluation.sample import Sample
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
from skin_lesion.evaluation.wording import images_and_lesions, short_units
from skin_lesion.labels import LABELS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Evenly spaced bins of the pictures of single classes: in equal-mass bins nearly all points of a
# rare class would lie on top of each other at 0.
_EVEN_BINS = 8
# A point of fewer lesions is drawn hollow: it may lie anywhere.
_FEW_LESIONS = 10


@dataclass(frozen=True)
class _Series:
    """One set of points of a diagram.

    Attributes:
        name: For the legend.
        colour: Of its points.
        marker: Of its points.
        score: Probability given to the event, shape (N,).
        event: Whether it came true, shape (N,).
    """

    name: str
    colour: str
    marker: str
    score: NDArray[np.float64]
    event: NDArray[np.bool_]


def draw_calibration(sample: Sample, *, bins: int, where: str) -> dict[str, bytes]:
    """All reliability diagrams of a sample, by name.

    Args:
        sample: With calibrated probabilities.
        bins: Equal-mass bins of the two larger diagrams.
        where: Which images, such as `test split`.
    """
    return {
        "reliability": top_reliability(sample, bins=bins, where=where),
        "reliability_malignant": malignant_reliability(sample, bins=bins, where=where),
        "reliability_classes": class_reliability(sample, where=where),
    }


def top_reliability(sample: Sample, *, bins: int, where: str) -> bytes:
    """Share of right answers against the top probability, before and after calibration."""
    truth = sample.truth
    series = [
        _Series(name, colour, marker, p.max(axis=1), p.argmax(axis=1) == truth)
        for name, colour, marker, p in _before_and_after(sample)
    ]
    return _diagram(
        series,
        sample,
        bins=bins,
        title=f"Confidence and right answers, {_described(sample, where)}",
        said="Probability of the most probable class",
        seen="Share of right answers",
    )


def malignant_reliability(sample: Sample, *, bins: int, where: str) -> bytes:
    """Share of malignant images against the summed malignant probability, before and after."""
    malignant = target_truth(sample.truth, "malignant")
    series = [
        _Series(name, colour, marker, malignant_probability(p), malignant)
        for name, colour, marker, p in _before_and_after(sample)
    ]
    return _diagram(
        series,
        sample,
        bins=bins,
        title=f"Malignant or benign, {_described(sample, where)}",
        said="Summed malignant probability (mel + bcc + akiec)",
        seen="Share of malignant images",
    )


def class_reliability(sample: Sample, *, where: str) -> bytes:
    """For each class: how often it was true against its calibrated probability."""
    figure = new_figure(12.0, 6.6)
    panels = figure.subplots(2, 4, sharex=True, sharey=True).ravel()
    for index, (axes, label) in enumerate(zip(panels, LABELS, strict=False)):
        score, event = sample.probabilities[:, index], sample.truth == index
        lesions = len(np.unique(sample.groups[event]))
        extent = images_and_lesions(int(event.sum()), lesions, sample.units)
        dress(axes, f"{CLASS_NAMES[label]}\n{extent}", "", "")
        axes.title.set_fontsize(9)
        _diagonal(axes)
        members = np.minimum((score * _EVEN_BINS).astype(np.int64), _EVEN_BINS - 1)
        _points(axes, _Series("", BLUE, "o", score, event), members, sample.groups)
        axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
    for axes in panels[3:7]:
        axes.set_xlabel("Probability of the class", fontsize=9, color=INK)
        axes.tick_params(labelbottom=True)
    for axes in (panels[0], panels[4]):
        axes.set_ylabel("Share of the images\nthat are of the class", fontsize=9, color=INK)
    panels[7].axis("off")
    panels[7].text(
        0.0,
        0.9,
        f"After calibration, {where}\n({len(sample)} images).\n\n"
        "On the dashed line the class is true\nas often as foretold; below it, it is\n"
        f"foretold too often.\n\n{_EVEN_BINS} even bins; empty ones are left out.\n"
        f"Hollow: fewer than {_FEW_LESIONS} {_units(sample)} in the bin.\n"
        f"Bars: 95 % (Wilson, over {_units(sample)}).",
        transform=panels[7].transAxes,
        va="top",
        fontsize=9,
        color=INK,
        linespacing=1.45,
    )
    return png(figure)


def _before_and_after(sample: Sample) -> list[tuple[str, str, str, Probabilities]]:
    return [
        ("Before calibration", ORANGE, "s", softmax(sample.logits)),
        ("After calibration", BLUE, "o", sample.probabilities),
    ]


def _diagram(
    series: list[_Series],
    sample: Sample,
    *,
    bins: int,
    title: str,
    said: str,
    seen: str,
) -> bytes:
    """Reliability above a histogram of the probabilities."""
    figure = new_figure(7.4, 8.0)
    axes, counts = figure.subplots(2, 1, height_ratios=(4, 1), sharex=True)
    _diagonal(axes)
    edges = np.linspace(0, 1, 26)
    for one in series:
        found = _points(axes, one, equal_mass_bins(one.score, bins), sample.groups)
        axes.plot([], [], one.marker, color=one.colour, label=_legend(one, found))
        counts.hist(one.score, bins=edges, histtype="step", color=one.colour, linewidth=1.6)
    dress(axes, title, "", seen)
    axes.title.set_fontsize(10)
    dress(counts, "", said, "Images")
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    axes.legend(loc="upper left", fontsize=8.5, frameon=False)
    axes.text(
        0.99,
        0.02,
        f"Each point: about {len(sample) / bins:.0f} images\n"
        f"Bars: 95 % (Wilson, over {_units(sample)})",
        transform=axes.transAxes,
        ha="right",
        fontsize=8,
        color=MUTED,
        linespacing=1.4,
    )
    return png(figure)


def _points(
    axes: "Axes", series: _Series, members: NDArray[np.int64], groups: NDArray[np.int64]
) -> ReliabilityBins:
    """Draw what came true in each bin, with its interval; lesions, not images, are the trials."""
    found = binned(series.score, series.event, members)
    lesions = np.array([len(np.unique(groups[members == bin])) for bin in np.unique(members)])
    low, high = wilson_ends(found.accuracy * lesions, lesions.astype(float))
    axes.vlines(found.confidence, low, high, color=series.colour, linewidth=1.2, alpha=0.55)
    axes.plot(found.confidence, found.accuracy, color=series.colour, linewidth=0.6, alpha=0.5)
    axes.scatter(
        found.confidence,
        found.accuracy,
        s=34,
        marker=series.marker,
        facecolors=["white" if few else series.colour for few in lesions < _FEW_LESIONS],
        edgecolors=[series.colour if few else "white" for few in lesions < _FEW_LESIONS],
        linewidths=1.1,
        zorder=3,
    )
    return found


def _diagonal(axes: "Axes") -> None:
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))


def _legend(series: _Series, found: ReliabilityBins) -> str:
    return f"{series.name}: calibration error {found.calibration_error:.3f}"


def _described(sample: Sample, where: str) -> str:
    lesions = len(np.unique(sample.groups))
    return f"{where} ({images_and_lesions(len(sample), lesions, sample.units)})"


def _units(sample: Sample) -> str:
    return short_units(sample.units)
