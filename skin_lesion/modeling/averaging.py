"""The exponential moving average of a network's weights, which is what is judged and kept.

Keras's own (`use_ema` of an optimizer) knows the weights that are free at the moment alone: it
would forget its past whenever blocks are freed, and judge averaged weights by BatchNorm statistics
of other ones. Here every weight has its average, frozen ones and moving statistics included, and
what is free makes no difference.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

# After n updates the average keeps no more than (1 + n) / (10 + n), as TensorFlow's
# `ExponentialMovingAverage` has it: what a network was at first is forgotten soon.
_EARLY, _LATE = 1.0, 10.0


class WeightAverage:
    """Average of every weight of a model, computed where the model computes.

    Args:
        model: Its weights are what the average begins with.
        decay: Share that the average keeps at each update of the weights.
        every: Updates between two calls of `update`.
    """

    def __init__(self, model: "keras.Model", decay: float, every: int) -> None:
        self._decay = decay
        self._every = every
        self._values = [_copy(variable) for variable in _averaged(model)]
        self._blend: Any = None

    def follow(self, model: "keras.Model") -> None:
        """Average the weights of `model` from now on: the same network, perhaps built anew."""
        self._blend = _blender(_averaged(model))

    def update(self, updates: int) -> None:
        """Take the weights as they are now into the average.

        Args:
            updates: Updates of the weights in this phase so far.
        """
        kept = min(self._decay, (_EARLY + updates) / (_LATE + updates)) ** self._every
        self._values = self._blend(self._values, 1.0 - kept)

    def assign_to(self, model: "keras.Model") -> None:
        """Give a model of the same network the average."""
        import keras

        for variable, value in zip(_averaged(model), self._values, strict=True):
            variable.assign(keras.ops.copy(value))  # on JAX it would be used up by a prediction


def copy_weights(source: "keras.Model", target: "keras.Model") -> None:
    """Give a model the weights of another one of the same network, perhaps of another size."""
    for theirs, mine in zip(source.weights, target.weights, strict=True):
        mine.assign(_copy(theirs))
    finalize_constants(target)


def finalize_constants(model: "keras.Model") -> None:
    """Have layers that compute with copies of their weights copy them, once they were assigned."""
    import keras

    for layer in model.layers:
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()


def _averaged(model: "keras.Model") -> list[Any]:
    # A count, as the Normalization layer has one, has no average.
    return [variable for variable in model.weights if str(variable.dtype) == "float32"]


def _copy(variable: Any) -> Any:
    """The value now. On JAX the next step uses a weight's memory up, so it has to be a copy."""
    import keras

    return keras.ops.copy(variable.value)


def _blender(variables: list[Any]) -> Any:
    """A function of (averages, share of the weights) that gives new averages, in one call."""
    import keras

    def blend(averages: list[Any], values: list[Any], share: Any) -> list[Any]:
        return [
            average + (value - average) * share
            for average, value in zip(averages, values, strict=True)
        ]

    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        @tf.function(autograph=False)  # type: ignore[untyped-decorator]
        def captured(averages: list[Any], share: Any) -> list[Any]:
            return blend(averages, [tf.convert_to_tensor(v.value) for v in variables], share)

        return lambda averages, share: captured(averages, tf.constant(share, tf.float32))
    if backend == "jax":
        import jax

        compiled = jax.jit(blend)
        return lambda averages, share: compiled(
            averages, [variable.value for variable in variables], share
        )
    return lambda averages, share: blend(
        averages, [variable.value for variable in variables], share
    )
