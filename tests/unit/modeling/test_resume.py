"""Killed at any moment, training ends as it would have: bit for bit, where sums are added in order."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import MakeData
from .published_weights import published_weights

ROOT = Path(__file__).parents[3]
# Whatever makes up the state of a training is switched on: weights behind an average, accumulators
# that are half full when an epoch ends (5 batches of 8), blocks that are freed, sizes that change,
# dropout, mixing that stops.
PROGRAM = """
import json, os, signal, sys
from pathlib import Path
import pandas as pd
from skin_lesion.data.augment import AugmentationPlan
from skin_lesion.data.image_array import ImageArray
from skin_lesion.data.split_table import LeakReport, SplitTable
from skin_lesion.modeling.train import RunContext, TrainingData, train_finetune, train_warmup
from skin_lesion.settings import BackboneConfig, FinetuneConfig, SizeStage, WarmupConfig
import keras

folder, checkpoints, dies_after, moment = (
    Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
)
facts = json.loads((folder / "facts.json").read_text())
images = ImageArray(Path(facts["path"]), tuple(facts["shape"]), "0" * 64)
split = SplitTable(pd.read_json(folder / "rows.json"), LeakReport(**facts["leaks"]))
data = TrainingData(images, split, AugmentationPlan(**facts["plan"]))
backbone = BackboneConfig(
    name="mobilenet", weights="path", path=facts["weights"], feature_layer="conv_pw_2_relu",
    batchnorm_momentum=0.8,
)
common = dict(
    batch_size=8, dropout=0.5, ema_decay=0.9, ema_every=2, accumulation_steps=2, weight_decay=0.01,
    precision=facts["precision"],
)

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def on_epoch(record):
    if record.epoch == dies_after and moment == "between epochs":
        die()

if moment == "within an epoch":
    from skin_lesion.data.loader import TrainingBatches
    real = TrainingBatches.__getitem__
    def item(self, index):
        if self.epoch == dies_after + 1 and index == 3:
            die()
        return real(self, index)
    TrainingBatches.__getitem__ = item
if moment == "within a checkpoint":
    from skin_lesion.modeling import checkpoints as module
    real = module._flush
    def flush(path):
        if path.parent.name.startswith(f"{dies_after + 1}."):
            die()
        real(path)
    module._flush = flush
if moment == "a full disk":
    import errno
    from skin_lesion.modeling import checkpoints as module
    real = module.np.savez
    def savez(path, **arrays):
        real(path, **arrays)
        if path.parent.name.startswith(f"{dies_after + 1}.") and path.name == "optimizer.npz":
            os.truncate(path, 1000)
            raise OSError(errno.ENOSPC, "No space left on device")
    module.np.savez = savez

context = RunContext(checkpoints, on_epoch=on_epoch)
warm = train_warmup(data, backbone, WarmupConfig(epochs=1, learning_rate=1e-2, **common), context)
tuned = train_finetune(
    data, warm.model,
    FinetuneConfig(
        epochs=6, learning_rate=3e-3, rise_epochs=1, final_learning_rate_share=0.1,
        unfreeze_epochs=2, train_batchnorm=True, layer_rate_decay=0.7, unmixed_epochs=2,
        sizes=(SizeStage(share=0.5, height=32, width=40),), **common,
    ),
    context,
)
model = keras.saving.load_model(tuned.model.path, compile=False)
def hexadecimal(record):
    return {k: float(v).hex() for k, v in {**record.metrics, "rate": record.learning_rate}.items()}
print(json.dumps({
    "weights": [w.tobytes().hex() for w in model.get_weights()],
    "history": [hexadecimal(r) for r in (*warm.history.records, *tuned.history.records)],
    "kept": tuned.history.best_epoch,
}))
"""


def run(
    folder: Path, checkpoints: str, dies_after: int, moment: str
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [
            sys.executable,
            "-c",
            PROGRAM,
            str(folder),
            str(folder / checkpoints),
            str(dies_after),
            moment,
        ],
        env={**os.environ, "TF_DETERMINISTIC_OPS": "1", "KERAS_BACKEND": "tensorflow"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "precision", ["float32", pytest.param("mixed_float16", marks=pytest.mark.exhaustive)]
)
def test_a_killed_training_ends_bit_for_bit_as_the_uninterrupted_one(
    precision: str, make_data: MakeData, tmp_path: Path
) -> None:
    data = make_data(size=(48, 64), per_class=8)
    data.split.rows.to_json(tmp_path / "rows.json")
    weights = published_weights("mobilenet", tmp_path / "m.weights.h5")
    facts = {
        "path": str(data.images.path),
        "shape": data.images.shape,
        "leaks": data.split.leak_report.model_dump(),
        "plan": data.plan.model_dump(),
        "weights": str(weights),
        "precision": precision,
    }
    (tmp_path / "facts.json").write_text(json.dumps(facts))
    whole = run(tmp_path, "whole", -1, "never")
    assert whole.returncode == 0, whole.stderr[-3000:]
    # One training, killed again and again: each start goes on where the one before was killed.
    moments = [
        (0, "between epochs"),  # when the first phase is over
        (1, "within an epoch"),  # while fewer blocks are free
        (2, "within a checkpoint"),
        (3, "between epochs"),  # before the pictures grow
        (4, "a full disk"),
        (5, "within an epoch"),
    ]
    for dies_after, moment in moments:
        killed = run(tmp_path, "killed", dies_after, moment)
        full = moment == "a full disk"
        assert killed.returncode == (1 if full else -9), f"{moment}: {killed.stderr[-2000:]}"
        assert ("DiskFullError: the checkpoint of epoch 5" in killed.stderr) is full
    resumed = run(tmp_path, "killed", -1, "never")
    assert resumed.returncode == 0, resumed.stderr[-3000:]
    mine, theirs = (json.loads(x.stdout.splitlines()[-1]) for x in (resumed, whole))
    assert len(theirs["history"]) == 7
    assert mine["history"] == theirs["history"]
    assert mine["kept"] == theirs["kept"]
    assert mine["weights"] == theirs["weights"]
