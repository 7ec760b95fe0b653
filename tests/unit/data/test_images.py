"""The one path from bytes to pixels."""

import io
import logging
import pickle
import random
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import imagehash
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ExifTags, Image

from skin_lesion.data.images import (
    ImageError,
    PixelSpec,
    decode,
    grey_statistics,
    oriented_size,
    perceptual_hash,
    read_picture,
    read_pixels,
    to_pixels,
)

MAX_PIXELS = 1_000_000
SPEC = PixelSpec(60, 80, "stretch", 150, 200)
RED, GREEN, BLUE, GREY = (220, 20, 30), (20, 200, 40), (30, 40, 210), (128, 128, 128)


def encoded(image: Image.Image, file_format: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def smooth(height: int, width: int, seed: int = 0) -> Image.Image:
    """A soft random picture, the same scene at every size."""
    knots = np.random.default_rng(seed).integers(0, 256, (7, 9, 3), dtype=np.uint8)
    return Image.fromarray(knots).resize((width, height), Image.Resampling.BICUBIC)


def quadrants(height: int = 48, width: int = 64) -> Image.Image:
    """Four corners that tell apart every turn and every mirror image."""
    pixels = np.zeros((height, width, 3), np.uint8)
    top, left = slice(0, height // 2), slice(0, width // 2)
    bottom, right = slice(height // 2, None), slice(width // 2, None)
    pixels[top, left], pixels[top, right] = RED, GREEN
    pixels[bottom, left], pixels[bottom, right] = BLUE, GREY
    return Image.fromarray(pixels)


def mean_difference(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    return float(np.abs(a.astype(float) - b.astype(float)).mean())


def png_header(width: int, height: int) -> bytes:
    """A PNG that declares a size and holds no pixels to speak of."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def reason_of(data: bytes, max_pixels: int = MAX_PIXELS) -> str:
    with pytest.raises(ImageError) as caught:
        read_pixels(data, SPEC, max_pixels=max_pixels)
    return caught.value.reason


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


# Colour modes


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_png_modes_become_rgb(mode: str) -> None:
    source = Image.new("L", (20, 10), 255).convert(mode)
    assert (np.asarray(decode(encoded(source), max_pixels=MAX_PIXELS)) == 255).all()


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK", "YCbCr"])
def test_jpeg_modes_keep_their_colours(mode: str) -> None:
    grey = Image.new("RGB", (32, 32), GREY)
    data = encoded(grey.convert(mode), "JPEG", quality=95)
    assert np.abs(np.asarray(decode(data, max_pixels=MAX_PIXELS)).astype(int) - 128).max() <= 3


def test_cmyk_is_not_inverted() -> None:
    data = encoded(Image.new("RGB", (32, 32), RED).convert("CMYK"), "JPEG", quality=95)
    colour = np.asarray(decode(data, max_pixels=MAX_PIXELS)).mean(axis=(0, 1))
    assert np.abs(colour - RED).max() < 6


def test_palette_colours_are_looked_up() -> None:
    data = encoded(quadrants().quantize(8))
    assert (
        mean_difference(np.asarray(decode(data, max_pixels=MAX_PIXELS)), np.asarray(quadrants()))
        < 1
    )


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "RGB"])
def test_transparent_pixels_show_white_and_not_the_colour_below(mode: str) -> None:
    hidden = Image.new("RGBA", (20, 10), (0, 0, 0, 0))
    options: dict[str, object] = {}
    if mode == "P":
        hidden, options = Image.new("P", (20, 10), 0), {"transparency": 0}
    elif mode == "RGB":
        hidden, options = Image.new("RGB", (20, 10), (9, 9, 9)), {"transparency": (9, 9, 9)}
    elif mode == "LA":
        hidden = hidden.convert("LA")
    assert (np.asarray(decode(encoded(hidden, **options), max_pixels=MAX_PIXELS)) == 255).all()


def test_opaque_alpha_changes_nothing() -> None:
    data = encoded(quadrants().convert("RGBA"))
    assert (np.asarray(decode(data, max_pixels=MAX_PIXELS)) == np.asarray(quadrants())).all()


def test_half_transparency_is_blended_with_white() -> None:
    data = encoded(Image.new("RGBA", (8, 8), (0, 0, 0, 128)))
    assert np.abs(np.asarray(decode(data, max_pixels=MAX_PIXELS)).astype(int) - 127).max() <= 1


@pytest.mark.parametrize(("level", "expected"), [(0, 0), (257, 1), (32896, 128), (65535, 255)])
@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_and_not_clipped(
    level: int, expected: int, file_format: str
) -> None:
    deep = Image.fromarray(np.full((10, 12), level, np.uint16))
    assert (np.asarray(decode(encoded(deep, file_format), max_pixels=MAX_PIXELS)) == expected).all()


def test_floating_point_pictures_are_refused() -> None:
    data = encoded(Image.fromarray(np.zeros((8, 8), np.float32)), "TIFF")
    assert reason_of(data) == "unsupported_format"


# Orientation

INVERSE = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def stored_turned(upright: Image.Image, orientation: int, file_format: str) -> bytes:
    """What a camera held this way writes."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    inverse = INVERSE[orientation]
    stored = upright if inverse is None else upright.transpose(inverse)
    options: dict[str, object] = {"exif": exif}
    if file_format == "JPEG":
        options |= {"quality": 95, "subsampling": 0}
    elif file_format == "TIFF deflated":
        file_format, options = "TIFF", {"exif": exif, "compression": "tiff_deflate"}
    return encoded(stored, file_format, **options)


@pytest.mark.parametrize("orientation", INVERSE)
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "TIFF", "TIFF deflated", "WEBP"])
def test_exif_orientation_is_applied(orientation: int, file_format: str) -> None:
    data = stored_turned(quadrants(), orientation, file_format)
    upright = decode(data, max_pixels=MAX_PIXELS)
    assert upright.size == (64, 48)
    assert mean_difference(np.asarray(upright), np.asarray(quadrants())) < 4
    assert oriented_size(data, max_pixels=MAX_PIXELS) == (64, 48)


@pytest.mark.parametrize("orientation", INVERSE)
def test_orientation_and_scaled_decoding_go_together(orientation: int) -> None:
    upright = smooth(600, 800)
    turned = stored_turned(upright, orientation, "JPEG")
    assert mean_difference(read_pixels(turned, SPEC), read_pixels(encoded(upright), SPEC)) < 2


@pytest.mark.parametrize("value", [0, 9, 4711])
def test_meaningless_orientation_is_ignored(value: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = value
    data = encoded(quadrants(), "JPEG", exif=exif)
    assert decode(data, max_pixels=MAX_PIXELS).size == (64, 48)


def test_broken_exif_does_not_cost_the_picture() -> None:
    data = encoded(quadrants(), "JPEG", exif=b"Exif\x00\x00garbage that is no TIFF")
    assert decode(data, max_pixels=MAX_PIXELS).size == (64, 48)


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


# What cannot be read


def test_reasons_of_refusal() -> None:
    jpeg = encoded(smooth(90, 120), "JPEG")
    assert reason_of(b"") == "empty"
    assert reason_of(b"<html>not found</html>") == "unsupported_format"
    assert reason_of(encoded(smooth(9, 12), "GIF")) == "unsupported_format"
    assert reason_of(b"%PDF-1.7 ...") == "unsupported_format"
    assert reason_of(jpeg[: len(jpeg) // 2]) == "truncated"
    assert reason_of(jpeg[:200]) == "truncated"
    assert reason_of(b"\xff\xd8\xff" + bytes(100)) == "unreadable"
    assert reason_of(png_header(0, 10)) == "zero_size"
    bitmap = encoded(smooth(9, 12), "BMP")
    assert reason_of(bitmap[:18] + bytes(4) + bitmap[22:]) == "zero_size"


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "TIFF", "WEBP", "BMP"])
def test_a_cut_file_is_refused_in_every_format(file_format: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), file_format)
    assert reason_of(data[: int(len(data) * share)]) in {"truncated", "unreadable"}


@pytest.mark.parametrize("file_format", ["PNG", "BMP", "TIFF"])
def test_a_missing_end_is_found_where_all_pixels_are_there(file_format: str) -> None:
    data = encoded(Image.fromarray(np.zeros((9, 13, 3), np.uint8)), file_format)
    for cut in range(1, 25):
        assert reason_of(data[:-cut]) in {"truncated", "unreadable"}
    assert read_pixels(data + b"more", SPEC).shape == (60, 80, 3)


def test_no_message_repeats_the_first_bytes_of_a_file() -> None:
    with pytest.raises(ImageError) as caught:
        decode(b"DOE;JOHN;1950", max_pixels=MAX_PIXELS)
    assert "DOE" not in str(caught.value)


def test_names_in_a_picture_do_not_reach_the_log(caplog: pytest.LogCaptureFixture) -> None:
    tags = Image.Exif()
    tags[ExifTags.Base.Artist] = "DOE, JOHN"
    buffer = io.BytesIO()
    smooth(20, 30).save(buffer, "TIFF", exif=tags)
    with caplog.at_level(logging.DEBUG):
        decode(buffer.getvalue(), max_pixels=MAX_PIXELS)
    assert b"DOE" in buffer.getvalue()
    assert "DOE" not in caplog.text


def test_the_first_frame_counts_and_it_is_said_that_there_are_more() -> None:
    frames = [Image.new("RGB", (20, 15), colour) for colour in ("red", "blue")]
    for file_format in ("PNG", "WEBP", "TIFF"):
        one = encoded(frames[0], file_format)
        both = encoded(frames[0], file_format, save_all=True, append_images=frames[1:])
        assert not read_picture(one, SPEC).several_frames
        picture = read_picture(both, SPEC)
        assert picture.several_frames
        assert np.abs(np.asarray(picture.image).mean((0, 1)) - (255, 0, 0)).max() < 3


@pytest.mark.parametrize(("width", "height"), [(1001, 1000), (50_000, 50_000), (2_000_000, 1)])
def test_a_bomb_is_refused_before_it_is_decoded(width: int, height: int) -> None:
    assert reason_of(png_header(width, height)) == "bomb"


def test_the_limit_on_pixels_is_the_last_size_accepted() -> None:
    data = encoded(Image.new("RGB", (40, 30)))
    assert read_pixels(data, SPEC, max_pixels=1200).shape == (60, 80, 3)
    assert reason_of(data, max_pixels=1199) == "bomb"


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_damaged_bytes_never_raise_anything_but_image_error() -> None:
    dice = random.Random(0)
    seeds = [
        encoded(smooth(24, 31), "JPEG"),
        stored_turned(smooth(24, 31), 6, "JPEG"),
        stored_turned(smooth(24, 31), 8, "PNG"),
        encoded(smooth(24, 31), "BMP"),
        encoded(smooth(24, 31), "TIFF"),
        encoded(smooth(24, 31), "WEBP"),
    ]
    outcomes = set()
    for _ in range(1500):
        data = bytearray(dice.choice(seeds))
        for _ in range(dice.choice((1, 2, 5))):
            data[dice.randrange(min(len(data), 400))] = dice.randrange(256)
        try:
            read_pixels(bytes(data), SPEC, max_pixels=MAX_PIXELS)
            outcomes.add("ok")
        except ImageError as error:
            outcomes.add(error.reason)
    assert {"ok", "unreadable", "unsupported_format"} <= outcomes


def test_messages_hold_no_memory_addresses() -> None:
    """The same file gives the same quarantine row every time."""
    with pytest.raises(ImageError) as caught:
        decode(b"\xff\xd8\xff" + bytes(100), max_pixels=MAX_PIXELS)
    assert "0x" not in str(caught.value)


def test_errors_travel_between_processes() -> None:
    error = pickle.loads(pickle.dumps(ImageError("bomb", "too many pixels")))
    assert (error.reason, str(error)) == ("bomb", "too many pixels")


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
