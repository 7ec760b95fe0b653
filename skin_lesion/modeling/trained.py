"""What a training phase leaves behind."""

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from skin_lesion.disk import room_for
from skin_lesion.modeling.checkpoints import CheckpointStore
from skin_lesion.modeling.classifier import build_classifier
from skin_lesion.modeling.history import History
from skin_lesion.settings import BackboneConfig

if TYPE_CHECKING:
    import keras

UNKNOWN_CODE = ("",)


@dataclass(frozen=True)
class WarmupModel:
    """A handle on the classifier after the first phase.

    Attributes:
        path: A `.keras` file.
        backbone: What it was built from.
        pretrained_on: `imagenet`, `sha256:…` of a weights file, or `nothing`.
        epochs: Epochs trained so far; fine-tuning counts on from here.
        workspace: Keeps a temporary folder alive as long as the handle.
        trained_by: Code that trained each phase so far, as `RunContext.code_version` named it; empty
            where that was not kept, as by earlier versions. A model may be reused by other code.
    """

    path: Path
    backbone: BackboneConfig
    pretrained_on: str
    epochs: int
    workspace: object = field(default=None, repr=False, compare=False)
    trained_by: tuple[str, ...] = UNKNOWN_CODE


@dataclass(frozen=True)
class TrainedPhase:
    """What a phase leaves behind.

    Attributes:
        model: The classifier with the weights that were kept.
        history: What was recorded.
        checkpoints: Where the phase keeps them; None where it keeps none.
        receiver: Identifies whoever asked for it, where that can be told.
    """

    model: WarmupModel
    history: History
    checkpoints: CheckpointStore | None = None
    receiver: str = ""

    def delivered(self) -> None:
        """Say that the model was handed to whoever asked for it.

        Until then, and until `RunContext.arrived` says that the receiver has it, the checkpoints are
        all there is of the training, and even a phase that is asked to train afresh goes on from them.
        """
        if self.checkpoints is not None:
            self.checkpoints.mark_delivered(self.receiver)


def keep(
    classifier: "keras.Model",
    backbone: BackboneConfig,
    pretrained_on: str,
    history: History,
    checkpoints: CheckpointStore | None = None,
    receiver: str = "",
    trained_by: tuple[str, ...] = UNKNOWN_CODE,
) -> TrainedPhase:
    """Save the classifier in float32, whatever precision it was trained in.

    Raises:
        DiskFullError: There is no room for it; a training with checkpoints keeps them.
    """
    workspace = tempfile.TemporaryDirectory(prefix="skin-lesion-")
    path = Path(workspace.name) / "model.keras"
    model = classifier
    if classifier.get_layer("features").dtype_policy.name != "float32":
        model = build_classifier(backbone, classifier.input.shape[1:3])
        model.set_weights(classifier.get_weights())
    save_model(model, path)
    epochs = history.records[-1].epoch + 1
    kept = WarmupModel(path, backbone, pretrained_on, epochs, workspace, trained_by)
    return TrainedPhase(kept, history, checkpoints, receiver)


def save_model(model: "keras.Model", path: Path) -> None:
    """Write a model to a temporary file.

    Args:
        model: Any.
        path: A `.keras` file in a folder that is removed with whoever asks.

    Raises:
        DiskFullError: There is no room for it.
    """
    needed = sum(array.nbytes for array in model.get_weights())
    what = "the trained model (temporary files lie where TMPDIR says)"
    with room_for(what, path.parent, needed):
        model.save(path)
