"""Decode, orient and resize pictures: the one path that training, the app and batches share.

Worker processes import this module, so it imports nothing that is slow to start.
"""

from __future__ import annotations

import functools
import io
import math
import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

if TYPE_CHECKING:
    from skin_lesion.settings import ResizeMode

Pixels = NDArray[np.uint8]
Reason = Literal[
    "unreadable", "truncated", "too_large", "bomb", "unsupported_format", "empty", "zero_size"
]

FORMATS: tuple[str, ...] = ("JPEG", "PNG", "BMP", "TIFF", "WEBP")
# The first bytes of those formats tell a broken picture from a file that never was one.
_SIGNATURES = (b"\xff\xd8", b"\x89PNG", b"BM", b"II*\0", b"MM\0*", b"RIFF")
# Where their headers declare the two sides; read only once Pillow has given up.
_DECLARED_SIZES = (
    re.compile(rb"\x89PNG.{12}(.{4})(.{4})", re.DOTALL),
    re.compile(rb"BM.{16}(.{4})(.{4})", re.DOTALL),
    re.compile(rb"\xff\xd8.*?\xff[\xc0-\xc2]..\x08(..)(..)", re.DOTALL),
)
# Modes whose conversion to RGB by Pillow is exact enough; 16 bits and transparency need care.
_PLAIN_MODES = frozenset({"1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr", "HSV"})
_SIXTEEN_BIT_MODES = frozenset({"I;16", "I;16L", "I;16B", "I;16N"})
# Below this ratio to the training source a picture is not "much larger" and is left alone: an area
# filter at a ratio just above 1 would blur without need.
_MUCH_LARGER = 1.5
# libjpeg may decode at a fraction of the size as long as this many times the target is left.
_SCALED_DECODING_MARGIN = 1.25
# A quarter turn swaps width and height under these EXIF orientations.
_TRANSPOSED = frozenset({5, 6, 7, 8})
# What makes a picture upright, by EXIF orientation.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_EXIF_KEYS = frozenset({"exif", "xmp", "Raw profile type exif", "XML:com.adobe.xmp"})

_HASH_SIDE = 8
_HASH_PICTURE_SIDE = 32


class ImageError(ValueError):
    """A picture that cannot be used.

    Attributes:
        reason: Machine-readable code, one of `Reason`.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason: Reason = reason

    def __reduce__(self) -> tuple[type[ImageError], tuple[Reason, str]]:
        return ImageError, (self.reason, str(self))


@dataclass(frozen=True)
class PixelSpec:
    """How a picture becomes the model's input.

    Attributes:
        height: Height of the result in pixels.
        width: Width of the result in pixels.
        resize_mode: `stretch`, `pad` (black borders) or `crop` (largest centred region).
        source_height: Median height of the training pictures; None skips the reduction.
        source_width: Median width of the training pictures; None skips the reduction.
    """

    height: int
    width: int
    resize_mode: ResizeMode
    source_height: int | None
    source_width: int | None


@dataclass(frozen=True)
class Picture:
    """A decoded picture, ready to be resized.

    Attributes:
        image: RGB, upright, no larger than the training source calls for.
        width: Width of the upright picture as encoded, in pixels.
        height: Height of it.
    """

    image: Image.Image
    width: int
    height: int


@dataclass(frozen=True)
class GreyStatistics:
    """Grey levels of a picture.

    Attributes:
        brightness: Mean, 0 to 255.
        contrast: Standard deviation, 0 to 127.5.
    """

    brightness: float
    contrast: float


def oriented_size(data: bytes, *, max_pixels: int) -> tuple[int, int]:
    """Width and height of an encoded picture as a viewer shows it, from its header alone.

    Raises:
        ImageError: The header cannot be read, or it declares no or too many pixels.
    """
    return _oriented_size(_open(data, max_pixels))


def decode(data: bytes, *, max_pixels: int, limit: tuple[int, int] | None = None) -> Image.Image:
    """Decode a picture to RGB, upright.

    Args:
        data: Encoded picture.
        max_pixels: A picture that declares more is refused before it is decoded.
        limit: (height, width). A JPEG may come out at a half, quarter or eighth of its size as
            long as both sides stay at least this long; None decodes at full size.

    Raises:
        ImageError: The picture cannot be used; `reason` tells why.
    """
    return _decode(_open(data, max_pixels), limit)


def to_pixels(image: Image.Image, spec: PixelSpec) -> Pixels:
    """Reduce and resize a decoded RGB picture to uint8 (height, width, 3), 0 to 255."""
    return np.asarray(resize(_reduce(image, spec), spec))


def read_picture(data: bytes, spec: PixelSpec, *, max_pixels: int | None = None) -> Picture:
    """Decode a picture to RGB, upright and no larger than the training source calls for.

    Args:
        data: Encoded picture.
        spec: What it is read for.
        max_pixels: A picture that declares more is refused; None takes the default of ingestion.

    Raises:
        ImageError: The picture cannot be used; `reason` tells why.
    """
    encoded = _open(data, _default_max_pixels() if max_pixels is None else max_pixels)
    width, height = _oriented_size(encoded)
    decoded = _decode(encoded, _decoding_limit((width, height), spec))
    return Picture(_reduce(decoded, spec), width, height)


def read_pixels(data: bytes, spec: PixelSpec, *, max_pixels: int | None = None) -> Pixels:
    """Turn an encoded picture into the model's input: uint8 (height, width, 3), RGB, 0 to 255.

    Args:
        data: Encoded picture.
        spec: What it is read for.
        max_pixels: A picture that declares more is refused; None takes the default of ingestion.

    Raises:
        ImageError: The picture cannot be used; `reason` tells why.
    """
    return np.asarray(resize(read_picture(data, spec, max_pixels=max_pixels).image, spec))


def resize(image: Image.Image, spec: PixelSpec) -> Image.Image:
    """Resize an RGB picture that was reduced already to the size of the model's input."""
    target = (spec.width, spec.height)
    if spec.resize_mode == "crop":
        return ImageOps.fit(image, target, Image.Resampling.BILINEAR)
    if spec.resize_mode == "pad":
        return ImageOps.pad(image, target, Image.Resampling.BILINEAR, color=(0, 0, 0))
    return image.resize(target, Image.Resampling.BILINEAR)


