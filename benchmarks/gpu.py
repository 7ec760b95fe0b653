"""Speed of training on an accelerator, and the time of the seed's recipe. Repeats all GPU figures.

    KERAS_BACKEND=jax python benchmarks/gpu.py            # measures and projects
    KERAS_BACKEND=jax python benchmarks/gpu.py --whole    # also trains all 30 + 40 epochs
    KERAS_BACKEND=jax python benchmarks/gpu.py --scratch ham10000.zip   # and a network from scratch

Images a second of EfficientNetB4 at 380 x 380 in bfloat16, by the library's own training loop and
loader, with a frozen backbone and with all of it free. How much of the card's matrix units that
uses: the operations of a step, counted by XLA in the network's forward and backward pass (a
multiplication and an addition are two), over the speed of one large bfloat16 product of matrices,
measured in the same run. The pictures are random numbers, and so are the weights: neither changes
how long it takes.

Needs keras, jax, numpy, pandas, scikit-learn, Pillow, h5py and pydantic; no TensorFlow, MLflow or
ZenML; `--scratch` wants scipy, tqdm and sqlalchemy too (see `scratch.py`). On a CPU the result is only written where `--result` says.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from learners import learner_of, phase_of, random_data

from skin_lesion.batch.files import write_text
from skin_lesion.labels import LABELS
from skin_lesion.memory import accelerator_memory, host_memory
from skin_lesion.modeling.training_data import RunContext
from skin_lesion.settings import BackboneConfig, FinetuneConfig, WarmupConfig

if TYPE_CHECKING:
    from skin_lesion.modeling.learner import Learner
    from skin_lesion.modeling.training_data import TrainingData

RESULT = Path(__file__).parent / "results" / "gpu.json"
# The seed's recipe, as its description states it, on the split that this project makes.
WARMUP_EPOCHS, FINETUNE_EPOCHS = 30, 40
TRAINING_IMAGES, VALIDATION_IMAGES = 7010, 1502
SEED_HOURS = 4.5  # on an A100, as it states


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


def main() -> int:
    """Run the command line; returns its exit status."""
    options = _options()
    import jax
    import keras

    if keras.backend.backend() != "jax":
        print(
            f"KERAS_BACKEND is {keras.backend.backend()!r}; this benchmark wants jax:  "
            "KERAS_BACKEND=jax python benchmarks/gpu.py",
            file=sys.stderr,
        )
        return 2
    device = jax.devices()[0]
    if device.platform == "cpu" and options.result is None:
        print("No accelerator: the figures are those of a CPU and are not kept.")
    shared: dict[str, Any] = {
        "precision": options.precision, "batch_size": options.batch_size,
        "workers": options.workers,
    }  # fmt: skip
    warmup = WarmupConfig(epochs=options.epochs[0], learning_rate=1e-4, **shared)
    # Patience that never runs out: all epochs are to be timed.
    finetune = FinetuneConfig(
        epochs=options.epochs[1], learning_rate=3e-6, weight_decay=1e-4, patience=1000, **shared
    )
    peak = matrix_peak(options.matrix)
    phases: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as name:
        data = random_data(
            Path(name), options.size, options.images, max(options.batch_size, options.images // 4)
        )
        for phase, config in (("warmup", warmup), ("finetune", finetune)):
            learner, classifier = learner_of(
                options.network, data, config, Path(name),
                frozen=phase == "warmup", train_batchnorm=False,
            )  # fmt: skip
            phases[phase] = speed(learner, options.rounds)
            phases[phase]["bare_images_per_second"] = round(
                bare_speed(learner, max(2, options.images // options.batch_size)), 2
            )
        judging = judging_speed(classifier, data, options.batch_size, options.workers)
        needed = operations(classifier, options.batch_size) / options.batch_size
    result = {
        "what": "images a second of training, and the share of the matrix peak measured in the run",
        "device": device.device_kind,
        "platform": device.platform,
        "versions": {"jax": jax.__version__, "keras": keras.__version__},
        "cores": os.cpu_count(),
        "backbone": options.network.name,
        "image_size": list(options.size),
        **shared,
        "phases": phases,
        "validation_images_per_second": round(judging, 2),
        "matrix_peak_tflops": round(peak / 1e12, 3),
        "gflop_per_training_image": round(needed / 1e9, 3),
        "share_of_matrix_peak": round(phases["finetune"]["median"] * needed / peak, 5),
        "seed_recipe": {
            "training_images": TRAINING_IMAGES,
            "epochs": [WARMUP_EPOCHS, FINETUNE_EPOCHS],
            "stated_hours_on_an_a100": SEED_HOURS,
            "projected_minutes": round(projected(phases, judging, finetune.unfreeze_epochs), 3),
        },
        "memory": {k: round(v, 2) for k, v in (host_memory() | accelerator_memory()).items()},
    }
    target = options.result or (RESULT if device.platform != "cpu" else None)
    keep_result(result, target)
    if options.whole is not None:
        minutes = whole_recipe(options, warmup, finetune)
        result["seed_recipe"] |= {
            "measured_minutes": {k: round(v, 2) for k, v in minutes.items()},
            "measured_images": options.whole,
            "measured_epochs": [warmup.epochs, finetune.epochs],
        }
        keep_result(result, target)
    if options.scratch is not None:
        from scratch import Scratch, train_from_scratch

        result["from_scratch"] = train_from_scratch(
            Scratch(
                options.scratch, options.scratch_backbone, options.feature_layer,
                tuple(options.scratch_size), options.scratch_epochs, shared,
            )
        )  # fmt: skip
        keep_result(result, target)
    print(json.dumps(result, indent=2))
    return 0


def keep_result(result: dict[str, Any], target: Path | None) -> None:
    """Write what was measured so far, before a longer part that may be cut off."""
    if target is not None:
        write_text(target, json.dumps(result, indent=2) + "\n")


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


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", default="efficientnet_b4")
    parser.add_argument("--feature-layer", help="cut the backbone here")
    parser.add_argument("--size", type=int, nargs=2, default=(380, 380), metavar=("H", "W"))
    parser.add_argument("--precision", default="mixed_bfloat16")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--workers", type=int, default=8, help="loader threads")
    parser.add_argument("--images", type=int, default=2048, help="training images of an epoch")
    parser.add_argument("--rounds", type=int, default=3, help="epochs that are timed")
    parser.add_argument("--matrix", type=int, default=16384, help="rows of the product's matrices")
    parser.add_argument(
        "--whole", type=int, nargs="*", metavar="N", help="really train the recipe, on so many "
        f"images and judged by so many; without numbers {TRAINING_IMAGES} {VALIDATION_IMAGES}",
    )  # fmt: skip
    parser.add_argument(
        "--epochs", type=int, nargs=2, default=(WARMUP_EPOCHS, FINETUNE_EPOCHS), metavar=("A", "B"),
        help="of the phases with --whole",
    )  # fmt: skip
    parser.add_argument(
        "--scratch", type=Path, metavar="PATH",
        help="train a network from random weights on these images: folder or zip, Kaggle layout",
    )  # fmt: skip
    parser.add_argument("--scratch-backbone", default="efficientnet_b0")
    parser.add_argument("--scratch-size", type=int, nargs=2, default=(168, 224), metavar=("H", "W"))
    parser.add_argument("--scratch-epochs", type=int, default=100)
    parser.add_argument("--result", type=Path, help=f"where to write it; else {RESULT.name}")
    options = parser.parse_args()
    options.size = tuple(options.size)
    if options.whole is not None:
        options.whole = options.whole or [TRAINING_IMAGES, VALIDATION_IMAGES]
        if len(options.whole) != 2:
            parser.error(f"--whole takes no number or two, not {len(options.whole)}")
    if options.scratch is not None and not options.scratch.exists():
        parser.error(f"--scratch {options.scratch} does not exist; name a folder or zip of images")
    if options.scratch_epochs < 2:
        parser.error(f"--scratch-epochs is {options.scratch_epochs}; expected at least 2")
    options.network = BackboneConfig(
        name=options.backbone, weights="none", feature_layer=options.feature_layer
    )
    return options


if __name__ == "__main__":
    raise SystemExit(main())
