"""The line that a person follows a training by, as readable in a file as on a screen."""

from skin_lesion.modeling.checkpoints import Progress
from skin_lesion.modeling.phase import Phase

# Epochs that the time left is estimated from.
_RECENT = 5


def progress_line(phase: Phase, progress: Progress) -> str:
    """The newest epoch in one line.

    Args:
        phase: What is being trained.
        progress: At least one epoch.

    Returns:
        `finetune  9/24  loss 0.512 | validation loss 0.601  accuracy 0.812  macro F1 0.667*
        melanoma AUC 0.889 | 123.4 images/s  31 min left`; the star marks the best so far.
    """
    record = progress.records[-1]
    metrics = record.metrics
    auc = metrics.get("val_melanoma_auc")
    width = len(str(phase.last_epoch))
    learnt = (
        f"{phase.name} {record.epoch + 1:>{width}}/{phase.last_epoch}  loss {metrics['loss']:.3f}"
    )
    judged = "  ".join(
        (
            f"loss {metrics['val_loss']:.3f}",
            f"accuracy {metrics['val_accuracy']:.3f}",
            f"macro F1 {metrics['val_macro_f1']:.3f}" + ("*" if _is_best(progress) else " "),
            "melanoma AUC " + ("-    " if auc is None else f"{auc:.3f}"),
        )
    )
    pace = (
        f"{record.images_per_second:.1f} images/s  {_duration(seconds_left(phase, progress))} left"
    )
    return f"{learnt} | validation {judged} | {pace}"


def seconds_left(phase: Phase, progress: Progress) -> float:
    """Estimate the time to the end of the phase from its last epochs.

    An epoch takes as long as it has pixels, so that small pictures at first promise no early end.
    Patience may end it earlier.
    """
    recent = progress.records[-_RECENT:]
    per_pixel = sum(one.seconds / _pixels(phase, one.epoch) for one in recent) / len(recent)
    coming = range(progress.records[-1].epoch + 1, phase.last_epoch)
    return per_pixel * sum(_pixels(phase, epoch) for epoch in coming)


def _pixels(phase: Phase, epoch: int) -> int:
    height, width = phase.size(epoch)
    return height * width


def _is_best(progress: Progress) -> bool:
    return progress.best_epoch == progress.records[-1].epoch


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02} min"
    return f"{minutes} min" if minutes >= 2 else f"{seconds:.0f} s"
