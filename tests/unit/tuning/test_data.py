"""What a trial is given holds nothing of the test split."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from skin_lesion.data.image_array import ImageArray
from skin_lesion.data.split_table import LeakReport, SplitTable
from skin_lesion.tuning.data import kept_learning_data, learning_data

LEAKS = LeakReport(
    groups_crossing=0, duplicates_crossing=0, merged_pairs=0, unmerged_pairs=0, images={}, groups={},
    class_counts={}, class_share_deviation={},
)  # fmt: skip
N, TEST = 1200, 255


@pytest.fixture
def whole(tmp_path: Path) -> tuple[ImageArray, SplitTable]:
    """Pictures of the test split are white, and no other."""
    splits = np.array(["train", "test", "val", "train"])[np.arange(N) % 4]
    pixels = np.arange(N, dtype=np.uint8)[:, None, None, None] % 250 + np.zeros(
        (1, 2, 3, 3), np.uint8
    )
    pixels[splits == "test"] = TEST
    np.save(tmp_path / "images.npy", pixels)
    rows = pd.DataFrame(
        {"image_id": [f"i{i}" for i in range(N)], "lesion_id": "l", "group": "g", "dx": "nv"}
    ).assign(split=splits)
    return ImageArray(tmp_path / "images.npy", pixels.shape, "0" * 64), SplitTable(rows, LEAKS)


def test_no_picture_and_no_row_of_the_test_split_is_in_it(
    whole: tuple[ImageArray, SplitTable], tmp_path: Path
) -> None:
    images, split = whole
    data = learning_data(images, split, tmp_path / "copy")
    assert set(data.split.rows["split"]) == {"train", "val"}
    pixels = data.images.open()
    assert len(pixels) == len(data.split.rows) == N * 3 // 4
    assert not (pixels == TEST).any()
    kept = [int(name[1:]) for name in data.split.rows["image_id"]]
    np.testing.assert_array_equal(pixels, images.open()[kept])


def test_a_copy_is_made_once_and_anew_where_it_is_of_something_else(
    whole: tuple[ImageArray, SplitTable], tmp_path: Path
) -> None:
    images, split = whole
    first = learning_data(images, split, tmp_path / "copy")
    made = first.images.path.stat().st_mtime_ns
    assert learning_data(images, split, tmp_path / "copy").images == first.images
    assert first.images.path.stat().st_mtime_ns == made
    rows = split.rows.assign(split=np.where(np.arange(N) % 4 == 1, "val", "test"))
    other = learning_data(images, SplitTable(rows, LEAKS), tmp_path / "copy")
    assert (other.images.open() == TEST).all()
    assert other.images.sha256 != first.images.sha256


def test_a_copy_that_was_killed_half_way_is_not_taken_for_one(
    whole: tuple[ImageArray, SplitTable], tmp_path: Path
) -> None:
    images, split = whole
    data = learning_data(images, split, tmp_path / "copy")
    (tmp_path / "copy" / "about.json").unlink()  # it is written last
    data.images.path.write_bytes(b"half")
    assert len(learning_data(images, split, tmp_path / "copy").images.open()) == N * 3 // 4


def test_a_copy_is_opened_without_the_whole_data_set(
    whole: tuple[ImageArray, SplitTable], tmp_path: Path
) -> None:
    images, split = whole
    first = learning_data(images, split, tmp_path / "copy")
    images.path.unlink()
    found = kept_learning_data(split, tmp_path / "copy")
    assert found.images == first.images
    assert found.split.rows.equals(first.split.rows)


def test_a_copy_that_is_none_or_of_another_split_is_not_opened(
    whole: tuple[ImageArray, SplitTable], tmp_path: Path
) -> None:
    images, split = whole
    with pytest.raises(LookupError, match="holds no pictures of training and validation"):
        kept_learning_data(split, tmp_path / "copy")
    data = learning_data(images, split, tmp_path / "copy")
    rows = split.rows.assign(split=np.where(np.arange(N) % 4 == 1, "val", "test"))
    with pytest.raises(LookupError, match="pictures of another split"):
        kept_learning_data(SplitTable(rows, LEAKS), tmp_path / "copy")
    data.images.path.unlink()
    with pytest.raises(LookupError, match="holds no pictures"):
        kept_learning_data(split, tmp_path / "copy")
