"""One epoch of training: how a model is compiled, fed and judged."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from skin_lesion.labels import LABEL_INDEX
from skin_lesion.modeling.optimizer import build_optimizer
from skin_lesion.settings import TrainConfig, UnfitError

if TYPE_CHECKING:
    import keras

    from skin_lesion.data.loader import TrainingBatches


def compile_trainer(
    trainer: "keras.Model",
    config: TrainConfig,
    steps_per_epoch: int,
    first_step: int = 0,
    *,
    loss: "keras.losses.Loss | None" = None,
    rate_factors: Mapping[str, float] | None = None,
) -> None:
    """Give a trainer a fresh optimizer for the weights that are free now, and the loss.

    The optimizer counts from 0 whenever blocks are freed, since Adam's correction for moments that
    begin at zero goes by that count: with an old count the first steps of freed weights would be
    several times too long. The schedule goes on from `first_step`.

    Args:
        trainer: Made by `build_trainer`; changed in place.
        config: Rate, decay, smoothing and the like.
        steps_per_epoch: Batches of an epoch; the schedule counts in batches.
        first_step: Batches of this phase before this optimizer.
        loss: From `training_loss`; None is plain cross-entropy.
        rate_factors: Share of the rate by the path of a variable, from `block_rate_factors`.
    """
    import keras

    optimizer = build_optimizer(config, steps_per_epoch, first_step, rate_factors)
    trainer.compile(
        optimizer,
        loss
        or keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=config.label_smoothing
        ),
        metrics=["accuracy"],
        jit_compile=jit_mode(config),
    )
    optimizer.build(trainer.trainable_variables)


def train_epoch(
    trainer: "keras.Model",
    batches: "TrainingBatches",
    workers: int,
    after_batch: Callable[[int], None] | None = None,
) -> dict[str, float]:
    """One pass over the training batches.

    Args:
        trainer: Compiled; changed in place.
        batches: What to learn from.
        workers: Loader threads; 0 loads in the thread that trains.
        after_batch: Called with the number of each batch, from 0, when it was learnt from.

    Returns:
        `loss` and `accuracy`, means over the epoch.
    """
    from skin_lesion.data.loader import prefetched

    # Keras resets its metrics with every `train_on_batch`, so the mean is taken here; batches are
    # all of one size.
    totals: dict[str, float] = {}
    for number, (inputs, targets, weights) in enumerate(prefetched(batches, workers)):
        logs = trainer.train_on_batch(inputs, targets, weights, return_dict=True)
        if after_batch is not None:
            after_batch(number)
        for name, value in logs.items():
            totals[name] = totals.get(name, 0.0) + float(value)
    return {name: total / len(batches) for name, total in totals.items()}


def validation_metrics(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> dict[str, float]:
    """Figures that an epoch is judged by.

    Args:
        logits: Shape (n, 7).
        labels: Shape (n,), indices into `LABELS`.

    Returns:
        `val_loss` (mean negative log likelihood, without smoothing or weights), `val_accuracy`,
        `val_balanced_accuracy` and `val_macro_f1`, the latter two over the classes present, and
        `val_melanoma_auc` of the melanoma's probability against all other classes, left out where
        there are only melanomas, none, or logits that are no numbers.
    """
    from scipy.special import log_softmax
    from sklearn.metrics import f1_score, roc_auc_score

    predicted = logits.argmax(axis=1)
    present = np.unique(labels)
    recalls = [float((predicted[labels == label] == label).mean()) for label in present]
    log_probabilities = log_softmax(logits, axis=1)
    melanoma = labels == LABEL_INDEX["mel"]
    likely = log_probabilities[:, LABEL_INDEX["mel"]]
    ranked = 0 < melanoma.sum() < len(labels) and bool(np.isfinite(likely).all())
    auc = {"val_melanoma_auc": float(roc_auc_score(melanoma, likely))} if ranked else {}
    return {
        "val_loss": float(-log_probabilities[np.arange(len(labels)), labels].mean()),
        "val_accuracy": float((predicted == labels).mean()),
        "val_balanced_accuracy": float(np.mean(recalls)),
        "val_macro_f1": float(
            f1_score(labels, predicted, labels=present, average="macro", zero_division=0)
        ),
        **auc,
    }


def jit_mode(config: TrainConfig) -> "bool | str":
    """What `jit_compile` is: XLA on JAX, never on TensorFlow.

    TensorFlow has no XLA kernel for the affine map of the augmentation, and on a CPU XLA is about
    eight times slower than its own kernels.

    Raises:
        UnfitError: XLA is asked for on TensorFlow.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        return "auto" if config.jit_compile is None else config.jit_compile
    if config.jit_compile:
        raise UnfitError(
            "jit_compile is true, but TensorFlow cannot compile the augmentation with XLA; leave it "
            "out, or train on JAX with the environment's KERAS_BACKEND=jax"
        )
    return False


def seed_dropout(model: "keras.Model", seed: int, epoch: int) -> None:
    """Make dropout a function of (seed, epoch), so that a resumed epoch equals the one it replaces."""
    for index, layer in enumerate(model.layers):
        generator = getattr(layer, "seed_generator", None)
        if generator is not None:
            state = np.random.SeedSequence([seed, 2, epoch, index]).generate_state(2, np.uint32)
            generator.state.assign(state & 0x7FFFFFFF)
