"""The loss of both phases. What makes up for rare classes acts in one place: here or in the loader."""

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from skin_lesion.data.augment import AugmentationPlan

if TYPE_CHECKING:
    import keras


def training_loss(plan: AugmentationPlan, label_smoothing: float) -> "keras.losses.Loss":
    """Cross-entropy from logits and soft targets, in the shape that the plan asks for.

    Class weights and balanced sampling leave the loss alone: the loader serves weights and images.
    Focal loss: Lin et al., arXiv:1708.02002. Logit adjustment: Menon et al., arXiv:2007.07314.

    Args:
        plan: Choice of the correction, and counts of the classes.
        label_smoothing: Probability mass spread evenly over the classes.
    """
    import keras

    policy = plan.policy
    if policy.imbalance == "focal":
        # alpha would weigh the classes: a second correction.
        return keras.losses.CategoricalFocalCrossentropy(
            alpha=1.0,
            gamma=policy.focal_gamma,
            from_logits=True,
            label_smoothing=label_smoothing,
        )
    if policy.imbalance == "logit_adjustment":
        offset = policy.logit_adjustment_tau * np.log(plan.prior())
        return _logit_adjusted()(offset.astype(np.float32), label_smoothing)
    return keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=label_smoothing)


@functools.cache
def _logit_adjusted() -> Any:
    """The class, made when it is first wanted, since Keras is slow to import."""
    import keras

    class LogitAdjustedCrossentropy(keras.losses.CategoricalCrossentropy):  # type: ignore[misc]
        """Cross-entropy of logits to which a constant was added."""

        def __init__(self, offset: Any, label_smoothing: float) -> None:
            super().__init__(from_logits=True, label_smoothing=label_smoothing)
            self._offset = offset

        def call(self, y_true: Any, y_pred: Any) -> Any:
            return super().call(y_true, y_pred + self._offset)

    return LogitAdjustedCrossentropy
