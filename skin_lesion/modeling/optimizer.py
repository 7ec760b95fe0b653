"""The optimizer of both phases: AdamW on a schedule, with a rate of its own for every block."""

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from skin_lesion.modeling.classifier import backbone_blocks
from skin_lesion.settings import TrainConfig

if TYPE_CHECKING:
    import keras

# Biases and BatchNorm: pulling them towards 0 regularises nothing.
NEVER_DECAYED = ("bias", "gamma", "beta")


def build_optimizer(
    config: TrainConfig,
    steps_per_epoch: int,
    first_step: int = 0,
    rate_factors: Mapping[str, float] | None = None,
) -> "keras.optimizers.Optimizer":
    """Make AdamW with decoupled weight decay.

    Args:
        config: Rate, schedule, decay, clipping, accumulation and precision.
        steps_per_epoch: Batches of an epoch. The schedule counts in batches, whatever number of
            them makes an update.
        first_step: Batches of this phase before this optimizer.
        rate_factors: Share of the rate that a weight learns at, by the path of its variable; a
            weight that is not named learns at the whole rate.
    """
    import keras

    optimizer = _adamw_by_block()(
        schedule(config, steps_per_epoch, first_step),
        rate_factors=rate_factors,
        weight_decay=config.weight_decay,
        global_clipnorm=config.gradient_clip_norm,
        gradient_accumulation_steps=(
            config.accumulation_steps if config.accumulation_steps > 1 else None
        ),
    )
    optimizer.exclude_from_weight_decay(var_names=list(NEVER_DECAYED))
    if config.precision == "mixed_float16":
        # Keras does this by itself only where the model's own policy says so, and the trainer's,
        # which augments in float32, does not. Small gradients would vanish without it.
        return keras.optimizers.LossScaleOptimizer(optimizer)
    return optimizer


def block_rate_factors(classifier: "keras.Model", name: str, decay: float) -> dict[str, float]:
    """Discriminative rates: what share of the rate each weight of the backbone learns at.

    Args:
        classifier: Made by `build_classifier`.
        name: Name of the backbone.
        decay: The block nearest to the output has this factor, the next one its square, and so on.

    Returns:
        Factor by the path of the variable; the head is not in it.
    """
    return {
        variable.path: decay ** (position + 1)
        for position, block in enumerate(backbone_blocks(classifier, name))
        for layer in block
        for variable in layer.weights
    }


def schedule(
    config: TrainConfig, steps_per_epoch: int, first_step: int = 0
) -> "keras.optimizers.schedules.LearningRateSchedule":
    """Linear rise, then a cosine down to the final share of the peak rate.

    Args:
        config: Epochs of the phase, rate, rise and final share.
        steps_per_epoch: Batches of an epoch.
        first_step: Batches of the phase before the schedule is asked for the first time.
    """
    import keras

    rise = round(config.rise_epochs * steps_per_epoch)
    whole = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if rise else config.learning_rate,
        warmup_target=config.learning_rate if rise else None,
        warmup_steps=rise,
        decay_steps=max(1, config.epochs * steps_per_epoch - rise),
        alpha=config.final_learning_rate_share,
    )

    class Remainder(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
        def __call__(self, step: Any) -> Any:
            return whole(step + first_step)

    return Remainder()


@functools.cache
def _adamw_by_block() -> Any:
    """The class, made when it is first wanted, since Keras is slow to import."""
    import keras

    class AdamWByBlock(keras.optimizers.AdamW):  # type: ignore[misc]
        """AdamW whose *updates* are scaled variable by variable, weight decay with them.

        Adam divides by the size of the gradients, so that scaling these would change nothing.
        """

        def __init__(
            self, *args: Any, rate_factors: Mapping[str, float] | None = None, **kwargs: Any
        ) -> None:
            super().__init__(*args, **kwargs)
            self._factor_of = dict(rate_factors or {})
            self._factors: tuple[float, ...] = ()
            self._decays: tuple[float, ...] = ()

        def build(self, variables: Any) -> None:
            if self.built:
                return
            super().build(variables)
            self._factors = tuple(self._factor_of.get(v.path, 1.0) for v in variables)
            self._decays = tuple(
                self.weight_decay if self._use_weight_decay(v) else 0.0 for v in variables
            )

        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            index = self._get_variable_index(variable)
            rate = keras.ops.cast(learning_rate, variable.dtype)
            if self._factors[index] != 1.0:
                rate = rate * self._factors[index]
            if self._decays[index]:
                self.assign_sub(variable, variable * (rate * self._decays[index]))
            super().update_step(gradient, variable, rate)

        def _apply_weight_decay(self, variables: Any) -> None:
            """Done with each variable's update, at the variable's own rate."""

    return AdamWByBlock
