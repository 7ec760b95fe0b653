"""Peak memory of a training by the number of its images; `train_loop.py` runs it.

    python benchmarks/train_memory.py ARRAY COUNT HEIGHT WIDTH BACKBONE    # one training

Two trainings in processes of their own: one on 10,015 images, one on 100,150 (the same ones ten
times). Both go through a whole epoch by the library's own loop and loader, every image is read, mixed
and drawn for, then every image of validation. Of the batches a fixed number, spread over the epoch,
are learnt from, and the others are dropped: learning from all of them would take half an hour and
needs no memory that the first did not. The peak is what the kernel says of the process (VmHWM),
which counts pages of the mapped file too.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from learners import learner_of, split_of
from root import ROOT

from skin_lesion.data.augment import make_plan
from skin_lesion.data.image_array import ImageArray
from skin_lesion.memory import host_memory
from skin_lesion.modeling.training_data import TrainingData
from skin_lesion.settings import AugmentConfig, BackboneConfig, FinetuneConfig

IMAGES, TIMES = 10_015, 10
SIZE = (96, 128)
LEARNT = 40  # batches that are learnt from, and as many that are judged


class Sparing:
    """A trainer that learns from a few batches of an epoch, spread evenly over it."""

    def __init__(self, trainer: Any, batches: int) -> None:
        self._trainer = trainer
        self._every = max(1, batches // LEARNT)
        self._seen = 0
        self._logs: dict[str, float] = {}

    def train_on_batch(self, *batch: Any, **options: Any) -> dict[str, float]:
        """Learn from one batch in so many, and answer for the others what was answered for it."""
        if self._seen % self._every == 0:
            self._logs = self._trainer.train_on_batch(*batch, **options)
        self._seen += 1
        return self._logs

    def __getattr__(self, name: str) -> Any:
        return getattr(self._trainer, name)


def write_array(path: Path, times: int) -> None:
    """Write random pictures, the same ones so many times."""
    array = np.lib.format.open_memmap(path, "w+", np.uint8, (IMAGES * times, *SIZE, 3))
    rng = np.random.default_rng(0)
    for start in range(0, IMAGES, 256):
        stop = min(start + 256, IMAGES)
        drawn = rng.integers(0, 256, (stop - start, *SIZE, 3), np.uint8)
        for copy in range(times):
            array[copy * IMAGES + start : copy * IMAGES + stop] = drawn
    array.flush()


def shares(count: int) -> list[str]:
    """70 % for training, 15 % for validation, of a hundred images in turn."""
    place = np.arange(count) % 100
    parts: list[str] = np.select([place < 70, place < 85], ["train", "val"], "test").tolist()
    return parts


def train(path: Path, count: int, size: tuple[int, int], backbone: str) -> dict[str, float]:
    """Go through an epoch and its validation; returns the memory used, in GiB."""
    from train_loop import RECIPE

    from skin_lesion.data.loader import EvaluationBatches, prefetched

    images = ImageArray(path, (count, *size, 3), "0" * 64)
    split = split_of(shares(count))
    data = TrainingData(images, split, make_plan(split, AugmentConfig(), 0))
    data.identity()  # as a phase does for the name of its checkpoints
    config = FinetuneConfig(**RECIPE)
    with tempfile.TemporaryDirectory() as folder:
        learner, classifier = learner_of(
            BackboneConfig(name=backbone, weights="none"), data, config, Path(folder)
        )
        learner._trainer = Sparing(learner._trainer, len(learner._batches))
        learner.train(0)
        validation = EvaluationBatches(images, split, "val", config.batch_size)
        every = max(1, len(validation) // LEARNT)
        for number, batch in enumerate(prefetched(validation, config.workers)):
            if number % every == 0:
                classifier.predict_on_batch(batch)
    return host_memory()


def compare_memory(backbone: str, pairs: int) -> tuple[dict[str, Any], list[float]]:
    """Train on both numbers of images in turn.

    Args:
        backbone: Name of the network.
        pairs: How often.

    Returns:
        What was found, and the ratios of the peaks.

    Raises:
        RuntimeError: A training failed.
    """
    counts = (IMAGES, IMAGES * TIMES)
    peaks: dict[int, list[float]] = {count: [] for count in counts}
    with tempfile.TemporaryDirectory() as name:
        paths = {count: Path(name) / f"{count}.npy" for count in counts}
        for count, path in paths.items():
            write_array(path, count // IMAGES)
        for turn in range(pairs):
            for count in counts if turn % 2 == 0 else counts[::-1]:
                peaks[count].append(_peak(paths[count], count, backbone))
    ratios = [many / few for few, many in zip(*(peaks[count] for count in counts), strict=True)]
    found = {
        "what": f"peak memory of a training on {counts[1]} images / on {counts[0]}",
        "image_size": list(SIZE),
        "batches_learnt_from": LEARNT,
        "gib": {str(count): [round(p, 3) for p in found] for count, found in peaks.items()},
    }
    return found, ratios


def _peak(path: Path, count: int, backbone: str) -> float:
    script = Path(__file__)
    finished = subprocess.run(
        [sys.executable, str(script), str(path), str(count), *map(str, SIZE), backbone],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if finished.returncode:
        raise RuntimeError(f"the training on {count} images failed: {finished.stderr[-2000:]}")
    return float(json.loads(finished.stdout.splitlines()[-1])["host_peak_gib"])


if __name__ == "__main__":
    array, number, height, width, network = sys.argv[1:]
    print(json.dumps(train(Path(array), int(number), (int(height), int(width)), network)))
