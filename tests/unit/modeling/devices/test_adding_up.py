"""Accumulated gradients on TensorFlow's devices: updates are those of one device, step by step."""

import json

import pytest

from .conftest import RunPrograms, virtual

PROGRAM = """
import json
import tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
import keras, numpy as np
from skin_lesion.modeling.devices import use_devices

def losses(wanted, scaled, **options):
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    with use_devices(wanted, 8) as devices:
        model = keras.Sequential([
            keras.Input((5,)), keras.layers.Dense(4), keras.layers.BatchNormalization(),
            keras.layers.Dense(3),
        ])
        devices.prepare_classifier(model)
        optimizer = keras.optimizers.AdamW(
            1e-2, weight_decay=0.1, global_clipnorm=0.1, gradient_accumulation_steps=2, **options
        )
        if scaled:
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        model.compile(optimizer, "mse")
        optimizer.build(model.trainable_variables)
        devices.prepare_trainer(model)
        found = []
        for _ in range(7):
            x, y = (rng.normal(size=(8, n)).astype(np.float32) for n in (5, 3))
            found.append(float(model.train_on_batch(x, y, return_dict=True)["loss"]))
    return found

results = {name: [losses(n, scaled) for n in (None, 2)]
           for name, scaled in (("plain", False), ("scaled", True))}
try:
    losses(2, False, use_ema=True)
except ValueError as error:
    results["refused"] = str(error)
print(json.dumps(results))
"""


@pytest.fixture(scope="module")
def found(run_programs: RunPrograms) -> dict[str, list[list[float]]]:
    (output,) = run_programs(["-c", PROGRAM], virtual("tensorflow"))
    return dict(json.loads(output.splitlines()[-1]))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["plain", "scaled"])
def test_two_devices_accumulate_as_one_does(found: dict[str, list[list[float]]], name: str) -> None:
    one, two = found[name]
    assert len(set(one)) == 7, "every batch differs"
    assert two == pytest.approx(one, rel=1e-5)


@pytest.mark.slow
def test_an_average_that_would_be_lost_is_refused(found: dict[str, list[list[float]]]) -> None:
    assert "use_ema" in str(found["refused"])
