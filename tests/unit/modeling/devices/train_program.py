"""Both phases of a training on some devices, with everything that a recipe has.

Run as a program of its own: `train_program.py FOLDER DEVICES STOP`; `FOLDER` holds `data.json` and
`rows.json`; `STOP` is the epoch after which the process is as good as killed, or `none`.
"""

import json
import os
import sys
from pathlib import Path


class KilledError(Exception):
    """Stands for whatever ends a process."""


def main(name: str, wanted: str, stop: str) -> None:
    """Train, and print what was recorded."""
    if os.environ["KERAS_BACKEND"] == "tensorflow":
        import tensorflow as tf

        (processor,) = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(
            processor, [tf.config.LogicalDeviceConfiguration()] * 2
        )
    import pandas as pd

    from skin_lesion.data.augment import AugmentationPlan
    from skin_lesion.data.image_array import ImageArray
    from skin_lesion.data.split_table import LeakReport, SplitTable
    from skin_lesion.modeling.history import EpochRecord
    from skin_lesion.modeling.train import RunContext, TrainingData, train_finetune, train_warmup
    from skin_lesion.settings import BackboneConfig, FinetuneConfig, SizeStage, WarmupConfig

    folder = Path(name)
    facts = json.loads((folder / "data.json").read_text())
    data = TrainingData(
        ImageArray(Path(facts["path"]), tuple(facts["shape"]), "0" * 64),
        SplitTable(pd.read_json(folder / "rows.json"), LeakReport(**facts["leaks"])),
        AugmentationPlan(**facts["plan"]),
    )
    backbone = BackboneConfig(
        name="mobilenet", weights="none", feature_layer="conv_pw_2_relu", batchnorm_momentum=0.8
    )
    common = {
        "batch_size": 8,
        "dropout": 0.0,  # on TensorFlow every device draws for itself
        "learning_rate": 2e-3,
        "devices": None if wanted == "none" else int(wanted),
    }
    devices: list[dict[str, object]] = []
    reported: list[int] = []

    def on_epoch(record: EpochRecord) -> None:
        reported.append(record.epoch)
        if str(record.epoch) == stop:
            raise KilledError

    context = RunContext(
        checkpoint_root=folder / "checkpoints",
        on_epoch=on_epoch,
        on_devices=lambda facts: devices.append(facts.model_dump()),
    )
    try:
        warm = train_warmup(data, backbone, WarmupConfig(epochs=1, **common), context)
        tuned = train_finetune(
            data,
            warm.model,
            FinetuneConfig(
                epochs=4,
                ema_decay=0.9,
                ema_every=2,
                accumulation_steps=2,
                weight_decay=0.01,
                layer_rate_decay=0.9,
                sizes=(SizeStage(share=0.5, height=32, width=32),),
                **common,
            ),
            context,
        )
    except KilledError:
        sys.stdout.write(json.dumps({"reported": reported}))
        return
    records = [*warm.history.records, *tuned.history.records]
    sys.stdout.write(
        json.dumps(
            {
                "loss": [record.metrics["loss"] for record in records],
                "val_loss": [record.metrics["val_loss"] for record in records],
                "best_epoch": tuned.history.best_epoch,
                "reported": reported,
                "devices": devices,
                "synchronized": _synchronized(tuned.model.path),
            }
        )
    )


def _synchronized(path: Path) -> bool:
    """Whether a saved model asks for synchronised BatchNorm, which JAX would refuse."""
    import zipfile

    with zipfile.ZipFile(path) as archive:
        return '"synchronized": true' in archive.read("config.json").decode()


if __name__ == "__main__":
    main(*sys.argv[1:])
