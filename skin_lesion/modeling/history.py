"""What a training phase recorded, epoch by epoch."""

from pydantic import BaseModel, ConfigDict


class EpochRecord(BaseModel):
    """One finished epoch.

    Attributes:
        epoch: 0-based and counted over both phases, so that they share one axis.
        learning_rate: Rate at the end of the epoch.
        seconds: Wall time including validation.
        images_per_second: Training images a second, without validation.
        metrics: `loss`, `accuracy` (training, on augmented and mixed images) and `val_loss`,
            `val_accuracy`, `val_balanced_accuracy`, `val_macro_f1`, `val_melanoma_auc` (of the
            average of the weights where there is one).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epoch: int
    learning_rate: float
    seconds: float
    images_per_second: float
    metrics: dict[str, float]


class History(BaseModel):
    """One training phase.

    Attributes:
        phase: `warmup` or `finetune`.
        description: What the phase was, in words: a frozen warm-up of a pretrained backbone is
            never confused with training from scratch.
        records: One an epoch, in order.
        best_epoch: Epoch whose weights were kept.
        trainable_parameters: Number of weights that learnt at the end of the phase.
        mlflow_run_id: The run that trained it; None outside a tracked run.
        stopped_early: Whether patience ran out before the last epoch.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    phase: str
    description: str
    records: tuple[EpochRecord, ...]
    best_epoch: int
    trainable_parameters: int
    mlflow_run_id: str | None = None
    stopped_early: bool = False
