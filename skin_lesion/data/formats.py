"""Decode JPEG, PNG, BMP, TIFF and WebP to upright RGB; DICOM has a module of its own.

Decided on purpose: the first frame of an animation or of several pages counts; transparency shows
white, as a viewer shows it; grey of 16 bits is scaled, not clipped; CMYK and palettes are
converted; colour profiles are ignored, in training as in serving.
"""

from __future__ import annotations

import functools
import io
import logging
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

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
# What ends every PNG: a chunk without content and its checksum.
_PNG_END = b"IEND\xaeB`\x82"
# Modes whose conversion to RGB by Pillow is exact enough; 16 bits and transparency need care.
_PLAIN_MODES = frozenset({"1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr", "HSV"})
_SIXTEEN_BIT_MODES = frozenset({"I;16", "I;16L", "I;16B", "I;16N"})
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


class ImageError(ValueError):
    """A picture that cannot be used.

    Its message repeats no text of the file, only sizes and codes: pictures of patients carry names.

    Attributes:
        reason: Machine-readable code, one of `Reason`.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason: Reason = reason

    def __reduce__(self) -> tuple[type[ImageError], tuple[Reason, str]]:
        return ImageError, (self.reason, str(self))


@dataclass(frozen=True)
class Encoded:
    """A picture whose header was read and found acceptable.

    Attributes:
        width: Width of the upright picture in pixels.
        height: Height of it.
        several_frames: Whether the file holds more than the frame that counts, the first.
        decode: Gives the frame as an upright RGB picture. Takes (height, width) that it has to
            keep: where that is cheaper it may come out at a half, quarter or eighth of its size, as
            long as both sides stay at least this long; None keeps all. Raises `ImageError`.
    """

    width: int
    height: int
    several_frames: bool
    decode: Callable[[tuple[int, int] | None], Image.Image]


def open_encoded(data: bytes, max_pixels: int) -> Encoded:
    """Read a picture's header and refuse what must not be decoded.

    Args:
        data: Contents of a file.
        max_pixels: A picture that declares more is refused.

    Raises:
        ImageError: The header cannot be read, or it declares no or too many pixels.
    """
    if not data:
        raise ImageError("empty", "the file holds no bytes")
    _keep_values_out_of_logs()
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError("bomb", f"{error}; at most {max_pixels} are accepted") from error
    except UnidentifiedImageError as error:
        raise _unidentified(data) from error
    except (OSError, SyntaxError, ValueError, struct.error) as error:
        raise _broken("the header is broken", error) from error
    refuse_bomb(*image.size, max_pixels)
    if _is_cut(image.format, data):
        raise ImageError("truncated", f"the end of the {image.format} file is missing")
    orientation = _orientation(image)
    width, height = image.size if orientation not in _TRANSPOSED else image.size[::-1]
    # A phone's JPEG may hold a depth or brightness map beside the picture: no second frame.
    several = image.format != "MPO" and bool(getattr(image, "is_animated", False))
    return Encoded(width, height, several, lambda limit: _decode(image, orientation, limit))


def refuse_bomb(width: int, height: int, max_pixels: int) -> None:
    """Refuse to decode a picture that declares too many pixels.

    Raises:
        ImageError: It does.
    """
    if width * height > max_pixels:
        raise ImageError(
            "bomb",
            f"the picture declares {width} x {height} pixels; at most {max_pixels} are accepted",
        )


@functools.cache
def _keep_values_out_of_logs() -> None:
    """Pillow writes the values of tags, such as a photographer's name, to the log for debugging."""
    logging.getLogger("PIL").setLevel(logging.INFO)


def _is_cut(file_format: str | None, data: bytes) -> bool:
    """Whether the end is missing, in formats that Pillow decodes without looking for it."""
    if file_format == "PNG":
        return _PNG_END not in data
    return file_format == "BMP" and int.from_bytes(data[2:6], "little") > len(data)


def _unidentified(data: bytes) -> ImageError:
    """Tell a broken or empty picture from a file that never was one."""
    if not data.startswith(_SIGNATURES):
        return ImageError(
            "unsupported_format",
            f"the first bytes are of no format that is read: {', '.join(FORMATS)}, DICOM",
        )
    for pattern in _DECLARED_SIZES:
        declared = pattern.match(data)
        if declared and not all(any(side) for side in declared.groups()):
            return ImageError("zero_size", "the header declares a picture without pixels")
    return ImageError("unreadable", "the header is broken")


def _broken(what: str, error: Exception) -> ImageError:
    reason: Reason = "truncated" if "truncated" in str(error).lower() else "unreadable"
    return ImageError(reason, f"{what}: {error}")


def _decode(image: Image.Image, orientation: int, limit: tuple[int, int] | None) -> Image.Image:
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
