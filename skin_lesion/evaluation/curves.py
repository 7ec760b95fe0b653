"""Training curves, as PNG pictures."""

from collections.abc import Sequence
from textwrap import fill

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
from skin_lesion.modeling.history import History

_TITLES = {"warmup": "First phase", "finetune": "Second phase"}
_LOSS = (
    ("loss", "Training (augmented, mixed)", ORANGE, "s"),
    ("val_loss", "Validation", BLUE, "o"),
)
_SCORES = (
    ("accuracy", "Training accuracy (augmented, mixed)", ORANGE, "s"),
    ("val_accuracy", "Validation accuracy", BLUE, "o"),
    ("val_balanced_accuracy", "Validation balanced accuracy", PURPLE, "^"),
    ("val_macro_f1", "Validation macro F1", GREEN, "D"),
    ("val_melanoma_auc", "Validation melanoma AUC", INK, "v"),
)


def training_curves(histories: Sequence[History], *, finished: bool = True) -> dict[str, bytes]:
    """One picture for each phase: loss, scores and learning rate, with the kept epoch marked.

    Args:
        histories: Phases with at least one epoch each.
        finished: Whether the marked epoch is the one that was kept, or the best one so far.

    Returns:
        PNG pictures by `<phase>_curves`.

    Raises:
        ValueError: A phase without an epoch.
    """
    return {f"{history.phase}_curves": _phase(history, finished) for history in histories}


def _phase(history: History, finished: bool) -> bytes:
    if not history.records:
        raise ValueError(f"phase {history.phase!r} has no epochs; expected at least one")
    epochs = [record.epoch + 1 for record in history.records]
    figure = new_figure(9.6, 7.6)
    loss, score, rate = figure.subplots(3, 1, height_ratios=(3, 3, 1.2), sharex=True)
    for axes, lines in ((loss, _LOSS), (score, _SCORES)):
        for metric, name, colour, marker in lines:
            points = [
                (record.epoch + 1, record.metrics[metric])
                for record in history.records
                if metric in record.metrics
            ]
            if points:
                axes.plot(
                    *zip(*points, strict=True),
                    color=colour,
                    marker=marker,
                    markersize=3.5,
                    linewidth=1.5,
                    label=name,
                )
    rate.plot(
        epochs,
        [record.learning_rate for record in history.records],
        color=MUTED,
        marker="o",
        markersize=3,
        linewidth=1.5,
    )
    title = _TITLES.get(history.phase, history.phase)
    dress(loss, fill(f"{title}: {history.description}", 95), "", "Loss (cross-entropy, nats)")
    dress(score, "", "", "Score, 0 to 1")
    dress(rate, "", "Epoch (counted over all phases)", "Learning rate")
    mark = "Kept" if finished else "Best macro F1 so far"
    for axes in (loss, score, rate):
        axes.axvline(
            history.best_epoch + 1,
            color="black",
            linewidth=1,
            linestyle=(0, (4, 3)),
            label=f"{mark}: epoch {history.best_epoch + 1}",
        )
    for axes in (loss, score):
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8, frameon=False)
    score.set_ylim(0, 1)
    rate.set_ylim(bottom=0)
    rate.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
    rate.yaxis.get_offset_text().set_fontsize(8)
    rate.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    rate.set_xlim(epochs[0] - 0.5, epochs[-1] + 0.5)
    return png(figure)
