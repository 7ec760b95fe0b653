"""What worker processes do with pictures: decode them into the array and describe them.

Kept apart from `ingest` so that a worker imports neither pandas nor anything else heavy.
"""

import contextlib
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from skin_lesion.data.archives import Entry, Reader
from skin_lesion.data.images import (
    ImageError,
    PixelSpec,
    grey_statistics,
    oriented_size,
    perceptual_hash,
    read_picture,
    resize,
)


@dataclass(frozen=True, slots=True)
class Limits:
    """What is accepted as a picture.

    Attributes:
        max_file_bytes: Largest encoded picture.
        max_pixels: Largest decoded picture.
    """

    max_file_bytes: int
    max_pixels: int


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a picture was put aside: a code and the particulars."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Decoded:
    """What is known of a picture whose pixels are written.

    Attributes:
        sha256: Checksum of the encoded file.
        phash: 64-bit perceptual hash, 16 hexadecimal digits.
        width: Width of the upright picture as encoded, in pixels.
        height: Height of it.
        brightness: Mean grey level, 0 to 255.
        contrast: Standard deviation of grey levels.
    """

    sha256: str
    phash: str
    width: int
    height: int
    brightness: float
    contrast: float


@dataclass(frozen=True, slots=True)
class RowFile:
    """Where rows of pixels go.

    Attributes:
        path: An `.npy` file of full length.
        offset: Bytes before the first row.
    """

    path: Path
    offset: int


@dataclass(frozen=True, slots=True)
class RowChunk:
    """Pictures of consecutive rows.

    Attributes:
        first_row: Row of the first one.
        entries: Where they lie.
    """

    first_row: int
    entries: Sequence[Entry]


def read_sizes(entries: Sequence[Entry], limits: Limits) -> list[tuple[int, int]]:
    """(height, width) of each picture whose header can be read."""
    sizes = []
    with Reader(limits.max_file_bytes) as reader:
        for entry in entries:
            with contextlib.suppress(ImageError, OSError):
                width, height = oriented_size(reader.read(entry), max_pixels=limits.max_pixels)
                sizes.append((height, width))
    return sizes


def decode_rows(
    chunk: RowChunk, spec: PixelSpec, limits: Limits, target: RowFile
) -> list[Decoded | Rejection]:
    """Decode pictures into consecutive rows of the array; the row of a broken one stays black."""
    row_bytes = spec.height * spec.width * 3
    results = []
    # Plain writes: mapped pages would fault one by one, and would kill the process on a full disk
    # instead of raising.
    with Reader(limits.max_file_bytes) as reader, open(target.path, "r+b", buffering=0) as file:
        for row, entry in enumerate(chunk.entries, start=chunk.first_row):
            result, pixels = _decode(entry, reader, spec, limits)
            file.seek(target.offset + row * row_bytes)
            while pixels:
                pixels = pixels[file.write(pixels) :]
            results.append(result)
    return results


def _decode(
    entry: Entry, reader: Reader, spec: PixelSpec, limits: Limits
) -> tuple[Decoded | Rejection, bytes]:
    """What is known of a picture, and its pixels; none where it was rejected."""
    try:
        data = reader.read(entry)
        picture = read_picture(data, spec, max_pixels=limits.max_pixels)
    except ImageError as error:
        return Rejection(error.reason, str(error)), b""
    except OSError as error:
        return Rejection("missing", f"the file cannot be opened: {error.strerror}"), b""
    grey = picture.image.convert("L")
    statistics = grey_statistics(grey)
    described = Decoded(
        sha256=hashlib.sha256(data).hexdigest(),
        phash=perceptual_hash(grey),
        width=picture.width,
        height=picture.height,
        brightness=statistics.brightness,
        contrast=statistics.contrast,
    )
    return described, resize(picture.image, spec).tobytes()
