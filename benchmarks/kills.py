"""A training that is killed ten times at random moments ends as one that never was, bit for bit.

    python benchmarks/kills.py

A small training in a process of its own, on drawn pictures, with every part of the recipe, on
TensorFlow on the processor with deterministic operations. First it runs to its end. Then the same
command is started again and again, each time killed (`kill -9`) at a random moment of its life, until
ten were killed; the last one runs to its end. Compared are the weights that were kept, every figure of
every epoch, and what the MLflow run of the last process holds.
"""

import argparse
import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from recording import ROOT

from skin_lesion.checkout import code_state, processor

RESULT = ROOT / "benchmarks" / "results" / "kills.json"
KILLS = 10
# Longest moment: the start of a process, and then about so many epochs. Some are killed before the
# first, and each goes on for a few on average, so that the training does not end before the kills do.
EPOCHS_OF_A_LIFE = 4.0
WARMUP_EPOCHS, FINETUNE_EPOCHS = 2, 22
START, EPOCH, CHECKPOINT, BETWEEN = "start", "epoch", "checkpoint", "between"


@dataclass(frozen=True)
class Event:
    """Where a training process stood.

    Attributes:
        where: From here on: within an epoch, within writing a checkpoint, or between.
        at: By the clock of the machine, in seconds.
    """

    where: str
    at: float


@dataclass(frozen=True)
class Kill:
    """A killed process.

    Attributes:
        seconds: That it lived.
        where: What it was at.
        half_written: Checkpoints of which it left a part.
        epochs: In the checkpoints when it died.
    """

    seconds: float
    where: str
    half_written: int
    epochs: int


def where_killed(events: Sequence[Event]) -> str:
    """What a process was at when it died: the last thing that it noted, or starting."""
    return events[-1].where if events else START


def longest_life(events: Sequence[Event], began: float) -> float:
    """Seconds within which a process is killed, after those of one that was not.

    Args:
        events: Of the uninterrupted training.
        began: When its process was started.
    """
    first = next(event.at for event in events if event.where == EPOCH)
    epochs = sum(event.where == EPOCH for event in events)
    return first - began + EPOCHS_OF_A_LIFE * (events[-1].at - first) / epochs


def moments(seed: int, longest: float) -> Iterator[float]:
    """Lives in seconds, without end."""
    rng = np.random.default_rng(seed)
    while True:
        yield float(rng.uniform(0.0, longest))


