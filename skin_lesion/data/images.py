"""Decode, orient and resize pictures: the one path that training, the app and batches share.

Worker processes import this module, so it imports nothing that is slow to start.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from skin_lesion.data.dicom import is_dicom, open_dicom
from skin_lesion.data.formats import FORMATS, Encoded, ImageError, Reason, open_encoded

if TYPE_CHECKING:
    from skin_lesion.settings import ResizeMode

__all__ = [
    "FORMATS",
    "GreyStatistics",
    "ImageError",
    "Picture",
    "PixelSpec",
    "Pixels",
    "Reason",
    "decode",
    "grey_statistics",
    "oriented_size",
    "perceptual_hash",
    "read_picture",
    "read_pixels",
    "resize",
    "to_pixels",
]

Pixels = NDArray[np.uint8]

# Below this ratio to the training source a picture is not "much larger" and is left alone: an area
# filter at a ratio just above 1 would blur without need.
_MUCH_LARGER = 1.5
# libjpeg may decode at a fraction of the size as long as this many times the target is left.
_SCALED_DECODING_MARGIN = 1.25

_HASH_SIDE = 8
_HASH_PICTURE_SIDE = 32


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
        several_frames: Whether the file holds more than this frame, its first.
    """

    image: Image.Image
    width: int
    height: int
    several_frames: bool = False


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
    encoded = _open(data, max_pixels)
    return encoded.width, encoded.height


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
    return _open(data, max_pixels).decode(limit)


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
    size = (encoded.width, encoded.height)
    decoded = encoded.decode(_decoding_limit(size, spec))
    return Picture(_reduce(decoded, spec), *size, encoded.several_frames)


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


def _open(data: bytes, max_pixels: int) -> Encoded:
    """Read a picture's header and refuse what must not be decoded."""
    return (open_dicom if is_dicom(data) else open_encoded)(data, max_pixels)


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
