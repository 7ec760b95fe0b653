"""What TensorFlow's devices need beyond what Keras does."""

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
from skin_lesion.modeling.devices import DevicesError, use_devices

def masks(model, strategy):
    pixels = tf.random.stateless_normal((4, 64), (1, 2))
    found = strategy.run(lambda: model(pixels, training=True))
    return [mask.numpy() for mask in strategy.experimental_local_results(found)]

with use_devices(2, 8) as devices:
    strategy = tf.distribute.get_strategy()
    model = keras.Sequential(
        [keras.Input((64,)), keras.layers.BatchNormalization(), keras.layers.Dropout(0.5)]
    )
    before = masks(model, strategy)
    devices.prepare_classifier(model)
    after = masks(model, strategy)
    synchronized = model.layers[0].synchronized
try:
    with use_devices(2, 9):
        pass
except DevicesError as error:
    odd = str(error)
print(json.dumps({
    "alike_before": bool((before[0] == before[1]).all()),
    "alike_after": float(((after[0] == 0) == (after[1] == 0)).mean()),
    "synchronized": [synchronized, model.layers[0].synchronized],
    "own_draws_left": "next" in vars(model.layers[1].seed_generator),
    "odd": odd,
}))
"""


@pytest.fixture(scope="module")
def seen(run_programs: RunPrograms) -> dict[str, object]:
    (output,) = run_programs(["-c", PROGRAM], virtual("tensorflow"))
    return dict(json.loads(output.splitlines()[-1]))


@pytest.mark.slow
def test_each_device_drops_other_features(seen: dict[str, object]) -> None:
    assert seen["alike_before"], "Keras by itself drops the same; if not, nothing is to be mended"
    assert 0.3 < float(str(seen["alike_after"])) < 0.7, "as two throws of a coin"


@pytest.mark.slow
def test_a_model_keeps_nothing_of_the_devices_it_was_trained_on(seen: dict[str, object]) -> None:
    assert seen["synchronized"] == [True, False]
    assert not seen["own_draws_left"]


@pytest.mark.slow
def test_a_batch_that_cannot_be_shared_evenly_is_refused(seen: dict[str, object]) -> None:
    assert seen["odd"] == (
        "batch_size is 9, which 2 devices cannot share evenly; take 8, or another number of devices"
    )
