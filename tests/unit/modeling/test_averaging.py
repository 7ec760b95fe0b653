"""The moving average of the weights: of all of them, by the formula, and its own."""

from collections.abc import Iterator

import keras
import numpy as np
import pytest

from skin_lesion.modeling.averaging import WeightAverage, copy_weights
from skin_lesion.modeling.classifier import build_classifier, set_trainable_blocks
from skin_lesion.settings import BackboneConfig

BACKBONE = BackboneConfig(name="mobilenet", weights="none", feature_layer="conv_pw_1_relu")


@pytest.fixture
def model() -> keras.Model:
    return build_classifier(BACKBONE, (32, 32))


@pytest.fixture
def judged() -> keras.Model:
    return build_classifier(BACKBONE, (32, 32))


def draws(model: keras.Model) -> Iterator[list[np.ndarray]]:
    """Give a model other weights, time and again."""
    rng = np.random.default_rng(0)
    while True:
        drawn = [rng.normal(size=w.shape).astype(np.float32) for w in model.weights]
        model.set_weights(drawn)
        yield drawn


def test_the_average_follows_the_formula_and_forgets_its_beginning_early(
    model: keras.Model, judged: keras.Model
) -> None:
    expected = model.get_weights()
    average = WeightAverage(model, decay=0.5, every=1)
    average.follow(model)
    for updates, drawn in zip(range(1, 13), draws(model), strict=False):
        average.update(updates)
        kept = min(0.5, (1 + updates) / (10 + updates))
        expected = [kept * a + (1 - kept) * w for a, w in zip(expected, drawn, strict=True)]
    average.assign_to(judged)
    for a, b in zip(judged.get_weights(), expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_a_step_after_several_updates_makes_up_for_all_of_them(
    model: keras.Model, judged: keras.Model
) -> None:
    first = model.get_weights()
    average = WeightAverage(model, decay=0.9, every=4)
    average.follow(model)
    drawn = next(draws(model))
    average.update(400)
    average.assign_to(judged)
    for mean, old, new in zip(judged.get_weights(), first, drawn, strict=True):
        np.testing.assert_allclose(mean, 0.9**4 * old + (1 - 0.9**4) * new, rtol=1e-4, atol=1e-6)


def test_statistics_of_batchnorm_and_frozen_weights_are_averaged_alike(
    model: keras.Model, judged: keras.Model
) -> None:
    average = WeightAverage(model, decay=0.5, every=1)
    average.follow(model)
    before = np.array(model.get_layer("conv1_bn").moving_mean)
    set_trainable_blocks(model, BACKBONE.name, 0, train_batchnorm=False)
    model.get_layer("conv1_bn").moving_mean.assign(before + 2.0)
    average.update(100)
    average.assign_to(judged)
    np.testing.assert_allclose(judged.get_layer("conv1_bn").moving_mean, before + 1.0)
    np.testing.assert_array_equal(
        judged.get_layer("conv1").get_weights()[0], model.get_layer("conv1").get_weights()[0]
    )


def test_a_network_built_anew_is_averaged_where_the_one_before_left_off(
    model: keras.Model, judged: keras.Model
) -> None:
    larger = build_classifier(BACKBONE, (48, 64))
    copy_weights(model, larger)
    for a, b in zip(model.get_weights(), larger.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    first = model.get_weights()
    average = WeightAverage(model, decay=0.5, every=1)
    average.follow(model)
    average.update(100)
    average.follow(larger)
    drawn = next(draws(larger))
    average.update(101)
    average.assign_to(judged)
    for mean, old, new in zip(judged.get_weights(), first, drawn, strict=True):
        np.testing.assert_allclose(mean, 0.5 * old + 0.5 * new, rtol=1e-5, atol=1e-6)


def test_a_copied_network_computes_as_the_one_it_was_copied_from() -> None:
    """EfficientNet normalises with what it has read once from its weights."""
    backbone = BackboneConfig(
        name="efficientnet_b0", weights="none", feature_layer="block1a_activation"
    )
    source, target = (build_classifier(backbone, (32, 32)) for _ in range(2))
    (layer,) = (x for x in source.layers if isinstance(x, keras.layers.Normalization))
    mean, variance, *count = layer.get_weights()
    layer.set_weights([mean + 0.4, variance + 0.3, *count])
    layer.finalize_state()
    copy_weights(source, target)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    np.testing.assert_array_equal(source(pixels), target(pixels))


def test_what_was_given_to_a_model_stays_when_the_average_goes_on(
    model: keras.Model, judged: keras.Model
) -> None:
    average = WeightAverage(model, decay=0.5, every=1)
    average.follow(model)
    average.assign_to(judged)
    given = [w.copy() for w in judged.get_weights()]
    next(draws(model))
    average.update(100)
    for a, b in zip(judged.get_weights(), given, strict=True):
        np.testing.assert_array_equal(a, b)
