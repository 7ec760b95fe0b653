"""What worker processes do with pictures: look at them first, then decode them into the array.

Kept apart from `ingest` so that a worker imports neither pandas nor anything else heavy.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from skin_lesion.data.archives import Entry, Reader
from skin_lesion.data.images import (
    ImageError,
    Pixels,
    PixelSpec,
    fit,
    grey_statistics,
    oriented_size,
    perceptual_hash,
    read_picture,
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
class Survey:
    """What is known of a picture before it is decoded.

    Attributes:
        sha256: Checksum of the encoded file.
        width: Width of the upright picture in pixels.
        height: Height of the upright picture in pixels.
    """

    sha256: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Decoded:
    """What is known of a picture after its pixels are written.

    Attributes:
        phash: 64-bit perceptual hash, 16 hexadecimal digits.
        brightness: Mean grey level, 0 to 255.
        contrast: Standard deviation of grey levels.
    """

    phash: str
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


def survey(entries: Sequence[Entry], limits: Limits) -> list[Survey | Rejection]:
    """Checksum and size of each picture, without decoding any."""
    with Reader(limits.max_file_bytes) as reader:
        return [_survey(entry, reader, limits) for entry in entries]


def _survey(entry: Entry, reader: Reader, limits: Limits) -> Survey | Rejection:
    try:
        data = reader.read(entry)
        width, height = oriented_size(data, max_pixels=limits.max_pixels)
    except ImageError as error:
        return Rejection(error.reason, str(error))
    except OSError as error:
        return Rejection("missing", f"the file cannot be opened: {error.strerror}")
    return Survey(hashlib.sha256(data).hexdigest(), width, height)


def decode_rows(
    chunk: RowChunk, spec: PixelSpec, limits: Limits, target: RowFile
) -> list[Decoded | Rejection]:
    """Decode pictures into consecutive rows of the array; the row of a broken one stays black."""
    rows = np.zeros((len(chunk.entries), spec.height, spec.width, 3), np.uint8)
    with Reader(limits.max_file_bytes) as reader:
        results = [
            _decode(entry, row, reader, spec, limits)
            for entry, row in zip(chunk.entries, rows, strict=True)
        ]
    # One write a chunk: a mapped page would fault once for every 4 KiB, and would kill the process
    # on a full disk instead of raising.
    with open(target.path, "r+b", buffering=0) as file:
        file.seek(target.offset + chunk.first_row * rows[0].nbytes)
        remaining = rows.data.cast("B")
        while remaining:
            remaining = remaining[file.write(remaining) :]
    return results


def _decode(
    entry: Entry, row: Pixels, reader: Reader, spec: PixelSpec, limits: Limits
) -> Decoded | Rejection:
    try:
        picture = read_picture(reader.read(entry), spec, max_pixels=limits.max_pixels)
    except ImageError as error:
        return Rejection(error.reason, str(error))
    except OSError as error:
        return Rejection("missing", f"the file cannot be opened: {error.strerror}")
    row[...] = fit(picture, spec)
    grey = picture.convert("L")
    statistics = grey_statistics(grey)
    return Decoded(perceptual_hash(grey), statistics.brightness, statistics.contrast)
