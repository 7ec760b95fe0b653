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
ZenML; `--scratch` wants scipy, tqdm and sqlalchemy too (see `scratch.py`). On a CPU the result is
only written where `--result` says.

The result is written after each part; what an earlier call measured and this one does not stays in it.
`--scratch` keeps a checkpoint of every epoch in `.work/gpu`, or where `--checkpoints` says: the same
command goes on from the last one, whatever killed it. It looks at the test split, and so needs the ledger
of looks (`SKIN_LESION_LEDGER_URL`, else `.work/test-looks.db`), which is opened before anything is
measured. On a borrowed machine name a folder that comes home for `--result` and `--checkpoints`. Its
ledger stays behind; the looks are in the result as well, as `looks`, before there are figures. At home

    python benchmarks/enter_looks.py benchmarks/results/gpu.json

enters those that the project's ledger does not have yet.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from gpu_result import keep_result, read_result, with_earlier
from gpu_speed import (
    FINETUNE_EPOCHS,
    TRAINING_IMAGES,
    VALIDATION_IMAGES,
    WARMUP_EPOCHS,
    bare_speed,
    judging_speed,
    matrix_peak,
    operations,
    projected,
    speed,
    whole_recipe,
)
from learners import learner_of, random_data
from root import ROOT

from skin_lesion.memory import accelerator_memory, host_memory
from skin_lesion.settings import BackboneConfig, FinetuneConfig, WarmupConfig

RESULT = Path(__file__).parent / "results" / "gpu.json"
CHECKPOINTS = ROOT / ".work" / "gpu"
SEED_HOURS = 4.5  # of the seed's recipe on an A100, as its description states


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
    ledger = None
    if options.scratch is not None:
        from scratch import Scratch, ready_ledger, train_from_scratch

        try:
            ledger = ready_ledger()
        except RuntimeError as error:
            print(error, file=sys.stderr)
            return 2
        print(f"Looks at the test split are written to {ledger.name}", flush=True)
    device = jax.devices()[0]
    if device.platform == "cpu" and options.result is None:
        print("No accelerator: the figures are those of a CPU and are not kept.")
    target = options.result or (RESULT if device.platform != "cpu" else None)
    try:
        earlier = read_result(target)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
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
    keep_result(result, earlier, target)
    if options.whole is not None:
        minutes = whole_recipe(options, warmup, finetune)
        result["seed_recipe"] |= {
            "measured_minutes": {k: round(v, 2) for k, v in minutes.items()},
            "measured_images": options.whole,
            "measured_epochs": [warmup.epochs, finetune.epochs],
            "measured_on": device.device_kind,
        }
        keep_result(result, earlier, target)
    if ledger is not None:

        def keep(found: dict[str, Any]) -> None:
            part = found | {"device": device.device_kind}
            keep_result(result | {"from_scratch": part}, earlier, target)

        wanted = Scratch(
            options.scratch, options.scratch_backbone, options.feature_layer,
            tuple(options.scratch_size), options.scratch_epochs, shared, options.checkpoints,
        )  # fmt: skip
        result["from_scratch"] = train_from_scratch(wanted, ledger, keep)
    print(json.dumps(with_earlier(result, earlier), indent=2))
    return 0


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
    parser.add_argument(
        "--checkpoints", type=Path, default=CHECKPOINTS,
        help="of --scratch, to go on from after a kill; else .work/gpu",
    )  # fmt: skip
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
