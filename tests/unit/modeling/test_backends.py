"""The same training code, with every part of the recipe, on another Keras backend.

The export comes out of it all the same.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from skin_lesion.modeling.export import PARITY_TOLERANCE

from .conftest import MakeData, hand_over

PROGRAM = """
import json, sys

class NoTensorFlow:  # as on a machine without it; the child that exports has its own interpreter
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "tensorflow":
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, NoTensorFlow())
from pathlib import Path
import keras, pandas as pd
from skin_lesion.data.augment import AugmentationPlan
from skin_lesion.data.image_array import ImageArray
from skin_lesion.data.manifest import Manifest, Provenance
from skin_lesion.data.split_table import LeakReport, SplitTable
from skin_lesion.modeling.export import BundleFacts, make_bundle
from skin_lesion.modeling.train import RunContext, TrainingData, train_finetune, train_warmup
from skin_lesion.settings import BackboneConfig, FinetuneConfig, SizeStage, WarmupConfig

folder = Path(sys.argv[1])
facts = json.loads((folder / "data.json").read_text())
images = ImageArray(Path(facts["path"]), tuple(facts["shape"]), "0" * 64)
split = SplitTable(pd.read_json(folder / "rows.json"), LeakReport(**facts["leaks"]))
data = TrainingData(images, split, AugmentationPlan(**facts["plan"]))
backbone = BackboneConfig(
    name="mobilenet", weights="none", feature_layer="conv_pw_2_relu", batchnorm_momentum=0.8
)
warm = train_warmup(data, backbone, WarmupConfig(epochs=2, learning_rate=5e-3, batch_size=16))
config = FinetuneConfig(
    epochs=4, learning_rate=4e-3, batch_size=8, accumulation_steps=2, ema_decay=0.8, ema_every=1,
    layer_rate_decay=0.9, weight_decay=0.01, unmixed_epochs=1,
    sizes=(SizeStage(share=0.5, height=32, width=32),),
)

class Killed(Exception):
    pass

def kill(record):
    if record.epoch == 2:
        raise Killed

try:
    train_finetune(data, warm.model, config, RunContext(folder / "killed", on_epoch=kill))
except Killed:
    pass
tuned = train_finetune(data, warm.model, config, RunContext(folder / "killed"))
whole = train_finetune(data, warm.model, config)
provenance = Provenance(kind="synthetic", name="colours", licence="CC0-1.0", citation="none",
                        synthetic=True, source_height=32, source_width=32)
manifest = Manifest(
    pd.DataFrame({"image_id": ["a"], "lesion_id": ["a"], "dx": ["nv"], "sha256": ["0"]}),
    pd.DataFrame(), provenance,
)
bundle = make_bundle(tuned.model, images, split, manifest,
                     BundleFacts("stretch", "test", None), folder / "bundle")
records = [*warm.history.records, *tuned.history.records]
print(json.dumps({
    "backend": keras.backend.backend(),
    "losses": [record.metrics["loss"] for record in records],
    "resumed": [record.metrics["val_loss"] for record in tuned.history.records],
    "whole": [record.metrics["val_loss"] for record in whole.history.records],
    "parity": bundle.contract.parity_max_abs_difference,
}))
"""


@pytest.mark.slow
def test_training_and_export_work_on_jax(make_data: MakeData, tmp_path: Path) -> None:
    data = make_data(size=(40, 48), per_class=12)
    hand_over(data, tmp_path)
    finished = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)],
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr[-3000:]
    result = json.loads(finished.stdout.splitlines()[-1])
    assert result["backend"] == "jax"
    assert result["losses"][-1] < 0.9 * result["losses"][0]
    assert result["resumed"] == pytest.approx(result["whole"], rel=1e-3)
    assert result["parity"] <= PARITY_TOLERANCE
