"""Pictures of a study, as PNG."""

from typing import TYPE_CHECKING

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
from skin_lesion.tuning.outcomes import Outcome

if TYPE_CHECKING:
    from skin_lesion.tuning.summary import StudySummary

_MARKS = {
    Outcome.FINISHED: ("Finished", BLUE, "o"),
    Outcome.PRUNED: ("Stopped early (best until then)", MUTED, "v"),
    Outcome.DIVERGED: ("Diverged", ORANGE, "X"),
    Outcome.REFUSED: ("Values impossible together", PURPLE, "s"),
    Outcome.GIVEN_UP: ("Given up", INK, "P"),
}


def history_picture(summary: "StudySummary") -> bytes:
    """Scores of the trials in order, with the best one so far."""
    from matplotlib.ticker import MaxNLocator

    figure = new_figure(9.6, 4.2)
    axes = figure.subplots()
    counted = [row for row in summary.rows if row.counts]
    for outcome, (label, colour, marker) in _MARKS.items():
        # What came to no epoch has no score, and stands at the bottom.
        points = [(row.number, row.score or 0.0) for row in counted if row.outcome == outcome]
        if points:
            xs, ys = zip(*points, strict=True)
            axes.scatter(xs, ys, s=34, color=colour, marker=marker, label=label, zorder=3)
    best, steps = 0.0, []
    for row in counted:
        if row.outcome == Outcome.FINISHED:
            best = max(best, row.score or 0.0)
        if best:
            steps.append((row.number, best))
    if steps:
        axes.step(
            *zip(*steps, strict=True), where="post", color=GREEN, linewidth=1.8, label="Best so far"
        )
    dress(axes, f"Study {summary.name}: {len(counted)} trials", "Trial", "Macro F1 on validation")
    axes.set_ylim(bottom=0)
    axes.set_xlim(-0.5, max((row.number for row in counted), default=0) + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if counted:
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8, frameon=False)
    return png(figure)


def importance_picture(summary: "StudySummary") -> bytes:
    """Share of each value in how the scores of finished trials differ."""
    pairs = list(summary.importances.items())[::-1]
    finished = sum(row.outcome == Outcome.FINISHED for row in summary.rows)
    figure = new_figure(9.6, 1.6 + 0.38 * len(pairs))
    axes = figure.subplots()
    bars = axes.barh([name for name, _ in pairs], [share for _, share in pairs], color=BLUE)
    axes.bar_label(bars, labels=[f"{share:.0%}" for _, share in pairs], padding=4, fontsize=8.5)
    dress(axes, f"What differs between {finished} finished trials", "Share (fANOVA)", "")
    axes.set_xlim(0, 1.08)
    axes.grid(visible=False, axis="y")
    return png(figure)
