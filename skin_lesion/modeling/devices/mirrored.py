"""Several devices of one machine on TensorFlow: `tf.distribute.MirroredStrategy`.

Each device holds the weights and computes its part of the batch; gradients are added up. Three
things of Keras 3.15 are put right here, each of them held by a test against one device:

- Keras clips gradients, and looks for those that are not finite, on each device *before* they are
  added up. The norm of a part's gradient says nothing of the whole, and a device that overflowed
  would spoil the weights of all. Here they are added up first.
- BatchNorm takes the statistics of a device's own part unless it is told to synchronise.
- Every device would drop the same features of its part, since the state of the seeds is mirrored.
"""

import contextlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skin_lesion.modeling.devices.one import Devices, Logs, padded

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

# Odd, so that devices times this stays apart from device to device modulo 2 ** 32.
_SEED_STRIDE = 0x9E3779B1


class MirroredDevices(Devices):
    """Devices of this machine, within the scope of their strategy.

    Args:
        strategy: Over at least two devices.
        kind: `cpu`, `gpu` or `tpu`.
        name: What the backend calls the first device.
    """

    def __init__(self, strategy: "tf.distribute.MirroredStrategy", kind: str, name: str) -> None:
        self._strategy = strategy
        self._described = (kind, name)
        self.count = strategy.num_replicas_in_sync
        self._undo = contextlib.ExitStack()

    def _first(self) -> tuple[str, str]:
        return self._described

    def prepare_classifier(self, classifier: "keras.Model") -> None:
        """Synchronise BatchNorm, and let each device draw for itself."""
        import keras

        for layer in classifier.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.synchronized = True
                self._undo.callback(setattr, layer, "synchronized", False)
            generator = getattr(layer, "seed_generator", None)
            if generator is not None:
                _draw_apart(generator)
                self._undo.callback(delattr, generator, "next")

    def release(self) -> None:
        """Take from the layers what they may not keep: it would be saved with the model."""
        self._undo.close()

    def prepare_trainer(self, trainer: "keras.Model") -> None:
        """Add gradients up before anything else is done with them."""
        _add_up_first(trainer.optimizer)

    def train_on_batch(
        self, trainer: "keras.Model", inputs: Any, targets: Any, weights: Any
    ) -> Logs:
        """Make one step; `trainer.train_on_batch` would give each device the whole batch."""
        import keras

        batch = (inputs, targets, weights)
        # Metrics have to have their variables before the step is traced; what is built is kept.
        trainer._symbolic_build(data_batch=batch)
        trainer.make_train_function()
        trainer.reset_metrics()
        logs = trainer.train_function(iter([self._parts(batch)]))
        return {name: float(keras.ops.convert_to_numpy(value)) for name, value in logs.items()}

    def predict(self, classifier: "keras.Model", images: NDArray[Any]) -> NDArray[np.float32]:
        """Logits of a batch; `predict_on_batch` would give each device the whole batch."""
        classifier.make_predict_function()
        parts = self._parts(padded(images, self.count))
        logits: NDArray[np.float32] = np.asarray(classifier.predict_function([(parts,)]))
        return logits[: len(images)]

    def _parts(self, batch: Any) -> Any:
        """Arrays as one value whose parts lie on the devices."""
        import keras
        import tensorflow as tf

        def distribute(array: NDArray[Any]) -> Any:
            parts = np.split(np.asarray(array), self.count)
            return self._strategy.experimental_distribute_values_from_function(
                lambda context: tf.convert_to_tensor(parts[context.replica_id_in_sync_group])
            )

        return keras.tree.map_structure(distribute, batch)


def _draw_apart(generator: "keras.random.SeedGenerator") -> None:
    """Make the seeds that a generator gives differ from device to device; the first one's stay."""
    import tensorflow as tf

    mirrored = generator.next

    def next_seed(ordered: bool = True) -> Any:
        seed = mirrored(ordered)
        context = tf.distribute.get_replica_context()
        if context is None:
            return seed
        device = tf.cast(context.replica_id_in_sync_group, seed.dtype)
        return seed + device * tf.constant(_SEED_STRIDE, seed.dtype)

    generator.next = next_seed


def _add_up_first(optimizer: "keras.optimizers.Optimizer") -> None:
    """Have an optimizer add gradients up over the devices before it clips, checks or keeps them."""
    import tensorflow as tf

    # With loss scaling, what checks gradients is the outer optimizer, what adds them up the inner.
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    add_up, apply = inner._all_reduce_sum_gradients, optimizer.apply

    def added_up_already(pairs: Iterable[Any]) -> list[Any]:
        return list(pairs)

    def apply_sum(grads: Any, trainable_variables: Any = None) -> Any:
        if tf.distribute.in_cross_replica_context():
            return apply(grads, trainable_variables)
        variables = list(trainable_variables or optimizer._trainable_variables)
        summed = add_up(zip(grads, variables, strict=True))
        return apply([gradient for gradient, _ in summed], variables)

    inner._all_reduce_sum_gradients = added_up_already
    optimizer.apply = apply_sum
