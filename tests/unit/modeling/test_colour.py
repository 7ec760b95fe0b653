"""Shades of grey takes a tint out, whatever it is, and leaves brightness and grey alone."""

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from skin_lesion.modeling.classifier import build_classifier
from skin_lesion.modeling.colour import shades_of_grey
from skin_lesion.settings import BackboneConfig

from .networks import blobs, outputs, unlike_its_beginning

SIZE = (32, 48)


def corrected(pixels: NDArray[np.generic]) -> NDArray[np.float32]:
    return keras.ops.convert_to_numpy(shades_of_grey(keras.ops.convert_to_tensor(pixels)))


def by_definition(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Equation of the paper, channel by channel, in double precision."""
    values = picture.astype(np.float64)
    light = np.array([(values[..., c] ** 6).mean() ** (1 / 6) for c in range(3)])
    unit = light / np.linalg.norm(light)
    return np.clip(values / (unit * np.sqrt(3)), 0, 255)


@pytest.fixture(scope="module")
def pixels() -> NDArray[np.uint8]:
    return blobs(5, SIZE)


def test_it_is_the_minkowski_mean_of_order_six(pixels: NDArray[np.uint8]) -> None:
    expected = np.stack([by_definition(picture) for picture in pixels])
    assert np.abs(expected - pixels).max() > 20  # there is something to correct
    np.testing.assert_allclose(corrected(pixels), expected, rtol=1e-4, atol=1e-2)


def test_a_cast_over_the_picture_changes_colours_no_more(pixels: NDArray[np.uint8]) -> None:
    """Only the brightness of what comes out depends on the cast, and it is one factor."""
    seen = pixels * np.array([0.9, 0.6, 0.45])
    plain = corrected(pixels * 0.6)  # dark enough that nothing is clipped
    ratio = corrected(seen) / np.maximum(plain, 1e-3)
    inner = plain.min(axis=-1) > 1
    for picture, inside in zip(ratio, inner, strict=True):
        np.testing.assert_allclose(picture[inside], picture[inside].mean(), rtol=1e-3)


def test_a_grey_picture_and_its_brightness_stay() -> None:
    grey = np.random.default_rng(0).integers(20, 200, (3, *SIZE, 1), dtype=np.uint8)
    pixels = np.repeat(grey, 3, axis=-1)
    np.testing.assert_allclose(corrected(pixels), pixels, rtol=1e-5)


def test_a_black_border_changes_nothing_inside(pixels: NDArray[np.uint8]) -> None:
    padded = np.pad(pixels, ((0, 0), (10, 10), (10, 10), (0, 0)))
    inside = corrected(padded)[:, 10:-10, 10:-10]
    np.testing.assert_allclose(inside, corrected(pixels), rtol=1e-4)


@pytest.mark.parametrize("channels", [(), (0,), (0, 2)])
def test_black_pictures_and_missing_channels_give_finite_pixels(channels: tuple[int, ...]) -> None:
    pixels = np.zeros((2, *SIZE, 3), np.uint8)
    for channel in channels:
        pixels[..., channel] = 200
    pixels[0, 0, 0] = 1
    found = corrected(pixels)
    assert np.isfinite(found).all()
    assert found.min() >= 0
    assert found.max() <= 255


def test_one_picture_of_a_batch_does_not_change_another(pixels: NDArray[np.uint8]) -> None:
    np.testing.assert_allclose(corrected(pixels[:1]), corrected(pixels)[:1], rtol=1e-5)


@pytest.mark.parametrize("name", ["mobilenet", "efficientnet_b0"])
def test_a_network_with_it_is_the_plain_network_on_corrected_pixels(
    name: str, pixels: NDArray[np.uint8]
) -> None:
    cut = {"mobilenet": "conv_pw_3_relu", "efficientnet_b0": "block2a_project_bn"}[name]
    plain = BackboneConfig(name=name, weights="none", feature_layer=cut)
    constant = plain.model_copy(update={"colour_constancy": "shades_of_grey"})
    model = unlike_its_beginning(plain, SIZE)
    inside = build_classifier(constant, SIZE)
    inside.set_weights(model.get_weights())
    # A network without it, that takes pixels that are no whole numbers.
    image = keras.Input((*SIZE, 3), dtype="float32")
    floats = keras.models.clone_model(model, input_tensors=image)
    floats.set_weights(model.get_weights())
    expected = keras.ops.convert_to_numpy(floats(corrected(pixels), training=False))
    found = outputs(inside, pixels)[0]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    assert np.abs(found - outputs(model, pixels)[0]).max() > 1e-3


def test_colours_are_computed_in_float32_whatever_the_network_computes_in(
    pixels: NDArray[np.uint8],
) -> None:
    config = BackboneConfig(
        name="mobilenet", weights="none", feature_layer="conv_pw_1_relu",
        colour_constancy="shades_of_grey",
    )  # fmt: skip
    model = build_classifier(config, SIZE, precision="mixed_bfloat16")
    first = model.get_layer("scale")
    assert first.input.dtype == "float32"
    before = keras.Model(model.input, first.input)
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(before(pixels)), corrected(pixels), rtol=1e-5
    )
