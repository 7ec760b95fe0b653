"""Checkpoints of a training phase: one folder an epoch, never visible half-written.

Layout: `<root>/<key>/<phase>/<epoch>/` with `model.weights.h5`, `optimizer.npz` and `progress.json`.
The key is a checksum of everything that decides the outcome, so a checkpoint can only ever be
resumed by the training that wrote it.
"""

import hashlib
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict

from skin_lesion.modeling.history import EpochRecord

if TYPE_CHECKING:
    import keras


def checkpoint_key(parts: Iterable[str]) -> str:
    """SHA-256 over the texts that identify a training."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


class Progress(BaseModel):
    """Where a phase stands.

    Attributes:
        records: Finished epochs, in order.
        best_epoch: Epoch of the best validation macro F1 so far.
        best_score: That macro F1.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    records: tuple[EpochRecord, ...] = ()
    best_epoch: int = -1
    best_score: float = -1.0

    def advance(self, record: EpochRecord) -> "Progress":
        """Progress after one more epoch; the earlier of two equally good epochs stays the best."""
        score = record.metrics["val_macro_f1"]
        best = (
            (record.epoch, score) if score > self.best_score else (self.best_epoch, self.best_score)
        )
        return Progress(records=(*self.records, record), best_epoch=best[0], best_score=best[1])


@dataclass(frozen=True)
class CheckpointStore:
    """Checkpoints of one phase of one training.

    Attributes:
        folder: `<root>/<key>/<phase>`.
    """

    folder: Path

    def latest(self) -> Path | None:
        """Folder of the newest finished checkpoint."""
        if not self.folder.is_dir():
            return None
        finished = [path for path in self.folder.iterdir() if path.name.isdigit()]
        return max(finished, key=lambda path: int(path.name), default=None)

    def weights_of(self, epoch: int) -> Path:
        """Weights file of an epoch."""
        return self.folder / str(epoch) / "model.weights.h5"

    def save(
        self, model: "keras.Model", optimizer: "keras.optimizers.Optimizer", progress: Progress
    ) -> None:
        """Write a checkpoint, then drop all but the newest and the best."""
        epoch = progress.records[-1].epoch
        partial = self.folder / f"{epoch}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        model.save_weights(partial / "model.weights.h5")
        np.savez(partial / "optimizer.npz", allow_pickle=False, **optimizer_state(optimizer))
        (partial / "progress.json").write_text(progress.model_dump_json())
        # The rename is what makes a checkpoint exist.
        target = self.folder / str(epoch)
        shutil.rmtree(target, ignore_errors=True)
        os.replace(partial, target)
        for path in self.folder.iterdir():
            if path.name not in (str(epoch), str(progress.best_epoch)):
                shutil.rmtree(path, ignore_errors=True)

    def clear(self) -> None:
        """Remove every checkpoint of the phase."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def read_progress(self, checkpoint: Path) -> Progress:
        """Where training stood when the checkpoint was written."""
        return Progress.model_validate_json((checkpoint / "progress.json").read_text())


def optimizer_state(optimizer: "keras.optimizers.Optimizer") -> dict[str, np.ndarray]:
    """Every variable of an optimizer by the path of what it belongs to."""
    import keras

    return {
        variable.path.split("/", 1)[-1]: keras.ops.convert_to_numpy(variable.value)
        for variable in optimizer.variables
    }


def restore_optimizer(
    optimizer: "keras.optimizers.Optimizer", state: "dict[str, np.ndarray]"
) -> None:
    """Give an optimizer the state that another one for the same weights was left in.

    Raises:
        KeyError: The state is of an optimizer for other weights.
    """
    for variable in optimizer.variables:
        variable.assign(state[variable.path.split("/", 1)[-1]])
