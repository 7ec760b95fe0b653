"""The one path from bytes to pixels: sizes, resizing, hashes."""

import subprocess
import sys
from pathlib import Path

import imagehash
import numpy as np
import pytest
from PIL import Image

from skin_lesion.data.images import (
    PixelSpec,
    decode,
    grey_statistics,
    perceptual_hash,
    read_picture,
    read_pixels,
    to_pixels,
)
from tests.unit.data.drawn import (
    GREY,
    MAX_PIXELS,
    RED,
    SPEC,
    encoded,
    mean_difference,
    quadrants,
    smooth,
)

# Range and layout


@pytest.mark.parametrize("level", [0, 1, 127, 254, 255])
def test_pixels_keep_the_range_0_to_255(level: int) -> None:
    pixels = read_pixels(encoded(Image.new("RGB", (50, 40), (level, level, level))), SPEC)
    assert pixels.dtype == np.uint8
    assert pixels.shape == (60, 80, 3)
    assert (pixels == level).all()


def test_channels_are_red_green_blue() -> None:
    pixels = read_pixels(encoded(Image.new("RGB", (50, 40), RED)), SPEC)
    assert tuple(pixels[30, 40]) == RED


@pytest.mark.parametrize("mode", ["stretch", "pad", "crop"])
def test_every_resize_mode_gives_the_size_asked_for(mode: str) -> None:
    spec = PixelSpec(33, 47, mode, None, None)  # type: ignore[arg-type]
    assert read_pixels(encoded(smooth(40, 90)), spec).shape == (33, 47, 3)


def test_stretch_keeps_every_corner() -> None:
    pixels = to_pixels(quadrants(40, 120), PixelSpec(60, 60, "stretch", None, None))
    assert tuple(pixels[0, 0]) == RED
    assert tuple(pixels[-1, -1]) == GREY


def test_pad_adds_black_borders_and_keeps_the_aspect_ratio() -> None:
    white = Image.new("RGB", (80, 40), "white")
    pixels = to_pixels(white, PixelSpec(60, 60, "pad", None, None))
    assert (pixels[:14] == 0).all()
    assert (pixels[16:44] == 255).all()
    assert (pixels[46:] == 0).all()


def test_crop_takes_the_middle() -> None:
    pixels = np.zeros((40, 120, 3), np.uint8)
    pixels[:, 40:80] = 255
    cropped = to_pixels(Image.fromarray(pixels), PixelSpec(30, 30, "crop", None, None))
    assert (cropped[:, 1:-1] == 255).all()  # the filter may reach one pixel beyond the border


# One picture at three sizes


@pytest.mark.parametrize("file_format", ["JPEG", "PNG"])
@pytest.mark.parametrize("target", [(60, 80), (160, 160), (224, 224)])
def test_one_picture_at_three_sizes_reads_the_same(
    target: tuple[int, int], file_format: str
) -> None:
    spec = PixelSpec(*target, "stretch", 150, 200)
    options = {"quality": 95, "subsampling": 0} if file_format == "JPEG" else {}
    # Texture as fine as the source resolution can show is what sharper pictures would add to.
    source = np.asarray(smooth(150, 200)).astype(int)
    noise = np.random.default_rng(1).normal(0, 12, (150, 200, 1))
    original = Image.fromarray(np.clip(source + noise, 0, 255).astype(np.uint8))
    reference = read_pixels(encoded(original, file_format, **options), spec)
    for factor in (2, 3, 6):
        larger = original.resize((200 * factor, 150 * factor), Image.Resampling.NEAREST)
        pixels = read_pixels(encoded(larger, file_format, **options), spec)
        assert mean_difference(pixels, reference) < 3.0