class Bench:
    """Processes of one training.

    Args:
        folder: For data, checkpoints and MLflow.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.began = 0.0

    def run(self, name: str, life: float | None = None) -> bool:
        """Start the command; whether it was killed after so many seconds, rather than ended.

        Raises:
            RuntimeError: It failed by itself.
        """
        (self._folder / name).mkdir(exist_ok=True)
        (self._folder / name / "events.jsonl").unlink(missing_ok=True)
        environment = {**os.environ, "TF_DETERMINISTIC_OPS": "1", "KERAS_BACKEND": "tensorflow"}
        with (self._folder / name / "log.txt").open("a") as log:
            self.began = time.time()
            process = subprocess.Popen(
                [sys.executable, __file__, "--train", str(self._folder), name],
                env=environment,
                cwd=ROOT,
                stdout=log,
                stderr=log,
            )
            try:
                process.wait(life)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.wait()
        if process.returncode == -signal.SIGKILL and life is not None:
            return True
        if process.returncode:
            tail = (self._folder / name / "log.txt").read_text(errors="replace")[-3000:]
            raise RuntimeError(f"the training ended with status {process.returncode}: {tail}")
        return False

    def events(self, name: str) -> list[Event]:
        """What the last process of a training noted; a line that was cut off was not noted."""
        path = self._folder / name / "events.jsonl"
        found = []
        for line in path.read_text().splitlines() if path.is_file() else ():
            with contextlib.suppress(json.JSONDecodeError):
                found.append(Event(**json.loads(line)))
        return found

    def killed(self, name: str, life: float) -> Kill:
        """What became of a training whose process was just killed."""
        checkpoints = self._folder / name / "checkpoints"
        epochs = {
            int(path.name) for path in checkpoints.glob("*/*/*") if path.name.isdigit()
        }  # numbered over both phases
        return Kill(
            seconds=round(life, 2),
            where=where_killed(self.events(name)),
            half_written=len(list(checkpoints.glob("*/*/*.partial"))),
            epochs=max(epochs, default=-1) + 1,
        )

    def outcome(self, name: str) -> tuple[dict[str, Any], list[np.ndarray]]:
        """What a finished training recorded, and the weights that it kept."""
        recorded = json.loads((self._folder / name / "outcome.json").read_text())
        with np.load(self._folder / name / "weights.npz") as kept:
            return recorded, [kept[str(number)] for number in range(len(kept))]


def compare(bench: Bench) -> dict[str, Any]:
    """The training that was killed beside the one that was not."""
    (whole, theirs), (killed, mine) = bench.outcome("whole"), bench.outcome("killed")
    differing = sum(
        a.tobytes() != b.tobytes() or a.shape != b.shape for a, b in zip(mine, theirs, strict=True)
    )
    return {
        "arrays_of_weights": len(theirs),
        "arrays_that_differ": differing,
        "epochs": len(whole["history"]),
        "history_is_the_same": killed["history"] == whole["history"],
        "epoch_kept_is_the_same": killed["kept"] == whole["kept"],
        "epochs_in_the_last_mlflow_run": killed["logged"],
    }


def main() -> int:
    """Run the command line; returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=KILLS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--result", type=Path, default=RESULT)
    parser.add_argument("--train", nargs=2, metavar=("FOLDER", "NAME"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.train:
        train(Path(arguments.train[0]), arguments.train[1])
        return 0
    state = code_state(ROOT)
    with tempfile.TemporaryDirectory(prefix="skin-lesion-kills-") as name:
        bench = Bench(Path(name))
        draw(Path(name))
        bench.run("whole")
        longest = longest_life(bench.events("whole"), bench.began)
        kills: list[Kill] = []
        lives = moments(arguments.seed, longest)
        while len(kills) < arguments.kills:
            life = next(lives)
            if not bench.run("killed", life):
                raise RuntimeError(
                    f"the training ended after {len(kills)} of {arguments.kills} kills; have it train "
                    "more epochs"
                )
            kills.append(bench.killed("killed", life))
            print(f"killed {len(kills)}: {kills[-1]}", flush=True)
        bench.run("killed")
        compared = compare(bench)
    result = {
        "what": f"a training killed {arguments.kills} times at random moments / one that was not",
        "seed": arguments.seed,
        "longest_life_seconds": round(longest, 1),
        "kills": [asdict(kill) for kill in kills],
        "kills_within": {
            where: sum(kill.where == where for kill in kills)
            for where in (START, EPOCH, CHECKPOINT, BETWEEN)
        },
        **compared,
        "machine": processor(),
        "commit": state.commit[:7],
        "dirty": state.dirty,
    }
    arguments.result.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    same = good(compared)
    print(f"{result['what']}: {'the same' if same else 'NOT the same'}; {result['kills_within']}")
    return 0 if same else 1


def good(compared: dict[str, Any]) -> bool:
    """Whether nothing differs and nothing is missing."""
    return bool(
        compared["arrays_of_weights"]
        and not compared["arrays_that_differ"]
        and compared["history_is_the_same"]
        and compared["epoch_kept_is_the_same"]
        and compared["epochs_in_the_last_mlflow_run"] == compared["epochs"]
    )


def draw(folder: Path) -> None:
    """Pictures in the colour of their class, and a backbone that looks pretrained."""
    import keras

    from skin_lesion.labels import LABELS

    rng = np.random.default_rng(0)
    # The first classes are common, so that sampling has something to balance.
    labels = np.concatenate([np.tile(np.arange(7), 8), np.tile(np.arange(3), 8)])
    colours = rng.uniform(40, 215, (len(LABELS), 1, 1, 3))
    noise = rng.normal(0, 12, (len(labels), 48, 64, 3))
    np.save(folder / "images.npy", np.clip(colours[labels] + noise, 0, 255).astype(np.uint8))
    np.save(folder / "labels.npy", labels)
    keras.utils.set_random_seed(0)
    network = keras.applications.MobileNet(include_top=False, weights=None)
    network.save_weights(folder / "backbone.weights.h5")


def train(folder: Path, name: str) -> None:
    """Both phases, noting what the process is at; what `--train` does."""
    import keras
    import mlflow

    from skin_lesion import tracking
    from skin_lesion.live import watched_training
    from skin_lesion.modeling.checkpoints import CheckpointStore
    from skin_lesion.modeling.learner import Learner
    from skin_lesion.modeling.train import RunContext, train_finetune, train_warmup
    from skin_lesion.settings import (
        BackboneConfig,
        FinetuneConfig,
        SizeStage,
        WarmupConfig,
        WatchConfig,
    )

    logging.basicConfig(level=logging.INFO)
    note = _noting(folder / name / "events.jsonl")
    _wrap(Learner, "train", note, EPOCH, None)
    _wrap(CheckpointStore, "save", note, CHECKPOINT, BETWEEN)
    data = _data(folder)
    backbone = BackboneConfig(
        name="mobilenet",
        weights="path",
        path=str(folder / "backbone.weights.h5"),
        feature_layer="conv_pw_11_relu",
        batchnorm_momentum=0.8,
    )
    common: dict[str, Any] = {
        "batch_size": 8,
        "dropout": 0.5,
        "ema_decay": 0.9,
        "ema_every": 2,
        "accumulation_steps": 2,  # 5 or more batches an epoch: half full when it ends
        "weight_decay": 0.01,
    }
    first = WarmupConfig(epochs=WARMUP_EPOCHS, learning_rate=1e-2, **common)
    second = FinetuneConfig(
        epochs=FINETUNE_EPOCHS,
        learning_rate=3e-3,
        rise_epochs=1,
        final_learning_rate_share=0.1,
        unfreeze_epochs=2,
        train_batchnorm=True,
        layer_rate_decay=0.7,
        unmixed_epochs=6,
        patience=FINETUNE_EPOCHS,
        sizes=(SizeStage(share=0.5, height=32, width=40),),
        **common,
    )
    mlflow.set_tracking_uri(f"sqlite:///{folder / name / 'mlflow.db'}")
    watch = WatchConfig(system_metrics=False)
    with tracking.continued_run(
        "kills", f"process {os.getpid()}", {}, folder / name / "files"
    ) as run:

        def context(on_epoch: Any) -> RunContext:
            return RunContext(folder / name / "checkpoints", run_id=run, on_epoch=on_epoch)

        with watched_training("warmup", watch) as watched:
            warm = train_warmup(data, backbone, first, context(watched))
        with watched_training("finetune", watch) as watched:
            tuned = train_finetune(data, warm.model, second, context(watched))
        logged = mlflow.MlflowClient().get_metric_history(run, "loss")
    model = keras.saving.load_model(tuned.model.path, compile=False)
    kept = {str(number): array for number, array in enumerate(model.get_weights())}
    np.savez(folder / name / "weights.npz", **kept)
    records = (*warm.history.records, *tuned.history.records)
    outcome = {
        "history": [
            {
                key: float(value).hex()
                for key, value in {**r.metrics, "rate": r.learning_rate}.items()
            }
            for r in records
        ],
        "kept": tuned.history.best_epoch,
        "logged": len({point.step for point in logged}),
    }
    (folder / name / "outcome.json").write_text(json.dumps(outcome))


def _data(folder: Path) -> Any:
    from learners import split_of

    from skin_lesion.data.augment import make_plan
    from skin_lesion.data.image_array import ImageArray
    from skin_lesion.data.split_table import SplitTable
    from skin_lesion.labels import LABELS
    from skin_lesion.modeling.train import TrainingData
    from skin_lesion.settings import AugmentConfig

    labels = np.load(folder / "labels.npy")
    number_of_its_class = np.array([(labels[:i] == label).sum() for i, label in enumerate(labels)])
    parts = np.where(number_of_its_class < 2, "val", "train")
    drawn = split_of(parts.tolist())
    rows = drawn.rows.assign(dx=[LABELS[label] for label in labels])
    split = SplitTable(rows, drawn.leak_report)
    policy = AugmentConfig(imbalance="balanced_sampling", sampling_power=0.7)
    shape = np.load(folder / "images.npy", mmap_mode="r").shape
    images = ImageArray(folder / "images.npy", shape, "0" * 64)
    return TrainingData(images, split, make_plan(split, policy, seed=3))


def _noting(path: Path) -> Any:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def note(where: str) -> None:
        line = json.dumps(asdict(Event(where, time.time()))) + "\n"
        os.write(descriptor, line.encode())

    return note


def _wrap(kind: type, name: str, note: Any, before: str, after: str | None) -> None:
    """Have a method noted when it begins, and when it is over."""
    method = getattr(kind, name)

    def noted(self: Any, *given: Any, **named: Any) -> Any:
        note(before)
        answer = method(self, *given, **named)
        if after is not None:
            note(after)
        return answer

    setattr(kind, name, noted)


if __name__ == "__main__":
    raise SystemExit(main())
