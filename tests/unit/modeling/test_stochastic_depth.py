"""Blocks are skipped at the rates that are asked for, in training alone, and repeatably."""

import keras
import numpy as np
import pytest

from skin_lesion.modeling.classifier import build_classifier
from skin_lesion.modeling.epochs import seed_dropout
from skin_lesion.settings import BackboneConfig

from .networks import blobs, unlike_its_beginning

SIZE = (32, 32)


def network(rate: float | None, name: str = "efficientnet_b0", cut: str | None = None):
    config = BackboneConfig(name=name, weights="none", feature_layer=cut, stochastic_depth=rate)
    return build_classifier(config, SIZE)


def block_rates(model: keras.Model) -> dict[str, float]:
    return {layer.name: layer.rate for layer in model.layers if layer.name.endswith("_drop")}


@pytest.mark.parametrize("name", ["efficientnet_b0", "efficientnet_v2_b0"])
def test_rates_rise_evenly_and_are_in_proportion_to_what_is_asked_for(name: str) -> None:
    published = block_rates(network(None, name))
    asked = block_rates(network(0.4, name))
    assert len(asked) > 5
    assert list(asked.values()) == sorted(asked.values())
    assert max(asked.values()) == pytest.approx(0.4, abs=0.06)
    for block, rate in asked.items():
        assert rate == pytest.approx(2 * published[block])


def test_what_a_network_was_published_with_stays_unless_asked() -> None:
    reference = keras.applications.EfficientNetB0(include_top=False, weights=None)
    assert block_rates(network(None)) == block_rates(reference)


def test_zero_drops_nothing() -> None:
    assert set(block_rates(network(0.0)).values()) == {0.0}
    pixels = blobs(4, SIZE)
    model = network(0.0, cut="block2b_add")
    body = keras.Model(model.input, model.get_layer("block2b_drop").output)
    skipped = keras.Model(model.input, model.get_layer("block2b_drop").input)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
    np.testing.assert_array_equal(body(pixels, training=True), skipped(pixels, training=True))


def test_whole_blocks_are_dropped_picture_by_picture_in_training_alone() -> None:
    pixels = blobs(64, SIZE)
    config = BackboneConfig(
        name="efficientnet_b0", weights="none", feature_layer="block2b_add", stochastic_depth=0.9
    )
    model = unlike_its_beginning(config, SIZE)
    drop = model.get_layer("block2b_drop")
    ends = keras.Model(model.input, [drop.input, drop.output])
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
    before, after = (keras.ops.convert_to_numpy(one) for one in ends(pixels, training=True))
    kept = np.abs(after).max(axis=(1, 2, 3)) > 0
    assert 0 < (~kept).sum() < 64
    np.testing.assert_allclose(after[kept], before[kept] / (1 - drop.rate), rtol=1e-5)
    before, after = (keras.ops.convert_to_numpy(one) for one in ends(pixels, training=False))
    np.testing.assert_array_equal(after, before)


def test_what_is_dropped_is_a_function_of_seed_and_epoch() -> None:
    """A resumed epoch must equal the one it replaces, in a network that was built anew."""
    pixels = blobs(16, SIZE)
    config = BackboneConfig(
        name="efficientnet_b0", weights="none", feature_layer="block3b_add", stochastic_depth=0.9
    )

    def trained_on(seed: int, epoch: int) -> np.ndarray:
        model = unlike_its_beginning(config, SIZE)
        keras.utils.set_random_seed(100 * seed + epoch)  # must not matter
        seed_dropout(model, seed, epoch)
        body = keras.Model(model.input, model.get_layer("features").output)
        return keras.ops.convert_to_numpy(body(pixels, training=True))

    first = trained_on(3, 5)
    np.testing.assert_array_equal(trained_on(3, 5), first)
    assert (trained_on(3, 6) != first).any()
    assert (trained_on(4, 5) != first).any()


def test_a_saved_network_keeps_its_rates(tmp_path) -> None:
    model = network(0.4, cut="block3b_add")
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    assert block_rates(loaded) == block_rates(model)


@pytest.mark.parametrize(
    ("name", "cut"), [("mobilenet", None), ("efficientnet_b0", "block2a_project_bn")]
)
def test_a_network_without_skip_connections_is_refused_in_words(name: str, cut: str | None) -> None:
    with pytest.raises(
        ValueError, match=rf"stochastic_depth is 0.2, but backbone '{name}'.*no skip"
    ):
        network(0.2, name, cut)
    assert network(0.0, name, cut)  # nothing is asked of it
