"""What both training phases are given."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from skin_lesion.data.augment import AugmentationPlan
from skin_lesion.data.image_array import ImageArray
from skin_lesion.data.split_table import SplitTable
from skin_lesion.modeling.devices import DeviceFacts
from skin_lesion.modeling.history import EpochRecord

OnEpoch = Callable[[EpochRecord], None]
OnDevices = Callable[[DeviceFacts], None]
Arrived = Callable[[str], bool]


def _as_noted(_: str) -> bool:
    """Where whoever hands a model over has it stored before."""
    return True


@dataclass(frozen=True)
class TrainingData:
    """What both phases learn from.

    Attributes:
        images: Pictures of the whole data set.
        split: Which rows are for training and for validation.
        plan: Augmentation, class weights, seed.
    """

    images: ImageArray
    split: SplitTable
    plan: AugmentationPlan

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.images.shape[1], self.images.shape[2]

    def identity(self) -> tuple[str, ...]:
        """Texts that identify pixels, labels, split and policy."""
        rows = self.split.rows[["image_id", "dx", "split"]].to_csv(index=False)
        return (
            self.images.sha256,
            hashlib.sha256(rows.encode()).hexdigest(),
            self.plan.model_dump_json(),
        )


@dataclass(frozen=True)
class RunContext:
    """Where a phase reports to and keeps its checkpoints.

    Attributes:
        checkpoint_root: Folder of all checkpoints; None keeps none.
        code_version: Identifies the training code; part of the checkpoints' key.
        run_id: MLflow run, for the history.
        on_epoch: Called after every epoch; on resuming also for those finished before.
        on_devices: Called with what the phase is trained on, before it begins.
        afresh: Train again even where a finished training of the very same kind has left its
            checkpoints; one that was interrupted, or whose model never arrived, is resumed all the
            same.
        receiver: Identifies whoever asks for the training. It is noted beside the checkpoints when
            the model is handed over (see `TrainedPhase.delivered`).
        arrived: Whether what was handed to a receiver is where it was wanted. Whoever stores a model
            only after handing it over may have been killed between the two.
        elsewhere: How to have the checkpoints on another disk, for whoever reads that one is full.
    """

    checkpoint_root: Path | None = None
    code_version: str = ""
    run_id: str | None = None
    on_epoch: OnEpoch | None = None
    afresh: bool = False
    on_devices: OnDevices | None = None
    receiver: str = ""
    arrived: Arrived = _as_noted
    elsewhere: str = "have RunContext name another checkpoint_root"

    def report(self, record: EpochRecord) -> None:
        """Tell whoever wants to know that an epoch is finished."""
        if self.on_epoch is not None:
            self.on_epoch(record)
