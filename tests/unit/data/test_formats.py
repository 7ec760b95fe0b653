"""Which files are read, in which colours and which way up, and which are refused."""

import io
import logging
import pickle
import random
import struct
import zlib

import numpy as np
import pytest
from PIL import ExifTags, Image

from skin_lesion.data.images import ImageError, decode, oriented_size, read_picture, read_pixels
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
