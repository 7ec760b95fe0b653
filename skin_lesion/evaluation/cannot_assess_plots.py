"""Pictures of what is refused and what that gains."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from skin_lesion.decisions import OodGate, OodScore
from skin_lesion.evaluation.cannot_assess import KINDS, OutlierKind, Separation
from skin_lesion.evaluation.refusals import RefusalFigures
from skin_lesion.evaluation.risk_coverage import RiskCoverage
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
from skin_lesion.evaluation.wording import OUTLIER_NAMES, SCORE_NAMES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Scores = NDArray[np.float64]
Pixels = NDArray[np.uint8]

_KIND_COLOURS: dict[OutlierKind, str] = {"crops": ORANGE, "corruptions": PURPLE, "skin": GREEN}
_KIND_MARKERS: dict[OutlierKind, str] = {"crops": "o", "corruptions": "s", "skin": "^"}
_DASHES = (0, (4, 2))
_BINS = 50
# Outliers may lie ten times as far out as lesions; the axis ends where that many are left over.
_AXIS_SHARE = 0.98


def score_histograms(
    inside: Scores, outliers: Mapping[OutlierKind, Scores], gate: OodGate, where: str
) -> bytes:
    """Scores of pictures of lesions and of outliers, with the threshold between them.

    Args:
        inside: Scores of pictures of lesions, shape (N,).
        outliers: Scores of outliers by kind.
        gate: Which score, and its threshold.
        where: Which pictures of lesions, such as `test split`.
    """
    kinds = [kind for kind in KINDS if kind in outliers]
    figure = new_figure(8.6, 1.9 + 1.35 * (1 + len(kinds)))
    rows = figure.subplots(1 + len(kinds), 1, sharex=True, squeeze=False)[:, 0]
    everything = np.concatenate([inside, *(outliers[kind] for kind in kinds)])
    low = float(everything.min())
    high = max(float(np.quantile(everything, _AXIS_SHARE)), gate.threshold)
    margin = 0.03 * (high - low or 1.0)
    edges = np.linspace(low - margin, high + margin, _BINS + 1)
    drawn = [(f"Pictures of lesions, {where}", inside, BLUE)]
    drawn += [(OUTLIER_NAMES[kind], outliers[kind], _KIND_COLOURS[kind]) for kind in kinds]
    for axes, (name, scores, colour) in zip(rows, drawn, strict=True):
        shares = np.full(len(scores), 100 / len(scores))
        axes.hist(np.minimum(scores, edges[-1]), bins=edges, weights=shares, color=colour)
        axes.axvline(gate.threshold, color=INK, linewidth=1.4, linestyle=_DASHES)
        refused = float((scores > gate.threshold).mean())
        dress(axes, "", "", "Pictures (%)")
        axes.set_title(
            f"{name} (n = {len(scores)}): {refused:.1%} beyond the threshold",
            loc="left",
            fontsize=9.5,
            color=INK,
        )
        axes.margins(y=0.12)
    rows[-1].set_xlabel(
        f"{SCORE_NAMES[gate.score]} (higher: more unlike; the last bar holds all beyond it)",
        fontsize=9.5,
        color=INK,
    )
    rows[0].text(
        gate.threshold,
        0.97,
        " threshold, frozen\n on validation",
        transform=rows[0].get_xaxis_transform(),
        ha="left" if gate.threshold < (low + 2 * high) / 3 else "right",
        va="top",
        fontsize=8.5,
        color=INK,
    )
    figure.suptitle(
        "How unlike the training pictures",
        x=0.01,
        ha="left",
        fontsize=12,
        fontweight="bold",
        color=INK,
    )
    return png(figure)


def separation_picture(
    separations: Mapping[OodScore, Separation], chosen: OodScore, where: str
) -> bytes:
    """AUROC of every score against every kind of outlier, with its interval.

    Args:
        separations: By score.
        chosen: The score that the gate uses.
        where: Which pictures of lesions, such as `validation`.
    """
    figure = new_figure(9.4, 4.6)
    axes = figure.add_subplot()
    kinds = [kind for kind in KINDS if all(kind in s.auroc for s in separations.values())]
    first = next(iter(separations.values()))
    for offset, kind in enumerate(kinds):
        shift = 0.24 * (offset - (len(kinds) - 1) / 2)
        name = f"{OUTLIER_NAMES[kind]} ({first.n_outliers[kind]} from {first.n_clusters[kind]})"
        _intervals(axes, separations, kind, shift, name)
    axes.axvline(0.5, color=MUTED, linewidth=1, linestyle=(0, (2, 3)))
    axes.text(0.5, -0.62, " chance", fontsize=8, color=MUTED, va="center")
    axes.set_yticks(
        range(len(separations)),
        [SCORE_NAMES[name] + ("\n(chosen)" if name == chosen else "") for name in separations],
    )
    for text, score in zip(axes.get_yticklabels(), separations, strict=True):
        text.set_fontweight("bold" if score == chosen else "normal")
    axes.set_ylim(len(separations) - 0.5, -0.8)
    dress(
        axes,
        f"Outliers against pictures of lesions, {where}",
        "AUROC: chance that an outlier scores higher, with its 95 % interval",
        "",
    )
    axes.set_xlim(right=1.01)
    axes.legend(
        loc="upper center", bbox_to_anchor=(0.42, -0.14), ncols=2, fontsize=8.5, frameon=False
    )
    return png(figure)


def refusal_picture(figures: RefusalFigures, where: str) -> bytes:
    """Share refused of every class and of every kind of outlier.

    Args:
        figures: What is drawn.
        where: Which pictures of lesions, such as `test split`.
    """
    rows = [
        (f"{label} ({row.n_images})", row.refused, BLUE)
        for label, row in figures.per_class.items()
        if row.n_images
    ]
    rows.append((f"All lesions ({figures.n_images})", figures.refused, INK))
    rows += [
        (f"{OUTLIER_NAMES[kind]} ({row.n_images})", row.refused, _KIND_COLOURS[kind])
        for kind, row in figures.outliers.items()
    ]
    figure = new_figure(8.6, 1.6 + 0.36 * len(rows))
    axes = figure.add_subplot()
    for position, (_, found, colour) in enumerate(rows):
        value = found.value or 0.0
        axes.barh(position, 100 * value, color=colour, height=0.62, alpha=0.85)
        end = value
        if found.ci_low is not None and found.ci_high is not None:
            axes.plot([100 * found.ci_low, 100 * found.ci_high], [position] * 2, color=INK, lw=1.3)
            end = found.ci_high
        axes.text(100 * end + 1.2, position, f"{value:.1%}", va="center", fontsize=8.5, color=INK)
    axes.set_yticks(range(len(rows)), [name for name, _, _ in rows])
    axes.invert_yaxis()
    dress(axes, f"Not assessed, {where} and outliers", "Refused (%), with 95 % interval", "")
    axes.set_xlim(0, 112)
    axes.set_xticks(range(0, 101, 20))
    axes.grid(visible=False, axis="y")
    return png(figure)


def risk_coverage_picture(curve: RiskCoverage, where: str) -> bytes:
    """Risk against coverage, beside the best and the worst that sureness could do.

    Args:
        curve: What is drawn.
        where: Which images, such as `test split`.
    """
    figure = new_figure(7.6, 5.4)
    axes = figure.add_subplot()
    coverage = np.array([point.coverage for point in curve.points])
    risk = np.array([point.risk.value for point in curve.points], dtype=np.float64)
    # Where an interval is not known the band is left out.
    low, high = (
        np.array([getattr(point.risk, end) for point in curve.points], dtype=np.float64)
        for end in ("ci_low", "ci_high")
    )
    rate = curve.n_mistakes / curve.n_images
    ideal = np.maximum(coverage - (1 - rate), 0) / coverage
    percent = 100 * coverage
    axes.fill_between(percent, 100 * low, 100 * high, color=BLUE, alpha=0.16, linewidth=0)
    axes.plot(percent, 100 * risk, color=BLUE, linewidth=2.2, label="Surest first (95 % interval)")
    axes.plot(percent, 100 * ideal, color=GREEN, linewidth=1.6, linestyle=_DASHES,
              label="Best possible: all mistakes last")  # fmt: skip
    axes.axhline(100 * rate, color=MUTED, linewidth=1.3, linestyle=(0, (2, 3)),
                 label="Without order: the same risk throughout")  # fmt: skip
    marked = [curve.at(share) for share in (0.8, 0.9)]
    values = [100 * (point.risk.value or 0.0) for point in marked]
    axes.plot(
        [100 * point.coverage for point in marked],
        values,
        "o",
        color=BLUE,
        markeredgecolor="white",
        markersize=8,
        label=", ".join(
            f"{value:.1f}% wrong at {point.coverage:.0%}"
            for point, value in zip(marked, values, strict=True)
        ),
    )
    title = f"Risk and coverage, {where} ({curve.n_images} images, {curve.n_mistakes} mistakes)"
    dress(axes, title, "Coverage: images answered (%)", "Risk: wrong among the answers (%)")
    top = np.nanmax([100 * rate, *(100 * risk), *(100 * high)]) if curve.n_mistakes else 1.0
    axes.set(xlim=(0, 101), ylim=(0, 1.35 * top))
    axes.set_xticks(range(0, 101, 20))
    aurc, excess = curve.aurc.value or 0.0, curve.excess_aurc.value or 0.0
    legend = axes.legend(loc="upper left", fontsize=8.5, frameon=False)
    legend.set_title(f"Area {aurc:.4f}, excess over the best {excess:.4f}")
    legend.get_title().set(fontsize=9, fontweight="bold")
    return png(figure)


def _intervals(
    axes: "Axes",
    separations: Mapping[OodScore, Separation],
    kind: OutlierKind,
    shift: float,
    name: str,
) -> None:
    for position, separation in enumerate(separations.values()):
        found = separation.auroc[kind]
        if found.value is None:
            continue
        y = position + shift
        if found.ci_low is not None and found.ci_high is not None:
            axes.plot([found.ci_low, found.ci_high], [y, y], color=_KIND_COLOURS[kind], lw=1.8)
        axes.plot(
            found.value,
            y,
            _KIND_MARKERS[kind],
            color=_KIND_COLOURS[kind],
            markersize=7,
            markeredgecolor="white",
            label=name if position == 0 else None,
        )
        axes.annotate(
            f"{found.value:.3f}",
            (found.value, y),
            textcoords="offset points",
            xytext=(0, 5),
            ha="center",
            fontsize=7.5,
            color=INK,
        )
