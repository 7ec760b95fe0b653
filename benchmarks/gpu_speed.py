"""What `gpu.py` measures: speed of learning and judging, the matrix peak, and the seed's whole recipe."""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from learners import phase_of, random_data

from skin_lesion.labels import LABELS
from skin_lesion.modeling.training_data import RunContext
from skin_lesion.settings import FinetuneConfig, WarmupConfig

if TYPE_CHECKING:
    from skin_lesion.modeling.learner import Learner
    from skin_lesion.modeling.training_data import TrainingData

# The seed's recipe, as its description states it, on the split that this project makes.
WARMUP_EPOCHS, FINETUNE_EPOCHS = 30, 40
TRAINING_IMAGES, VALIDATION_IMAGES = 7010, 1502


def matrix_peak(side: int, products: int = 16, rounds: int = 7) -> float:
    """Operations a second of one square bfloat16 product after the other.

    Args:
        side: Rows and columns.
        products: How many in one call, so that starting it costs nothing.
        rounds: The fastest of so many calls counts: it is a peak.
    """
    import jax
    import jax.numpy as jnp

    left, right = (
        jax.random.normal(jax.random.key(i), (side, side), jnp.bfloat16) for i in range(2)
    )
    scale = jnp.bfloat16(side**-0.5)  # keeps the numbers in range from product to product

    @jax.jit
    def chain(a: Any, b: Any) -> Any:
        return jax.lax.fori_loop(0, products, lambda _, x: (x @ b) * scale, a)

    chain(left, right).block_until_ready()
    fastest = min(_seconds(lambda: chain(left, right).block_until_ready()) for _ in range(rounds))
    return 2 * side**3 * products / fastest


def operations(classifier: Any, batch_size: int) -> float:
    """Operations of the forward and backward pass for a batch, as XLA counts them."""
    import jax
    import jax.numpy as jnp

    def loss(trainable: Any, others: Any, images: Any, targets: Any) -> Any:
        logits, _ = classifier.stateless_call(trainable, others, images, training=True)
        return -(targets * jax.nn.log_softmax(logits)).sum(axis=-1).mean()

    weights = [
        [jax.ShapeDtypeStruct(v.shape, v.dtype) for v in variables]
        for variables in (classifier.trainable_variables, classifier.non_trainable_variables)
    ]
    images = jax.ShapeDtypeStruct((batch_size, *classifier.input.shape[1:]), jnp.uint8)
    targets = jax.ShapeDtypeStruct((batch_size, len(LABELS)), jnp.float32)
    lowered = jax.jit(jax.grad(loss)).lower(*weights, images, targets)
    return float(lowered.cost_analysis()["flops"])


def speed(learner: "Learner", epochs: int) -> dict[str, Any]:
    """Train: once to compile, then so many epochs."""
    images = 0

    def epoch(number: int) -> None:
        nonlocal images
        _, images = learner.train(number)

    first = _seconds(lambda: epoch(0))
    seconds = [_seconds(lambda n=n: epoch(n)) for n in range(1, epochs + 1)]
    rates = [images / each for each in seconds]
    return {
        "images_per_second": [round(rate, 1) for rate in rates],
        "median": round(statistics.median(rates), 2),
        "compile_seconds": round(max(0.0, first - statistics.median(seconds)), 1),
    }


def bare_speed(learner: "Learner", steps: int) -> float:
    """Images a second of `train_on_batch` on one batch: what the loader would have to keep up with."""
    trainer, batches = learner._trainer, learner._batches
    constant = batches[0]

    def steps_of_one_batch() -> None:
        for _ in range(steps):
            trainer.train_on_batch(*constant, return_dict=True)

    return steps * batches.batch_size / _seconds(steps_of_one_batch)


def judging_speed(classifier: Any, data: "TrainingData", batch_size: int, workers: int) -> float:
    """Images a second of validation."""
    from skin_lesion.data.loader import EvaluationBatches, prefetched
    from skin_lesion.modeling.epochs import jit_mode

    classifier.compile(jit_compile=jit_mode(FinetuneConfig()))
    batches = EvaluationBatches(data.images, data.split, "val", batch_size)

    def judge() -> None:
        for batch in prefetched(batches, workers):
            classifier.predict_on_batch(batch)

    judge()
    return len(batches.labels) / _seconds(judge)


def whole_recipe(
    options: argparse.Namespace, warmup: WarmupConfig, finetune: FinetuneConfig
) -> dict[str, float]:
    """Train the seed's recipe from end to end, checkpoints and validation included; in minutes."""
    from skin_lesion.modeling.classifier import build_classifier
    from skin_lesion.modeling.devices import use_devices
    from skin_lesion.modeling.loop import run_phase
    from skin_lesion.modeling.train import train_finetune
    from skin_lesion.modeling.trained import keep

    train, val = options.whole
    with tempfile.TemporaryDirectory() as name:
        data = random_data(Path(name), options.size, train, val)
        context = RunContext(checkpoint_root=Path(name) / "checkpoints")
        # `train_warmup` lets the whole network learn where its weights are random; the seed's are
        # not, so that its frozen phase is put together here.
        start = time.perf_counter()
        with use_devices(warmup.devices, warmup.batch_size) as devices:
            classifier = build_classifier(
                options.network, data.image_size, warmup.dropout, warmup.precision
            )
            phase = phase_of(
                options.network, classifier, warmup, frozen=True, train_batchnorm=False
            )
            history = run_phase(
                phase, classifier, options.network, data, context, "warmup", devices
            )
        # From here on it counts as pretrained: freed block by block, BatchNorm left alone.
        pretrained = options.network.model_copy(update={"weights": "path"})
        warm = keep(classifier, pretrained, "random numbers", history).model
        middle = time.perf_counter()
        train_finetune(data, warm, finetune, context)
        end = time.perf_counter()
    return {name: seconds / 60 for name, seconds in (
        ("warmup", middle - start), ("finetune", end - middle), ("both", end - start),
    )}  # fmt: skip


def projected(phases: dict[str, dict[str, Any]], judging: float, stages: int) -> float:
    """Minutes of the seed's recipe, from what was measured.

    Every epoch of the second phase counts as if all blocks were free, and each stage of freeing them
    as long to compile as the whole network.

    Args:
        phases: Speed and time to compile of both.
        judging: Images a second of validation.
        stages: How often blocks are freed.
    """
    seconds = (WARMUP_EPOCHS + FINETUNE_EPOCHS) * VALIDATION_IMAGES / judging
    for name, epochs, compiled in (
        ("warmup", WARMUP_EPOCHS, 1),
        ("finetune", FINETUNE_EPOCHS, stages),
    ):
        seconds += epochs * TRAINING_IMAGES / phases[name]["median"]
        seconds += compiled * phases[name]["compile_seconds"]
    return seconds / 60


def _seconds(action: Callable[[], Any]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start
