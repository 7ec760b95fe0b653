"""The training that `kills.py` kills: small, and with every part of the recipe.

    python benchmarks/killed_training.py FOLDER NAME

It notes in `events.jsonl` what it is at, so that whoever kills it knows afterwards.
"""

import json
import logging
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from killing import BETWEEN, CHECKPOINT, EPOCH, EVENTS, Event

WARMUP_EPOCHS, FINETUNE_EPOCHS = 2, 22


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
    """Both phases, noting what the process is at."""
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
    note = _noting(folder / name / EVENTS)
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
    train(Path(sys.argv[1]), sys.argv[2])
