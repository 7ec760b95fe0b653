"""All pictures of a data set as one memory-mapped `uint8` array on disk."""

import mmap
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class ImageArray:
    """A handle on one `.npy` file of shape (N, height, width, 3), RGB, `uint8`, 0 to 255.

    The handle holds no pixels, so passing it around costs nothing and memory does not grow with
    the number of images.

    Attributes:
        path: The file.
        shape: (N, height, width, 3).
        sha256: Checksum of the file, computed when it was written.
    """

    path: Path
    shape: tuple[int, int, int, int]
    sha256: str

    def __len__(self) -> int:
        return self.shape[0]

    def open(self) -> Pixels:
        """Map the file into memory, read-only.

        Raises:
            FileNotFoundError: The file is gone.
            ValueError: The file does not hold the recorded shape and type.
        """
        array = np.load(self.path, mmap_mode="r")
        if array.shape != self.shape or array.dtype != np.uint8:
            raise ValueError(
                f"{self.path} holds {array.dtype} {array.shape}; expected uint8 {self.shape}"
            )
        return cast(Pixels, array)

    def place_at(self, target: Path) -> "ImageArray":
        """Put the file at `target` by a hard link, or by a copy where linking is impossible.

        Nothing half-written is ever visible under the final name.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(target.name + ".partial")
        partial.unlink(missing_ok=True)
        try:
            os.link(self.path, partial)
        except OSError:
            shutil.copyfile(self.path, partial)
        os.replace(partial, target)
        return ImageArray(target, self.shape, self.sha256)


def copy_rows(pixels: Pixels, rows: NDArray[np.int64]) -> Pixels:
    """Copy pictures out of a mapped array, and give back the memory that reading them took.

    What was read of a mapped file counts as this process's memory from then on. Without giving it
    back, an epoch would end with the whole data set there, and a limit on memory, as a container
    has, would be for the size of the data set. The system still keeps the pages in its cache.

    Args:
        pixels: From `ImageArray.open`; one that is not mapped works too.
        rows: Row numbers, shape (n,).

    Returns:
        Shape (n, height, width, 3).
    """
    copied = np.asarray(pixels[rows])
    mapped = getattr(pixels, "_mmap", None)
    if isinstance(mapped, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):  # not on Windows
        mapped.madvise(mmap.MADV_DONTNEED)
    return copied
