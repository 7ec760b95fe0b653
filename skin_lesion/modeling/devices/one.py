"""Training on one device, and what all kinds of devices have in common."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skin_lesion.modeling.devices.facts import DeviceFacts, device_name

if TYPE_CHECKING:
    import keras

Logs = dict[str, Any]


class Devices:
    """What a training computes on. Made by `use_devices`, and used within it.

    The models are built within `use_devices`, too: their weights are then placed on all devices.
    Files of weights and optimizers are the same whatever the number of devices.

    Attributes:
        count: Devices that share a batch, of all processes together.
        processes: Processes that train together.
        process: Number of this process, from 0.
    """

    count = 1
    processes = 1
    process = 0

    @property
    def chief(self) -> bool:
        """Whether this process writes checkpoints and reports."""
        return self.process == 0

    def prepare_classifier(self, classifier: "keras.Model") -> None:
        """Make statistics those of the whole batch; called once after building, before training."""

    def release(self) -> None:
        """Leave models as they would be without these devices; called by `use_devices`."""

    def prepare_trainer(self, trainer: "keras.Model") -> None:
        """Make a trainer ready for `train_on_batch`; called after each `compile`."""

    def train_on_batch(
        self, trainer: "keras.Model", inputs: Any, targets: Any, weights: Any
    ) -> Logs:
        """Make one step with a whole batch, of which each device takes its part.

        Args:
            trainer: Prepared.
            inputs: Arrays whose first axis is the batch; its length is a multiple of `count`.
            targets: Likewise.
            weights: Likewise.

        Returns:
            Loss and metrics of the whole batch.
        """
        logs: Logs = trainer.train_on_batch(inputs, targets, weights, return_dict=True)
        return logs

    def predict(self, classifier: "keras.Model", images: NDArray[Any]) -> NDArray[np.float32]:
        """Logits of a batch of any length.

        Args:
            classifier: Compiled, and prepared.
            images: Shape (n, height, width, 3).

        Returns:
            Shape (n, 7); the same in every process.
        """
        logits: NDArray[np.float32] = classifier.predict_on_batch(images)
        return logits

    def barrier(self, name: str) -> None:
        """Wait until every process has come here."""

    def require_same(self, what: str, text: str) -> None:
        """Make sure that all processes are about the same thing.

        Args:
            what: Names it in the message.
            text: What has to be equal.

        Raises:
            DevicesError: It differs in another process.
        """

    def facts(self, precision: str, *, xla: bool) -> DeviceFacts:
        """What is recorded of them.

        Args:
            precision: Keras dtype policy of the computation.
            xla: Whether the steps are compiled by XLA.
        """
        import keras

        kind, reported = self._first()
        return DeviceFacts(
            backend=keras.backend.backend(),
            platform=kind,
            name=device_name(kind, reported),
            count=self.count,
            processes=self.processes,
            precision=precision,
            xla=xla,
        )

    def _first(self) -> tuple[str, str]:
        """Kind of the first device, and what the backend calls it."""
        raise NotImplementedError


class OneDevice(Devices):
    """The device that the backend takes by itself.

    Args:
        kind: `cpu`, `gpu` or `tpu`.
        name: What the backend calls it.
    """

    def __init__(self, kind: str, name: str) -> None:
        self._described = (kind, name)

    def _first(self) -> tuple[str, str]:
        return self._described


def padded(images: NDArray[Any], multiple: int) -> NDArray[Any]:
    """Repeat the last picture until the length is a multiple.

    Args:
        images: Shape (n, …), n at least 1.
        multiple: At least 1.
    """
    missing = -len(images) % multiple
    return np.concatenate([images, np.repeat(images[-1:], missing, axis=0)]) if missing else images