def grey_statistics(grey: Image.Image) -> GreyStatistics:
    """Mean and standard deviation of a picture of mode `L`, from exact integer counts."""
    counts = np.array(grey.histogram(), dtype=np.int64)
    total, first, second = (int(counts @ powers) for powers in _level_powers())
    variance = (total * second - first * first) / (total * total)
    return GreyStatistics(first / total, math.sqrt(variance))


def perceptual_hash(grey: Image.Image) -> str:
    """64-bit pHash of a picture of mode `L` as 16 hexadecimal digits.

    The lowest 8 x 8 coefficients of the discrete cosine transform of the 32 x 32 thumbnail are
    compared with their median, row by row, most significant bit first, as `imagehash.phash` does.
    Rounding keeps flat pictures, whose coefficients are all numerical noise, at one fixed value.
    """
    thumbnail = grey.resize((_HASH_PICTURE_SIDE, _HASH_PICTURE_SIDE), Image.Resampling.LANCZOS)
    basis = _cosine_basis()
    coefficients = np.round(basis @ np.asarray(thumbnail, dtype=np.float64) @ basis.T, 6)
    middle = np.sort(coefficients, axis=None)[_HASH_SIDE**2 // 2 - 1 :][:2]
    return np.packbits(coefficients > middle.sum() / 2).tobytes().hex()


@functools.cache
def _default_max_pixels() -> int:
    from skin_lesion.settings import IngestConfig

    return IngestConfig().max_pixels


@functools.cache
def _level_powers() -> NDArray[np.int64]:
    """Powers 0, 1 and 2 of the grey levels, shape (3, 256)."""
    return np.arange(256, dtype=np.int64) ** np.arange(3)[:, None]


@functools.cache
def _cosine_basis() -> NDArray[np.float64]:
    frequency = np.arange(_HASH_SIDE)[:, None]
    sample = np.arange(_HASH_PICTURE_SIDE)[None, :]
    return 2.0 * np.cos(np.pi * frequency * (2 * sample + 1) / (2 * _HASH_PICTURE_SIDE))


def _open(data: bytes, max_pixels: int) -> Image.Image:
    """Read a picture's header and refuse what must not be decoded."""
    if not data:
        raise ImageError("empty", "the file holds no bytes")
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError("bomb", f"{error}; at most {max_pixels} are accepted") from error
    except UnidentifiedImageError as error:
        raise _unidentified(data) from error
    except (OSError, SyntaxError, ValueError, struct.error) as error:
        raise _broken("the header is broken", error) from error
    width, height = image.size
    if width * height > max_pixels:
        raise ImageError(
            "bomb",
            f"the picture declares {width} x {height} pixels; at most {max_pixels} are accepted",
        )
    return image


def _unidentified(data: bytes) -> ImageError:
    """Tell a broken or empty picture from a file that never was one."""
    if not data.startswith(_SIGNATURES):
        return ImageError(
            "unsupported_format", f"expected one of {', '.join(FORMATS)}; got {data[:8]!r}..."
        )
    for pattern in _DECLARED_SIZES:
        declared = pattern.match(data)
        if declared and not all(any(side) for side in declared.groups()):
            return ImageError("zero_size", "the header declares a picture without pixels")
    return ImageError("unreadable", "the header is broken")


def _broken(what: str, error: Exception) -> ImageError:
    reason: Reason = "truncated" if "truncated" in str(error).lower() else "unreadable"
    return ImageError(reason, f"{what}: {error}")


def _decode(image: Image.Image, limit: tuple[int, int] | None) -> Image.Image:
    orientation = _orientation(image)
    if limit is not None:
        height, width = limit
        # Only JPEG decodes at a fraction; other formats ignore the draft.
        image.draft(None, (height, width) if orientation in _TRANSPOSED else (width, height))
    try:
        image.load()
        rgb = _to_rgb(image)
    except ImageError:
        raise
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error) as error:
        raise _broken("decoding failed", error) from error
    return rgb.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else rgb


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in _SIXTEEN_BIT_MODES or image.mode == "I":
        # Pillow clips 16-bit greys at 255 instead of scaling them.
        levels = np.asarray(image).astype(np.int64)
        if levels.min() < 0 or levels.max() > 65535:
            raise ImageError(
                "unsupported_format", "grey levels lie outside 0 to 65535, the range of 16 bits"
            )
        return Image.fromarray(((levels + 128) // 257).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        # Colours below full transparency are arbitrary: show what a viewer shows, on white.
        layered = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layered.size, "white"), layered).convert(
            "RGB"
        )
    if image.mode == "RGB":
        return image
    if image.mode in _PLAIN_MODES:
        return image.convert("RGB")
    raise ImageError("unsupported_format", f"pictures of mode {image.mode} are not supported")


