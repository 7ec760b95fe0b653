"""Pictures are read from a mapped file without that the file ends up in this process's memory."""

import sys
from pathlib import Path

import numpy as np
import pytest

from skin_lesion.data.image_array import ImageArray, copy_rows
from skin_lesion.memory import host_memory


@pytest.fixture
def images(tmp_path: Path) -> ImageArray:
    """A hundred MiB of pictures, each of one grey value."""
    path, shape = tmp_path / "images.npy", (1024, 128, 256, 3)
    array = np.lib.format.open_memmap(path, "w+", np.uint8, shape)
    array[:] = (np.arange(1024) % 256)[:, None, None, None]
    array.flush()
    del array
    return ImageArray(path, shape, "0" * 64)


def test_rows_are_copied_in_the_order_asked_for(images: ImageArray) -> None:
    pixels = images.open()
    rows = np.array([700, 3, 3, 1023])
    copied = copy_rows(pixels, rows)
    assert copied.shape == (4, 128, 256, 3)
    assert copied[:, 0, 0, 0].tolist() == [700 % 256, 3, 3, 1023 % 256]
    copied[:] = 0  # a copy: the file is read-only
    assert pixels[700, 0, 0, 0] == 700 % 256


@pytest.mark.skipif(sys.platform == "win32", reason="has no madvise")
def test_memory_does_not_grow_with_what_was_read(images: ImageArray) -> None:
    pixels = images.open()
    before = host_memory()["host_gib"]
    for start in range(0, len(images), 32):
        copy_rows(pixels, np.arange(start, start + 32))
    given_back = host_memory()["host_gib"] - before
    for start in range(0, len(images), 32):
        pixels[np.arange(start, start + 32)]
    kept = host_memory()["host_gib"] - before
    assert kept > 0.08  # what is given back is there to be given back
    assert given_back < 0.02


def test_an_array_that_is_not_mapped_is_read_all_the_same() -> None:
    pixels = np.arange(12, dtype=np.uint8).reshape(4, 1, 1, 3)
    assert copy_rows(pixels, np.array([2]))[0, 0, 0].tolist() == [6, 7, 8]
