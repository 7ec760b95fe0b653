"""What trials learn from and are judged by: pictures and labels of training and validation, no others."""

import hashlib
import math
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from skin_lesion.data.image_array import ImageArray
from skin_lesion.data.split_table import LEARNING_SPLITS, SplitTable
from skin_lesion.disk import new_array, room_for

_PIXELS, _ABOUT = "images.npy", "about.json"
_ROWS_AT_ONCE = 512


@dataclass(frozen=True)
class LearningData:
    """A data set without its test split.

    Attributes:
        images: Pictures of training and validation.
        split: Row i describes row i of `images`.
    """

    images: ImageArray
    split: SplitTable


class _About(BaseModel):
    """Which pictures a file holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source_sha256: str
    split_hash: str
    shape: tuple[int, int, int, int]
    sha256: str


def learning_data(images: ImageArray, split: SplitTable, folder: Path) -> LearningData:
    """Copy training and validation out of a data set, unless that was done before.

    A row of the test split is not read: what trials are given does not hold it, so that nothing can
    be chosen by it, whatever becomes of the code that trains.

    Args:
        images: Pictures of the whole data set.
        split: Row i describes row i of `images`.
        folder: For the copy; nothing half-written is ever taken for it.

    Raises:
        OSError: It cannot be written.
        DiskFullError: There is no room for it.
    """
    kept, part = _learning_rows(split)
    wanted = {"source_sha256": images.sha256, "split_hash": part.split_hash}
    path = folder / _PIXELS
    about = _read(folder / _ABOUT)
    if about is None or about.model_dump(include=set(wanted)) != wanted or not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _ABOUT).unlink(missing_ok=True)
        shape = (len(kept), *images.shape[1:])
        about = _About(**wanted, shape=shape, sha256=_copy(images, kept, path))
        partial = folder / f"{_ABOUT}.partial"
        partial.write_text(about.model_dump_json(), encoding="utf-8")
        os.replace(partial, folder / _ABOUT)
    return LearningData(ImageArray(path, about.shape, about.sha256), part)


def kept_learning_data(split: SplitTable, folder: Path) -> LearningData:
    """What `learning_data` left in a folder, for whoever does not have the whole data set at hand.

    Args:
        split: Of the whole data set, as it was given then.
        folder: That of the copy.

    Raises:
        LookupError: There is no copy in it, or one of another split.
    """
    _, part = _learning_rows(split)
    about = _read(folder / _ABOUT)
    if about is None or not (folder / _PIXELS).is_file():
        raise LookupError(f"{folder} holds no pictures of training and validation")
    if about.split_hash != part.split_hash:
        raise LookupError(f"{folder} holds pictures of another split; remove it")
    return LearningData(ImageArray(folder / _PIXELS, about.shape, about.sha256), part)


def _learning_rows(split: SplitTable) -> tuple[np.ndarray, SplitTable]:
    """Row numbers of training and validation, ascending, and the split of these alone."""
    kept = np.flatnonzero(split.rows["split"].isin(LEARNING_SPLITS).to_numpy())
    rows = split.rows.iloc[kept].reset_index(drop=True)
    return kept, SplitTable(rows, split.leak_report)


def _read(path: Path) -> _About | None:
    return _About.model_validate_json(path.read_text(encoding="utf-8")) if path.is_file() else None


def _copy(images: ImageArray, rows: np.ndarray, path: Path) -> str:
    """Write some rows to a file of their own and return its checksum."""
    pixels = images.open()
    partial = path.with_name(f"{path.name}.partial")
    shape = (len(rows), *images.shape[1:])
    with room_for("the trials' copy of the pictures", path.parent, math.prod(shape)):
        target = new_array(partial, shape)
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        target[start : start + _ROWS_AT_ONCE] = pixels[rows[start : start + _ROWS_AT_ONCE]]
    target.flush()
    del target
    with partial.open("rb") as file:
        checksum = hashlib.file_digest(file, "sha256").hexdigest()
    os.replace(partial, path)
    return checksum
