"""Several devices of one machine on TensorFlow: `tf.distribute.MirroredStrategy`.

Each device holds the weights and computes its part of the batch; gradients are added up. Some
things of Keras 3.15 are put right, each of them held by a test against one device:

- Gradients: `skin_lesion.modeling.devices.adding_up`.
- BatchNorm takes the statistics of a device's own part unless it is told to synchronise.
- Every device would drop the same features of its part, since the state of the seeds is mirrored.
"""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skin_lesion.modeling.devices.adding_up import add_up_first
from skin_lesion.modeling.devices.one import Logs, SharingDevices

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

# Odd, so that devices times this stays apart from device to device modulo 2 ** 32.
_SEED_STRIDE = 0x9E3779B1


class MirroredDevices(SharingDevices):
    """Devices of this machine, within the scope of their strategy.

    Args:
        strategy: Over at least two devices.
        kind: `cpu`, `gpu` or `tpu`.
        name: What the backend calls the first device.
    """

    def __init__(self, strategy: "tf.distribute.MirroredStrategy", kind: str, name: str) -> None:
        super().__init__()
        self._strategy = strategy
        self._described = (kind, name)
        self.count = strategy.num_replicas_in_sync

    def _first(self) -> tuple[str, str]:
        return self._described

    def prepare_classifier(self, classifier: "keras.Model") -> None:
        """Synchronise BatchNorm, and let each device draw for itself."""
        import keras

        super().prepare_classifier(classifier)
        for layer in classifier.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.synchronized = True
                # It would be saved with the model, and stop whoever trains it on JAX.
                self._undo.callback(setattr, layer, "synchronized", False)
            generator = getattr(layer, "seed_generator", None)
            if generator is not None:
                self._replace(generator, "next", _drawing_apart(generator))

    def prepare_trainer(self, trainer: "keras.Model") -> None:
        """Add gradients up before anything else is done with them."""
        super().prepare_trainer(trainer)
        add_up_first(trainer.optimizer)

    def _train(self, trainer: "keras.Model", batch: Any) -> Logs:
        """Make one step; Keras's own method would give each device the whole batch."""
        import keras

        # Metrics have to have their variables before the step is traced; what is built is kept.
        trainer._symbolic_build(data_batch=batch)
        trainer.make_train_function()
        trainer.reset_metrics()
        logs = trainer.train_function(iter([self._parts(batch)]))
        return {name: float(keras.ops.convert_to_numpy(value)) for name, value in logs.items()}

    def _predict(self, classifier: "keras.Model", images: NDArray[Any]) -> NDArray[np.float32]:
        """Logits of a batch, whose parts the function of Keras puts together."""
        classifier.make_predict_function()
        return np.asarray(classifier.predict_function([(self._parts(images),)]))

    def _parts(self, batch: Any) -> Any:
        """Arrays as one value whose parts lie on the devices."""
        import keras
        import tensorflow as tf

        def distribute(array: NDArray[Any] | None) -> Any:
            if array is None:
                return None
            parts = np.split(np.asarray(array), self.count)
            return self._strategy.experimental_distribute_values_from_function(
                lambda context: tf.convert_to_tensor(parts[context.replica_id_in_sync_group])
            )

        return keras.tree.map_structure(distribute, batch)


def _drawing_apart(generator: "keras.random.SeedGenerator") -> Callable[..., Any]:
    """Seeds of a generator that differ from device to device; those of the first stay."""
    import tensorflow as tf

    mirrored = functools.partial(type(generator).next, generator)

    def next_seed(ordered: bool = True) -> Any:
        seed = mirrored(ordered)
        context = tf.distribute.get_replica_context()
        if context is None:
            return seed
        device = tf.cast(context.replica_id_in_sync_group, seed.dtype)
        return seed + device * tf.constant(_SEED_STRIDE, seed.dtype)

    return next_seed
