"""The training loop against the bare one, what checkpoints cost, and how memory grows with the data.

    python benchmarks/train_loop.py

Throughput: `Learner.train`, as a phase calls it (reading, shuffling, mixing, drawing, averaging the
weights), against `train_on_batch` of the same compiled network on one batch that lies in memory.
They take turns on as many batches, and at going first. Checkpoints: the time of `CheckpointStore.save`
over that of learning from the training images of the whole data set at the speed of the same round.
Memory: `train_memory.py`. The pictures are random numbers: what a pixel holds does not change how
long it takes.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from learners import learner_of, random_data
from root import ROOT
from train_memory import compare_memory

from skin_lesion.batch.files import write_text
from skin_lesion.checkout import processor
from skin_lesion.modeling.checkpoints import CheckpointStore, Progress
from skin_lesion.modeling.history import EpochRecord
from skin_lesion.settings import BackboneConfig, FinetuneConfig

RESULT = ROOT / "benchmarks" / "results" / "train_loop.json"
THROUGHPUT_BOUND, CHECKPOINT_BOUND, MEMORY_BOUND = 0.95, 0.02, 1.1
# Training images of HAM10000, about 70 % of 10,015.
TRAINING_IMAGES = 7010
# Height and width, and batches of a side and round.
SIZES = {(96, 128): 24, (150, 200): 14}
# What the recipe for two cores does at every step and not just now and then.
RECIPE = {"ema_decay": 0.998, "ema_every": 4, "train_batchnorm": True, "unfreeze_epochs": 0}


def rates_in_turn(
    sides: Mapping[str, Callable[[int], None]], turn: int, images: int
) -> dict[str, float]:
    """Images a second of each side in one round; the order of the sides is turned every round.

    Args:
        sides: What is measured, by name; called with the number of the round.
        turn: Number of the round, from 1.
        images: How many images a call trains on.
    """
    rates: dict[str, float] = {}
    for name in list(sides)[:: 1 if turn % 2 else -1]:
        start = time.perf_counter()
        sides[name](turn)
        rates[name] = images / (time.perf_counter() - start)
    return rates


def measure(
    backbone: BackboneConfig, size: tuple[int, int], count: int, rounds: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Compare throughput and weigh a checkpoint at one size.

    Args:
        backbone: The network.
        size: Height and width of the pictures.
        count: Batches of a side and round.
        rounds: How often.

    Returns:
        The two comparisons.
    """
    config = FinetuneConfig(epochs=1000, **RECIPE)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = random_data(folder, size, count * config.batch_size)
        learner, classifier = learner_of(backbone, data, config, folder)
        # The same trainer and the same kind of batch as the loop has; nothing else offers them.
        trainer, constant = learner._trainer, learner._batches[0]
        store = CheckpointStore(folder / "checkpoints")
        saving: list[float] = []
        processor_seconds: dict[str, list[float]] = {"loop": [], "bare": []}

        def bare(_: int) -> None:
            start = time.process_time()
            for _ in range(count):
                trainer.train_on_batch(*constant, return_dict=True)
            processor_seconds["bare"].append(time.process_time() - start)

        def ours(epoch: int) -> None:
            start = time.process_time()
            learner.train(epoch)
            processor_seconds["loop"].append(time.process_time() - start)

        def save(epoch: int) -> None:
            metrics = {"loss": 1.0, "val_macro_f1": 0.5}
            record = EpochRecord(
                epoch=epoch, learning_rate=1e-3, seconds=1.0, images_per_second=1.0, metrics=metrics
            )
            start = time.perf_counter()
            store.save(
                classifier,
                learner.optimizer,
                Progress().advance(record),
                learner.behind_average,
            )
            saving.append(time.perf_counter() - start)

        ours(0)
        bare(0)
        save(0)
        for warming in (saving, *processor_seconds.values()):
            warming.clear()
        rates: dict[str, list[float]] = {"loop": [], "bare": []}
        for turn in range(1, rounds + 1):
            found = rates_in_turn({"loop": ours, "bare": bare}, turn, count * config.batch_size)
            for side, rate in found.items():
                rates[side].append(rate)
            save(turn)  # in every round, so that it is written under the load of the moment
        megabytes = sum(path.stat().st_size for path in store.latest().iterdir()) / 1e6
    ratios = [a / b for a, b in zip(rates["loop"], rates["bare"], strict=True)]
    shares = [s * rate / TRAINING_IMAGES for s, rate in zip(saving, rates["loop"], strict=True)]
    throughput = {
        "what": "training images a second of the loop / of train_on_batch on one constant batch",
        "image_size": list(size),
        "batch_size": config.batch_size,
        "batches_a_round": count,
        "images_per_second": {side: [round(r, 1) for r in found] for side, found in rates.items()},
        # Of bare / loop, which other work on the machine disturbs less than the time on the clock.
        "processor_ratio": round(
            statistics.median(
                b / a
                for a, b in zip(processor_seconds["loop"], processor_seconds["bare"], strict=True)
            ),
            4,
        ),
        **compared(ratios, THROUGHPUT_BOUND),
    }
    checkpoint = {
        "what": f"time of a checkpoint / of learning from {TRAINING_IMAGES} images",
        "image_size": list(size),
        "megabytes": round(megabytes, 1),
        "seconds": [round(s, 3) for s in saving],
        **compared(shares, CHECKPOINT_BOUND),
    }
    return throughput, checkpoint


def compared(ratios: list[float], bound: float) -> dict[str, Any]:
    """What every comparison holds."""
    median = statistics.median(ratios)
    return {
        "ratios": [round(r, 4) for r in ratios],
        "median_ratio": round(median, 4),
        "bound": bound,
    }


def main() -> int:
    """Run the command line; returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", default="mobilenet")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pairs", type=int, default=2, help="pairs of trainings to compare memory")
    parser.add_argument("--result", type=Path, default=RESULT)
    arguments = parser.parse_args()

    import keras

    comparisons: dict[str, Any] = {}
    result = {
        "backbone": arguments.backbone,
        "keras_backend": keras.backend.backend(),
        "recipe": RECIPE,
        "machine": processor(),
        "load_average": [round(value, 1) for value in os.getloadavg()],
        "comparisons": comparisons,
    }

    def keep(**found: dict[str, Any]) -> None:
        """Write what was measured so far, so that what breaks later does not take it along."""
        comparisons.update(found)
        write_text(arguments.result, json.dumps(result, indent=2) + "\n")

    backbone = BackboneConfig(name=arguments.backbone, weights="none")
    for size, count in SIZES.items():
        name = f"{size[0]}x{size[1]}"
        throughput, checkpoint = measure(backbone, size, count, arguments.rounds)
        keep(**{f"throughput_{name}": throughput, f"checkpoint_{name}": checkpoint})
    memory, ratios = compare_memory(arguments.backbone, arguments.pairs)
    keep(memory=memory | compared(ratios, MEMORY_BOUND))
    kept = True
    for name, found in comparisons.items():
        least = name.startswith("throughput")
        good = found["median_ratio"] >= found["bound"] if least else (
            found["median_ratio"] <= found["bound"]
        )  # fmt: skip
        kept &= good
        print(
            f"{name:<22} median ratio {found['median_ratio']:.4f}, at {'least' if least else 'most'} "
            f"{found['bound']} wanted{'' if good else '  <-- missed'}"
        )
    return 0 if kept else 1


if __name__ == "__main__":
    raise SystemExit(main())
