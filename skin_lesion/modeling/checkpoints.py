"""Checkpoints of a training phase: one folder an epoch, never visible half-written.

Layout: `<root>/<key>/<phase>/<epoch>/` with `model.npz` (weights that the epoch was judged by, and that
are kept), `learning.npz` (the weights behind them, where they are an average), `optimizer.npz` and
`progress.json`. What else a training is made of is a function of these, the seed and the epoch.
None of it is HDF5, which crashes the process some time after a disk was full.
The key is a checksum of everything that decides the outcome, so a checkpoint can only ever be
resumed by the training that wrote it.
"""

import hashlib
import logging
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from skin_lesion.disk import room_for
from skin_lesion.locking import only_process
from skin_lesion.modeling.averaging import finalize_constants
from skin_lesion.modeling.history import EpochRecord

if TYPE_CHECKING:
    import keras

log = logging.getLogger(__name__)

WEIGHTS = "model.npz"
LEARNING = "learning.npz"
OPTIMIZER = "optimizer.npz"
PROGRESS = "progress.json"
DELIVERED = "delivered"
_PARTIAL, _FORGOTTEN, _LOCK = ".partial", ".forgotten", ".lock"


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
class Resumed:
    """What a phase goes on from.

    Attributes:
        progress: Where it stood; without epochs where it begins.
        optimizer: Every variable of its optimizer; None where it begins.
        behind_average: File of the weights that learn, where the model's are their average.
    """

    progress: Progress
    optimizer: "dict[str, NDArray[np.float32]] | None" = None
    behind_average: Path | None = None


@dataclass(frozen=True)
class CheckpointStore:
    """Checkpoints of one phase of one training.

    Attributes:
        folder: `<root>/<key>/<phase>`.
    """

    folder: Path

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Have the checkpoints to oneself: a second process would remove what is not its own.

        Raises:
            RuntimeError: Another process is training the very same phase.
            DiskFullError: There is no room for a folder.
        """
        with room_for("a folder of checkpoints", self.folder.parent, 0):
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            lock = self.folder.with_name(f"{self.folder.name}{_LOCK}")
            lock.touch()
        with only_process(lock, f"the {self.folder.name} training of {self.folder.parent}"):
            yield

    def latest(self) -> Path | None:
        """Folder of the newest finished checkpoint."""
        if not self.folder.is_dir():
            return None
        finished = [path for path in self.folder.iterdir() if path.name.isdigit()]
        return max(finished, key=lambda path: int(path.name), default=None)

    def weights_of(self, epoch: int) -> Path:
        """File of the weights that an epoch was judged by."""
        return self.folder / str(epoch) / WEIGHTS

    def save(
        self,
        model: "keras.Model",
        optimizer: "keras.optimizers.Optimizer",
        progress: Progress,
        behind_average: "keras.Model | None" = None,
    ) -> None:
        """Write a checkpoint, then drop all but the newest and the best.

        Args:
            model: With the weights that the epoch was judged by.
            optimizer: Of the weights that learn.
            progress: Up to this epoch.
            behind_average: With the weights that learn, where `model` has their average.

        Raises:
            DiskFullError: There is no room for it; the checkpoints from before are as they were.
        """
        epoch = progress.records[-1].epoch
        arrays = {WEIGHTS: weights(model), OPTIMIZER: optimizer_state(optimizer)}
        if behind_average is not None:
            arrays[LEARNING] = weights(behind_average)
        needed = sum(array.nbytes for part in arrays.values() for array in part.values())
        partial, target = self.folder / f"{epoch}{_PARTIAL}", self.folder / str(epoch)
        with room_for(f"the checkpoint of epoch {epoch}", self.folder, needed):
            try:
                shutil.rmtree(partial, ignore_errors=True)
                partial.mkdir(parents=True)
                for name, part in arrays.items():
                    np.savez(partial / name, allow_pickle=False, **part)
                (partial / PROGRESS).write_text(progress.model_dump_json())
                for path in partial.iterdir():
                    _flush(path)
                # The rename is what makes a checkpoint exist.
                shutil.rmtree(target, ignore_errors=True)
                os.replace(partial, target)
                if os.name == "posix":
                    _flush(self.folder)
            except BaseException:
                shutil.rmtree(partial, ignore_errors=True)
                raise
        for path in self.folder.iterdir():
            if path.name not in (str(epoch), str(progress.best_epoch)):
                shutil.rmtree(path, ignore_errors=True)

    def mark_delivered(self, receiver: str = "") -> None:
        """Note to whom what came of the training was handed.

        A training that is done does not fail by this note: where there is no folder, nothing of the
        training is left that it could speak of.

        Args:
            receiver: Identifies whoever asked for the training, where that can be told.
        """
        partial = self.folder / f"{DELIVERED}{_PARTIAL}"
        try:
            partial.write_text(receiver, encoding="utf-8")
            os.replace(partial, self.folder / DELIVERED)
        except FileNotFoundError:
            log.info("no checkpoints are left in %s", self.folder)
        except OSError as error:
            log.warning(
                "%s cannot be marked as delivered (%s): asked to train afresh, the same training would "
                "be taken for one whose model was lost; remove the folder then",
                self.folder,
                error,
            )

    @property
    def receiver(self) -> str | None:
        """To whom what came of the training was handed; None where it was handed to nobody."""
        try:
            return (self.folder / DELIVERED).read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError):
            return None

    def clear(self) -> None:
        """Remove every checkpoint of the phase, at once for whoever resumes."""
        forgotten = self.folder.with_name(f"{self.folder.name}{_FORGOTTEN}")
        shutil.rmtree(forgotten, ignore_errors=True)
        if self.folder.is_dir():
            os.replace(self.folder, forgotten)
        shutil.rmtree(forgotten, ignore_errors=True)

    def resume(self, model: "keras.Model") -> "Resumed":
        """Load the newest checkpoint, where there is one.

        Args:
            model: Is given the weights that its epoch was judged by.
        """
        checkpoint = self.latest()
        if checkpoint is None:
            return Resumed(Progress())
        progress = self.read_progress(checkpoint)
        log.info("resuming after epoch %d from %s", progress.records[-1].epoch, checkpoint)
        read_weights(model, checkpoint / WEIGHTS)
        behind = checkpoint / LEARNING
        with np.load(checkpoint / OPTIMIZER, allow_pickle=False) as state:
            return Resumed(progress, dict(state), behind if behind.is_file() else None)

    def read_progress(self, checkpoint: Path) -> Progress:
        """Where training stood when the checkpoint was written."""
        return Progress.model_validate_json((checkpoint / PROGRESS).read_text())


def _flush(path: Path) -> None:
    """Have what a file or folder holds on the disk before what follows: the power may fail between."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def weights(model: "keras.Model") -> dict[str, NDArray[np.generic]]:
    """The weights of a model, in order, by a number."""
    return {str(number): array for number, array in enumerate(model.get_weights())}


def read_weights(model: "keras.Model", path: Path) -> None:
    """Give a model the weights of a checkpoint.

    Args:
        model: Of the same network.
        path: `model.npz` or `learning.npz`.
    """
    with np.load(path, allow_pickle=False) as kept:
        model.set_weights([kept[str(number)] for number in range(len(kept))])
    finalize_constants(model)


def optimizer_state(optimizer: "keras.optimizers.Optimizer") -> dict[str, np.ndarray]:
    """Every variable of an optimizer by the path of what it belongs to."""
    import keras

    return {
        variable.path.split("/", 1)[-1]: keras.ops.convert_to_numpy(variable)
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
