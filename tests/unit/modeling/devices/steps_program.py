"""Train a small network for some steps on some devices, and write what came of it.

Run as a program of its own, since a backend counts its devices once:
`steps_program.py OUTPUT.npz DEVICES CASE…`; `DEVICES` is a number, `all` or `none`.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

VIRTUAL = 2
BATCH = 8
STEPS = 5
CASES: dict[str, dict[str, Any]] = {
    "float32": {},
    "unclipped": {"gradient_clip_norm": None},
    "bfloat16": {"precision": "mixed_bfloat16"},
    "float16": {"precision": "mixed_float16"},
    "dropout": {"dropout": 0.5},
    "overflow": {"precision": "mixed_float16"},
}
OVERFLOWS_AT = 2


def batches(overflow: bool) -> Iterator[tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]]:
    """Random batches; in one of them the last picture alone has a gradient without bounds."""
    from skin_lesion.data.augment import draw_colour, draw_geometry
    from skin_lesion.settings import AugmentConfig

    rng = np.random.default_rng(0)
    for step in range(STEPS):
        inputs = {
            "image": rng.integers(0, 256, (BATCH, 32, 40, 3), dtype=np.uint8),
            "geometry": draw_geometry(BATCH, 32, 40, AugmentConfig(), rng),
            "colour": draw_colour(BATCH, AugmentConfig(), rng),
        }
        targets = np.eye(7, dtype=np.float32)[rng.integers(0, 7, BATCH)]
        weights = rng.uniform(0.2, 3, BATCH).astype(np.float32)
        if overflow and step == OVERFLOWS_AT:
            weights[-1] = 1e9
        yield inputs, targets, weights


def state_of(optimizer: Any) -> dict[str, np.ndarray]:
    """Every variable of an optimizer by the path of what it belongs to."""
    import keras

    return {
        variable.path.split("/", 1)[-1]: keras.ops.convert_to_numpy(variable)
        for variable in optimizer.variables
    }


def run(case: str, wanted: Any) -> dict[str, np.ndarray]:
    """Every weight, every variable of the optimizer, losses and logits after some steps."""
    import keras

    from skin_lesion.modeling.checkpoints import restore_optimizer
    from skin_lesion.modeling.classifier import (
        build_classifier,
        build_trainer,
        set_trainable_blocks,
    )
    from skin_lesion.modeling.devices import use_devices
    from skin_lesion.modeling.epochs import compile_trainer, jit_mode
    from skin_lesion.settings import BackboneConfig, WarmupConfig

    config = WarmupConfig(
        learning_rate=1e-3,
        weight_decay=0.01,
        batch_size=BATCH,
        **{"dropout": 0.0} | CASES[case],
    )
    backbone = BackboneConfig(
        name="mobilenet",
        weights="none",
        feature_layer="conv_pw_2_relu",
        batchnorm_momentum=0.8,
    )
    keras.utils.set_random_seed(3)
    with use_devices(wanted, config.batch_size) as devices:
        classifier = build_classifier(backbone, (32, 40), config.dropout, config.precision)
        devices.prepare_classifier(classifier)
        classifier.compile(jit_compile=jit_mode(config))
        trainer = build_trainer(classifier)
        logs = []
        before = np.empty(0)
        for step, (inputs, targets, weights) in enumerate(batches(case == "overflow")):
            if step in (0, STEPS - 1):  # as when blocks are freed, and a state is restored
                state = state_of(trainer.optimizer) if step else {}
                set_trainable_blocks(classifier, "mobilenet", 99, train_batchnorm=True)
                compile_trainer(trainer, config, STEPS)
                if step:
                    restore_optimizer(trainer.optimizer, state)
                devices.prepare_trainer(trainer)
            if step == OVERFLOWS_AT:
                before = classifier.get_layer("logits").get_weights()[0]
            logs.append(trainer.train_on_batch(inputs, targets, weights, return_dict=True))
            if step == OVERFLOWS_AT:
                moved = np.abs(classifier.get_layer("logits").get_weights()[0] - before).max()
        logits = classifier.predict_on_batch(next(batches(False))[0]["image"][:5])
        found = {
            f"weight {i} {v.path}": keras.ops.convert_to_numpy(v)
            for i, v in enumerate(classifier.variables)
            if "seed" not in v.path
        }
        found |= {
            f"optimizer {path}": value
            for path, value in state_of(trainer.optimizer).items()
            if "trainer" not in path
        }
        facts = devices.facts(config.precision, xla=bool(jit_mode(config)))
    return found | {
        "loss": np.array([float(log["loss"]) for log in logs]),
        "accuracy": np.array([float(log["accuracy"]) for log in logs]),
        "logits": logits,
        "moved": np.asarray(moved),
        "facts": np.asarray(facts.model_dump_json()),
    }


def main(output: str, devices: str, *cases: str) -> None:
    """Run the cases and write `OUTPUT.npz`."""
    if os.environ["KERAS_BACKEND"] == "tensorflow":
        import tensorflow as tf

        (processor,) = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(
            processor, [tf.config.LogicalDeviceConfiguration()] * VIRTUAL
        )
    wanted = None if devices == "none" else devices if devices == "all" else int(devices)
    arrays = {
        f"{case}/{name}": value for case in cases for name, value in run(case, wanted).items()
    }
    folder = Path(os.environ.get("OUTPUT_FOLDER", "."))
    np.savez(folder / output, allow_pickle=False, **arrays)


if __name__ == "__main__":
    main(*sys.argv[1:])