def test_without_reduction_sizes_would_read_differently() -> None:
    """The rule above holds because of the reduction, not by itself."""
    checks = (np.indices((900, 1200)).sum(axis=0) // 4 % 2 * 255).astype(np.uint8)
    large = encoded(Image.fromarray(checks).convert("RGB"))
    reduced = read_pixels(large, PixelSpec(450, 600, "stretch", 150, 200))
    kept = read_pixels(large, PixelSpec(450, 600, "stretch", None, None))
    assert reduced.std() < kept.std() / 2


def test_a_portrait_picture_is_reduced_like_a_landscape_one() -> None:
    upright = smooth(600, 800).transpose(Image.Transpose.ROTATE_90)
    assert read_picture(encoded(upright), SPEC).image.size == (150, 200)


def test_pictures_about_as_large_as_the_source_are_left_alone() -> None:
    assert read_picture(encoded(smooth(180, 240)), SPEC).image.size == (240, 180)


def test_small_pictures_are_enlarged_once() -> None:
    small = smooth(30, 40)
    expected = np.asarray(small.resize((80, 60), Image.Resampling.BILINEAR))
    assert (read_pixels(encoded(small), SPEC) == expected).all()


def test_the_size_before_decoding_is_reported() -> None:
    spec = PixelSpec(160, 160, "stretch", 150, 200)
    picture = read_picture(encoded(smooth(600, 800), "JPEG"), spec)
    assert (picture.width, picture.height) == (800, 600)
    assert picture.image.size == (200, 150)


# Scaled decoding


def test_large_jpegs_are_decoded_at_a_fraction_of_their_size() -> None:
    data = encoded(smooth(600, 800), "JPEG")
    assert decode(data, max_pixels=MAX_PIXELS, limit=(150, 200)).size == (200, 150)
    assert decode(data, max_pixels=MAX_PIXELS, limit=(151, 200)).size == (400, 300)
    assert decode(data, max_pixels=MAX_PIXELS).size == (800, 600)


def test_scaled_decoding_changes_little() -> None:
    spec = PixelSpec(100, 100, "stretch", None, None)
    data = encoded(smooth(600, 800), "JPEG", quality=95)
    full = to_pixels(decode(data, max_pixels=MAX_PIXELS), spec)
    assert mean_difference(read_pixels(data, spec), full) < 1.5


@pytest.mark.parametrize("mode", ["stretch", "pad", "crop"])
def test_scaled_decoding_keeps_the_detail_the_target_needs(mode: str) -> None:
    spec = PixelSpec(96, 96, mode, None, None)  # type: ignore[arg-type]
    decoded = read_picture(encoded(smooth(400, 1600), "JPEG"), spec).image
    assert min(decoded.size) >= 96


@pytest.mark.parametrize("size", [(150, 200), (149, 201), (75, 100), (200, 200)])
def test_decoding_first_and_resizing_later_is_the_same_path(size: tuple[int, int]) -> None:
    data = encoded(smooth(*size), "JPEG")
    image = decode(data, max_pixels=MAX_PIXELS)
    spec = PixelSpec(160, 160, "stretch", 150, 200)
    assert (to_pixels(image, spec) == read_pixels(data, spec)).all()


# Hash and grey levels


@pytest.mark.parametrize("seed", range(25))
def test_perceptual_hash_is_the_one_of_imagehash(seed: int) -> None:
    image = smooth(150, 200, seed)
    assert perceptual_hash(image.convert("L")) == str(imagehash.phash(image))


def test_perceptual_hash_of_flat_pictures_is_fixed() -> None:
    hashes = {perceptual_hash(Image.new("L", (200, 150), level)) for level in range(1, 256)}
    assert hashes == {"8000000000000000"}


def test_perceptual_hash_survives_scaling_and_compression() -> None:
    image = smooth(300, 400)
    small = decode(encoded(image.resize((200, 150)), "JPEG", quality=60), max_pixels=MAX_PIXELS)
    distance = imagehash.hex_to_hash(perceptual_hash(image.convert("L"))) - imagehash.hex_to_hash(
        perceptual_hash(small.convert("L"))
    )
    assert distance <= 4


def test_grey_statistics_are_mean_and_standard_deviation() -> None:
    grey = smooth(75, 100).convert("L")
    statistics = grey_statistics(grey)
    assert statistics.brightness == pytest.approx(np.asarray(grey).mean(), rel=1e-12)
    assert statistics.contrast == pytest.approx(np.asarray(grey).std(), rel=1e-12)


def test_workers_import_nothing_heavy(root: Path) -> None:
    code = (
        "import sys, skin_lesion.data.decoding\n"
        "heavy = {'pandas', 'scipy', 'tensorflow', 'keras', 'mlflow', 'matplotlib'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == "[]"
