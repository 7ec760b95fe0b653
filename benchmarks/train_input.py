"""Training throughput through the whole loader, against the same model fed one constant batch.

    python benchmarks/train_input.py

Both sides train the same compiled network on the same number of batches, in turn. One side reads,
shuffles, mixes and draws through `TrainingBatches` as training does; the other calls
`train_on_batch` on one batch that lies in memory. Who goes first changes from round to round. The
pictures are random numbers: what a pixel
holds does not change how long it takes.
"""

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from skin_lesion.data.augment import make_plan
from skin_lesion.data.image_array import ImageArray
from skin_lesion.data.split_table import LeakReport, SplitTable
from skin_lesion.labels import LABELS
from skin_lesion.settings import AugmentConfig, BackboneConfig, FinetuneConfig

BOUND = 0.9
RESULT = Path(__file__).parent / "results" / "train_input.json"


def random_data(folder: Path, size: tuple[int, int], n: int) -> tuple[ImageArray, SplitTable]:
    """Write an array of random pictures, all of them for training."""
    path = folder / "images.npy"
    array = np.lib.format.open_memmap(path, "w+", np.uint8, (n, *size, 3))
    rng = np.random.default_rng(0)
    for start in range(0, n, 256):
        array[start : start + 256] = rng.integers(0, 256, array[start : start + 256].shape)
    array.flush()
    rows = pd.DataFrame(
        {
            "image_id": [str(i) for i in range(n)],
            "dx": [LABELS[i % 7] for i in range(n)],
            "split": "train",
        }
    )
    report = LeakReport(
        groups_crossing=0, duplicates_crossing=0, merged_pairs=0, unmerged_pairs=0, images={},
        groups={}, class_counts={}, class_share_deviation={},
    )  # fmt: skip
    return ImageArray(path, array.shape, "0" * 64), SplitTable(rows, report)


def rates_in_turn(
    sides: Mapping[str, Callable[[int], None]], rounds: int, images: int
) -> dict[str, list[float]]:
    """Images a second of each side and round; the order of the sides is turned every round.

    Args:
        sides: What is measured, by name; called with the number of the round, from 1.
        rounds: How often.
        images: How many images a call trains on.
    """
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(1, rounds + 1):
        for name in list(sides)[:: 1 if turn % 2 else -1]:
            start = time.perf_counter()
            sides[name](turn)
            rates[name].append(images / (time.perf_counter() - start))
    return rates


def main() -> int:
    """Run the command line; returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", default="mobilenet")
    parser.add_argument("--size", type=int, nargs=2, default=(150, 200), metavar=("H", "W"))
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--batches", type=int, default=24, help="batches a side and round")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()

    import keras

    from skin_lesion.data.loader import TrainingBatches
    from skin_lesion.modeling.classifier import build_classifier, build_trainer
    from skin_lesion.modeling.epochs import compile_trainer, train_epoch

    config = FinetuneConfig(batch_size=arguments.batch_size)
    backbone = BackboneConfig(name=arguments.backbone, weights="none")
    size = tuple(arguments.size)
    with tempfile.TemporaryDirectory() as folder:
        images, split = random_data(Path(folder), size, arguments.batches * arguments.batch_size)
        batches = TrainingBatches(
            images, split, make_plan(split, AugmentConfig(), 0), config.batch_size
        )
        trainer = build_trainer(build_classifier(backbone, size, config.dropout))
        compile_trainer(trainer, config, len(batches))
        constant = batches[0]

        def through_the_loader(epoch: int) -> None:
            batches.epoch = epoch
            train_epoch(trainer, batches, config.workers)

        def on_one_batch(epoch: int) -> None:
            for _ in range(len(batches)):
                trainer.train_on_batch(*constant)

        through_the_loader(0)
        trainer.train_on_batch(*constant)
        sides = {"loader": through_the_loader, "constant": on_one_batch}
        rates = rates_in_turn(sides, arguments.rounds, len(batches) * batches.batch_size)
    ratios = [a / b for a, b in zip(rates["loader"], rates["constant"], strict=True)]
    result = {
        "what": "training images a second through the loader / on one constant batch",
        "backbone": arguments.backbone,
        "image_size": list(size),
        "batch_size": config.batch_size,
        "keras_backend": keras.backend.backend(),
        "machine": {"cores": os.cpu_count(), "architecture": platform.machine()},
        "images_per_second": {name: [round(r, 2) for r in v] for name, v in rates.items()},
        "ratios": [round(ratio, 4) for ratio in ratios],
        "median_ratio": round(statistics.median(ratios), 4),
        "bound": BOUND,
    }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(f"{'round':>5} {'loader':>10} {'constant':>10} {'ratio':>7}   images/s")
    for i, ratio in enumerate(ratios):
        print(f"{i:>5} {rates['loader'][i]:>10.1f} {rates['constant'][i]:>10.1f} {ratio:>7.3f}")
    print(f"median ratio {result['median_ratio']:.3f}, at least {BOUND} wanted")
    return 0 if result["median_ratio"] >= BOUND else 1


if __name__ == "__main__":
    raise SystemExit(main())
