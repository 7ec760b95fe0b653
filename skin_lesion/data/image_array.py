"""All pictures of a data set as one memory-mapped `uint8` array on disk."""

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
