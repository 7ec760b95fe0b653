"""Optimizers under a strategy of TensorFlow: gradients of the whole batch, before anything else.

Keras 3.15 clips gradients, and looks for those that are not finite, on each device *before* they
are added up. The norm of a part's gradient says nothing of the whole, and a device that overflowed
would spoil the weights of all. And it accumulates in a branch from which TensorFlow cannot update
mirrored weights, and so refuses.

What is changed are methods of the one optimizer. They are Keras's private ones, whose release is
pinned; the tests against one device tell when another release does otherwise.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras


def add_up_first(optimizer: "keras.optimizers.Optimizer") -> None:
    """Have an optimizer add gradients up over the devices before it clips, checks or keeps them.

    Args:
        optimizer: Made within the scope of a strategy, and built; changed in place.
    """
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
    if inner.gradient_accumulation_steps:
        _accumulate_across_devices(inner)


def _accumulate_across_devices(optimizer: "keras.optimizers.Optimizer") -> None:
    """Decide above the devices whether a step updates the weights or only keeps its gradients."""
    import keras
    import tensorflow as tf

    if optimizer.use_ema:
        raise ValueError(
            "the optimizer's use_ema and gradient accumulation do not go together on several "
            "devices; average the weights outside the optimizer"
        )
    steps = optimizer.gradient_accumulation_steps

    def update_or_keep(grads: Any, trainable_variables: Any) -> None:
        variables = list(trainable_variables)
        kept = [
            optimizer._accumulated_gradients[optimizer._get_variable_index(variable)]
            for variable in variables
        ]

        def update_on_device(grads: Any) -> None:
            mean = [(new + old) / steps for new, old in zip(grads, kept, strict=True)]
            clipped = optimizer._clip_gradients(mean)
            optimizer._apply_weight_decay(variables)
            optimizer._backend_update_step(clipped, variables, optimizer.learning_rate)

        def decide(strategy: Any, grads: Any) -> None:
            extended = strategy.extended

            def update() -> None:
                extended.call_for_each_replica(update_on_device, args=(grads,))
                for old in kept:
                    extended.update(old.value, lambda value: value.assign(tf.zeros_like(value)))

            def keep() -> None:
                for old, new in zip(kept, grads, strict=True):
                    extended.update(
                        old.value, lambda value, gradient: value.assign_add(gradient), args=(new,)
                    )

            keras.ops.cond((optimizer._iterations + 1) % steps == 0, update, keep)

        tf.distribute.get_replica_context().merge_call(decide, args=(grads,))

    optimizer._backend_apply_gradients = update_or_keep
