"""The pictures of a data set at a smaller size, made once and kept."""

import hashlib
import os
import uuid
from pathlib import Path

import numpy as np
from PIL import Image

from skin_lesion.data.image_array import ImageArray


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
        ValueError: A side would grow.
    """
    count, height, width, channels = images.shape
    if size[0] > height or size[1] > width:
        raise ValueError(
            f"pictures of {height}x{width} cannot be reduced to {size[0]}x{size[1]}; make the sizes "
            "smaller, or image_size larger"
        )
    shape = (count, *size, channels)
    path = folder / images.sha256 / f"{size[0]}x{size[1]}.npy"
    if not _is_whole(path, shape):
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
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.stem}-{uuid.uuid4().hex}.partial")
    try:
        rows = np.lib.format.open_memmap(partial, "w+", np.uint8, shape)
        for row, picture in enumerate(pixels):
            image = Image.fromarray(picture)
            rows[row] = np.asarray(image.resize((shape[2], shape[1]), Image.Resampling.BOX))
        rows.flush()
        del rows
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