def _orientation(image: Image.Image) -> int:
    """How the picture still has to be turned: an EXIF orientation, 1 where it need not be."""
    # Pillow turns TIFF by itself. Parsing EXIF costs as much as the rest of the header: look only
    # where there is some.
    if image.format == "TIFF" or not _EXIF_KEYS & image.info.keys():
        return 1
    try:
        value = image.getexif().get(ExifTags.Base.Orientation)
    except (SyntaxError, ValueError, KeyError, OSError, struct.error):
        return 1
    return value if value in _UPRIGHT else 1


def _oriented_size(image: Image.Image) -> tuple[int, int]:
    width, height = image.size
    return (height, width) if _orientation(image) in _TRANSPOSED else (width, height)


def _reduced_size(size: tuple[int, int], spec: PixelSpec) -> tuple[int, int]:
    """Size after the reduction to the training source, whichever way round the picture lies."""
    if spec.source_height is None or spec.source_width is None:
        return size
    source_short, source_long = sorted((spec.source_height, spec.source_width))
    short, long = sorted(size)
    # The smaller ratio: a reduced picture still has at least the source's detail on both axes.
    scale = min(short / source_short, long / source_long)
    if scale < _MUCH_LARGER:
        return size
    width, height = size
    return max(1, round(width / scale)), max(1, round(height / scale))


def _reduce(image: Image.Image, spec: PixelSpec) -> Image.Image:
    size = _reduced_size(image.size, spec)
    return image if size == image.size else image.resize(size, Image.Resampling.BOX)


def _decoding_limit(size: tuple[int, int], spec: PixelSpec) -> tuple[int, int]:
    """(height, width) that decoding has to keep of a picture of `size`, (width, height)."""
    width, height = size
    reduced_width, reduced_height = _reduced_size(size, spec)
    scale = _SCALED_DECODING_MARGIN * max(spec.width / width, spec.height / height)
    return min(reduced_height, math.ceil(height * scale)), min(
        reduced_width, math.ceil(width * scale)
    )
