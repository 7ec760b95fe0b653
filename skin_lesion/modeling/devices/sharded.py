"""Several devices on JAX, of one machine or of several: `keras.distribution.DataParallel`.

A batch is one array whose rows lie on the devices, and XLA makes of a step what computes as one
device would: sums, BatchNorm's statistics and dropout are those of the whole batch by construction.
"""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skin_lesion.modeling.devices.errors import DevicesError
from skin_lesion.modeling.devices.one import Logs, SharingDevices

if TYPE_CHECKING:
    import keras


class ShardedDevices(SharingDevices):
    """Devices of all processes, while their distribution is Keras's own.

    Args:
        distribution: Over the devices, in the order of the processes.
    """

    def __init__(self, distribution: "keras.distribution.DataParallel") -> None:
        import jax

        super().__init__()
        self._distribution = distribution
        self.count = distribution.device_mesh.devices.size
        self.processes = jax.process_count()
        self.process = jax.process_index()
        self._predictor: tuple[keras.Model, list[Any], Any] | None = None

    def _first(self) -> tuple[str, str]:
        import jax

        device = jax.local_devices()[0]
        return device.platform, device.device_kind

    def _train(self, trainer: "keras.Model", batch: Any) -> Logs:
        """Make one step; Keras puts the rows of this process on its devices."""
        mine = self._rows_of_process(batch)
        logs: Logs = type(trainer).train_on_batch(trainer, *mine, return_dict=True)
        return logs

    def _predict(self, classifier: "keras.Model", images: NDArray[Any]) -> NDArray[np.float32]:
        """Logits of a batch, gathered in every process."""
        import jax

        variables, compute = self._compiled(classifier)
        mine = np.ascontiguousarray(self._rows_of_process(images))
        layout = self._distribution.get_data_layout(mine.shape).backend_layout
        place: Any = jax.make_array_from_process_local_data  # not typed
        return np.asarray(compute([v.value for v in variables], place(layout, mine)))

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Write what the weights are, in one process while the others do not.

        Keras makes an optimizer to compare with when it saves; its variables would be placed on all
        devices, for which all processes are needed.
        """
        import keras

        keras.distribution.set_distribution(None)
        try:
            yield
        finally:
            keras.distribution.set_distribution(self._distribution)

    def barrier(self, name: str) -> None:
        """Wait until every process has come here."""
        if self.processes > 1:
            from jax.experimental import multihost_utils

            multihost_utils.sync_global_devices(name)

    def require_same(self, what: str, text: str) -> None:
        """Make sure that all processes are about the same thing."""
        if self.processes == 1:
            return
        import hashlib

        from jax.experimental import multihost_utils

        mine = np.frombuffer(hashlib.sha256(text.encode()).digest(), np.uint8)
        # Through int32, which every collective knows.
        found = np.asarray(multihost_utils.process_allgather(mine.astype(np.int32)))
        others = [number for number, row in enumerate(found) if not np.array_equal(row, mine)]
        if others:
            raise DevicesError(
                f"{what} of process {self.process} is not that of process "
                f"{', '.join(map(str, others))}; all have to run the same code with the same data "
                "and configuration, and to see the same folder of checkpoints"
            )

    def _rows_of_process(self, batch: Any) -> Any:
        import keras

        if self.processes == 1:
            return batch

        def rows(array: NDArray[Any] | None) -> Any:
            whole = None if array is None else np.asarray(array)
            return whole if whole is None else np.split(whole, self.processes)[self.process]

        return keras.tree.map_structure(rows, batch)

    def _compiled(self, classifier: "keras.Model") -> tuple[list[Any], Any]:
        """The variables and the function of a classifier; compiled once, whatever is frozen later.

        `predict_on_batch` would leave the logits on the devices of all machines, where no process
        can read them.
        """
        import jax
        import keras

        if self._predictor is None or self._predictor[0] is not classifier:
            variables = list(classifier.variables)

            def compute(values: list[Any], pixels: Any) -> Any:
                with keras.StatelessScope(state_mapping=zip(variables, values, strict=True)):
                    return classifier(pixels, training=False)

            mesh = self._distribution.device_mesh.backend_mesh
            spec: Any = jax.sharding.PartitionSpec  # not typed
            everywhere = jax.sharding.NamedSharding(mesh, spec())
            self._predictor = (classifier, variables, jax.jit(compute, out_shardings=everywhere))
        return self._predictor[1:]
