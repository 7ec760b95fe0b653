"""The pictures of a data set at a smaller size, made once and kept."""

import hashlib
import math
import os
import uuid
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from skin_lesion.data.image_array import ImageArray
from skin_lesion.disk import new_array, room_for
from skin_lesion.settings import UnfitError

_CHUNK = 64  # pictures in memory at a time


def resized(images: ImageArray, size: tuple[int, int], folder: Path) -> ImageArray:
    """All pictures at a smaller size, each pixel the mean over the area that it covers.

    The file is named after the checksum of the pictures and after the size. It appears whole or not
    at all, so that several trainings may want it at once; the last one to finish it wins, and all
    wrote the same.

    Args:
        images: The pictures.
        size: Height and width wanted, in pixels.
        folder: Where the file is kept, and found again.

    Raises:
        UnfitError: A side would grow.
        DiskFullError: There is no room for the copy.
    """
    count, height, width, channels = images.shape
    if size[0] > height or size[1] > width:
        raise UnfitError(
            f"pictures of {height}x{width} cannot be reduced to {size[0]}x{size[1]}; make the sizes "
            "smaller, or image_size larger"
        )
    shape = (count, *size, channels)
    path = folder / images.sha256 / f"{size[0]}x{size[1]}.npy"
    if not _is_whole(path, shape):
        what = f"the copy of the pictures at {size[0]} x {size[1]}"
        with room_for(what, folder, math.prod(shape)):
            _write(images, path, shape)
    with path.open("rb") as file:
        return ImageArray(path, shape, hashlib.file_digest(file, "sha256").hexdigest())


def _is_whole(path: Path, shape: tuple[int, int, int, int]) -> bool:
    if not path.is_file():
        return False
    try:
        ImageArray(path, shape, "").open()
    except (ValueError, EOFError):  # cut off or another array: made anew
        return False
    return True


def _write(images: ImageArray, path: Path, shape: tuple[int, int, int, int]) -> None:
    pixels = images.open()
    down = _coverage(pixels.shape[1], shape[1])
    across = _coverage(pixels.shape[2], shape[2])
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.stem}-{uuid.uuid4().hex}.partial")
    try:
        rows = new_array(partial, shape)
        for start in range(0, len(pixels), _CHUNK):
            chunk = pixels[start : start + _CHUNK].astype(np.float32)
            lower = np.tensordot(chunk, down, axes=(1, 1))  # (n, width, channels, new height)
            small = np.tensordot(lower, across, axes=(1, 1))  # (n, channels, new height, new width)
            rows[start : start + _CHUNK] = np.rint(small).transpose(0, 2, 3, 1)
        rows.flush()
        del rows
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _coverage(source: int, target: int) -> NDArray[np.float32]:
    """Share of each source pixel in the mean of each target pixel along one side.

    Returns:
        Shape (target, source); each row sums to 1. Pillow's box filter takes pixels whole or not at
        all, and so moves what it shrinks by up to half a pixel where sides do not divide.
    """
    scale = source / target
    start = np.arange(target)[:, None] * scale
    pixel = np.arange(source)[None, :]
    overlap = np.minimum(start + scale, pixel + 1) - np.maximum(start, pixel)
    shares: NDArray[np.float32] = (np.clip(overlap, 0.0, None) / scale).astype(np.float32)
    return shares
