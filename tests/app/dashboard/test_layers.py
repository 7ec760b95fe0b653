"""What the viewer lays over a picture lies where the model looked, in the colours of the library."""

import io

import numpy as np
import pytest
from PIL import Image

from app.clinic.layers import heat_png, legend, placement, view_png
from skin_lesion.data.images import PixelSpec, resize
from skin_lesion.explain.gradcam import overlay
from skin_lesion.prediction import HeatMap
from tests.app.dashboard.made import made_served


def heat_map() -> HeatMap:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (24, 32, 3), dtype=np.uint8)
    return HeatMap(pixels, random.random((3, 4), dtype=np.float32), "mel")


def decoded(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


@pytest.mark.parametrize("opacity", [0.0, 0.3, 0.6, 1.0])
def test_the_layer_at_an_opacity_is_what_the_library_draws_at_it(opacity: float) -> None:
    made = heat_map()
    layer = decoded(heat_png(made)).astype(float)
    weight = opacity * layer[..., 3:] / 255
    mixed = made.pixels * (1 - weight) + layer[..., :3] * weight
    assert np.abs(mixed - overlay(made.pixels, made.heat, opacity)).max() <= 2.0


def test_the_view_is_what_the_model_saw_pixel_by_pixel() -> None:
    made = heat_map()
    assert np.array_equal(decoded(view_png(made)), made.pixels)


@pytest.mark.parametrize("mode", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("size", [(400, 300), (900, 300), (300, 900)])
def test_the_heat_lies_over_what_the_model_was_given(mode: str, size: tuple[int, int]) -> None:
    """A picture whose colours say where they are is brought to size as the model's input is."""
    width, height = size
    x, y = np.meshgrid((np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height)
    where = np.rint(255 * np.stack([x, y, np.ones_like(x)], axis=-1)).astype(np.uint8)
    contract = made_served().contract.model_copy(
        update={"resize_mode": mode, "input_height": 120, "input_width": 160}
    )
    spec = PixelSpec(
        height=120,
        width=160,
        resize_mode=contract.resize_mode,
        source_height=None,
        source_width=None,
    )
    seen = np.asarray(resize(Image.fromarray(where), spec)).astype(float) / 255
    lies = placement(width, height, contract)
    columns = lies.left + lies.width * (np.arange(160) + 0.5) / 160
    rows = lies.top + lies.height * (np.arange(120) + 0.5) / 120
    expected_x, expected_y = np.meshgrid(columns, rows)
    inside = seen[..., 2] > 0.99  # padding is black
    assert inside.any()
    assert np.abs(seen[..., 0] - expected_x)[inside].max() < 0.02
    assert np.abs(seen[..., 1] - expected_y)[inside].max() < 0.02
    beyond = (expected_x < 0) | (expected_x > 1) | (expected_y < 0) | (expected_y > 1)
    assert (mode == "pad" and size != (400, 300)) == bool(beyond.any())
    assert not (beyond & inside).any()


def test_the_legend_goes_from_dark_to_light() -> None:
    lightness = [sum(bytes.fromhex(colour[1:])) for colour in legend()]
    assert lightness == sorted(lightness)
    assert lightness[0] < 30 < 600 < lightness[-1]
