"""Training on one device, and what all kinds of devices have in common."""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skin_lesion.modeling.devices.errors import DevicesError
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

    def require_even(self, batch_size: int) -> None:
        """Make sure that the devices can share a batch.

        Raises:
            DevicesError: They would not get equally many images.
        """
        if batch_size % self.count:
            near = max(1, round(batch_size / self.count)) * self.count
            raise DevicesError(
                f"batch_size is {batch_size}, which {self.count} devices cannot share evenly; take "
                f"{near}, or another number of devices"
            )

    def prepare_classifier(self, classifier: "keras.Model") -> None:
        """Have `classifier.predict_on_batch` share its batch; called after building.

        Statistics that the model takes of a batch are those of the whole batch from here on.
        """

    def prepare_trainer(self, trainer: "keras.Model") -> None:
        """Have `trainer.train_on_batch` share its batch; called after each `compile`.

        It then takes arrays of a whole batch, whose length is a multiple of `count`, and gives the
        loss and metrics of the whole batch.
        """

    def release(self) -> None:
        """Leave models as they would be without these devices; called by `use_devices`."""

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Write what the weights are, in one process while the others do not."""
        yield

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


class SharingDevices(Devices):
    """Devices that share a batch, in place of the methods by which Keras would not."""

    def __init__(self) -> None:
        self._undo = contextlib.ExitStack()

    def prepare_classifier(self, classifier: "keras.Model") -> None:
        """Have `classifier.predict_on_batch` share its batch."""

        def predict_on_batch(x: NDArray[Any]) -> NDArray[np.float32]:
            return self._predict(classifier, padded(x, self.count))[: len(x)]

        self._replace(classifier, "predict_on_batch", predict_on_batch)

    def prepare_trainer(self, trainer: "keras.Model") -> None:
        """Have `trainer.train_on_batch` share its batch."""

        def train_on_batch(
            x: Any, y: Any, sample_weight: Any = None, *, return_dict: bool = False
        ) -> Any:
            logs = self._train(trainer, (x, y, sample_weight))
            return logs if return_dict else list(logs.values())

        self._replace(trainer, "train_on_batch", train_on_batch)

    def release(self) -> None:
        """Give models their own methods back."""
        self._undo.close()

    def _replace(self, thing: Any, name: str, value: Any) -> None:
        """Shadow a method of one object until `release`."""
        vars(thing)[name] = value
        self._undo.callback(vars(thing).pop, name, None)

    def _train(self, trainer: "keras.Model", batch: Any) -> Logs:
        """Make one step with a whole batch."""
        raise NotImplementedError

    def _predict(self, classifier: "keras.Model", images: NDArray[Any]) -> NDArray[np.float32]:
        """Logits of a whole batch whose length is a multiple of `count`, in every process."""
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
