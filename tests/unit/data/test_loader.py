"""Batches: right rows, right types, and random only through (seed, epoch, batch)."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from skin_lesion.data.augment import make_plan
from skin_lesion.data.image_array import ImageArray
from skin_lesion.data.loader import EvaluationBatches, TrainingBatches, prefetched
from skin_lesion.data.split_table import LeakReport, SplitTable
from skin_lesion.labels import LABELS
from skin_lesion.settings import AugmentConfig

N = 70


@pytest.fixture
def images(tmp_path: Path) -> ImageArray:
    """Picture i is filled with the value i, so that a batch tells which rows it holds."""
    pixels = np.broadcast_to(np.arange(N, dtype=np.uint8)[:, None, None, None], (N, 8, 12, 3))
    np.save(tmp_path / "images.npy", pixels)
    return ImageArray(tmp_path / "images.npy", pixels.shape, "0" * 64)


@pytest.fixture
def split() -> SplitTable:
    rows = pd.DataFrame(
        {
            "image_id": [str(i) for i in range(N)],
            "dx": [LABELS[i % 7] for i in range(N)],
            "split": ["val" if i % 10 == 9 else "train" for i in range(N)],
        }
    )
    report = LeakReport(
        groups_crossing=0, duplicates_crossing=0, merged_pairs=0, unmerged_pairs=0, images={},
        groups={}, class_counts={}, class_share_deviation={},
    )  # fmt: skip
    return SplitTable(rows, report)


def batches(images: ImageArray, split: SplitTable, seed: int = 5, **policy: Any) -> TrainingBatches:
    plan = make_plan(split, AugmentConfig(**policy), seed)
    return TrainingBatches(images, split, plan, batch_size=8)


def rows_of(loader: TrainingBatches) -> np.ndarray:
    return np.concatenate([loader[i][0]["image"][:, 0, 0, 0] for i in range(len(loader))])


def test_training_serves_training_rows_alone_and_each_at_most_once(
    images: ImageArray, split: SplitTable
) -> None:
    loader = batches(images, split, mix_probability=0.0)
    rows = rows_of(loader)
    assert len(rows) == len(set(rows)) == 56
    assert set(rows) <= set(split.indices("train"))


def test_images_left_out_of_an_epoch_are_other_ones_each_time(
    images: ImageArray, split: SplitTable
) -> None:
    loader = batches(images, split, mix_probability=0.0)
    seen = set()
    for loader.epoch in range(6):
        seen |= set(rows_of(loader))
    assert seen == set(split.indices("train"))


def test_pixels_are_uint8_from_0_to_255_and_labels_match(
    images: ImageArray, split: SplitTable
) -> None:
    inputs, targets, weights = batches(images, split, mix_probability=0.0)[0]
    assert inputs["image"].dtype == np.uint8
    assert inputs["image"].max() > 1
    rows = inputs["image"][:, 0, 0, 0]
    np.testing.assert_array_equal(targets.argmax(axis=1), rows % 7)
    assert inputs["geometry"].shape == (8, 8)
    assert inputs["colour"].shape == (8, 3)
    assert weights.shape == (8,)


def test_a_batch_is_a_function_of_seed_epoch_and_index(
    images: ImageArray, split: SplitTable
) -> None:
    def content(seed: int, epoch: int, index: int) -> bytes:
        loader = batches(images, split, seed)
        loader.epoch = epoch
        for other in range(index):  # what was asked for before makes no difference
            loader[other]
        inputs, targets, _ = loader[index]
        return b"".join(x.tobytes() for x in (*inputs.values(), targets))

    same = content(5, 2, 3)
    assert content(5, 2, 3) == same
    assert len({same, content(6, 2, 3), content(5, 3, 3), content(5, 2, 4)}) == 4
    late = batches(images, split, 5)
    late.epoch = 2
    inputs, targets, _ = late[3]
    assert b"".join(x.tobytes() for x in (*inputs.values(), targets)) == same


def test_where_mixing_rests_all_other_draws_stay(images: ImageArray, split: SplitTable) -> None:
    loader = batches(images, split, mix_probability=1.0)
    mixed, targets, _ = loader[2]
    loader.mixing = False
    plain, labels, _ = loader[2]
    assert set(labels.ravel()) == {0.0, 1.0}
    assert not np.array_equal(mixed["image"], plain["image"])
    assert not np.array_equal(targets, labels)
    never = batches(images, split, mix_probability=0.0)[2][0]
    for name, values in plain.items():
        np.testing.assert_array_equal(values, never[name])


@pytest.fixture
def uneven(split: SplitTable) -> SplitTable:
    """Classes of 36, 6, 6, 6, 3, 3 and 3 training images."""
    dx = np.repeat(LABELS, [36, 6, 6, 6, 3, 3, 3])
    rows = split.rows.assign(split="train")
    rows.loc[len(dx) :, "split"] = "val"
    rows.loc[: len(dx) - 1, "dx"] = dx
    return SplitTable(rows, split.leak_report)


def served(loader: TrainingBatches, uneven: SplitTable) -> tuple[np.ndarray, np.ndarray]:
    """How often each class was served in an epoch, and how often each row."""
    rows = rows_of(loader)
    counts = np.bincount(rows, minlength=N)
    labels = uneven.rows["dx"].map({label: i for i, label in enumerate(LABELS)}).to_numpy()
    return np.bincount(labels[rows], minlength=7), counts


@pytest.mark.parametrize(
    ("power", "expected"), [(1.0, [9] * 7), (0.0, [36, 6, 6, 6, 3, 3, 3])], ids=["even", "as is"]
)
def test_balanced_sampling_serves_classes_by_their_share(
    images: ImageArray, uneven: SplitTable, power: float, expected: list[int]
) -> None:
    loader = batches(
        images, uneven, imbalance="balanced_sampling", sampling_power=power, mix_probability=0.0
    )
    loader.batch_size = 7  # divides 63, so that nothing is left over
    classes, rows = served(loader, uneven)
    np.testing.assert_array_equal(classes, expected)
    assert rows[63:].sum() == 0, "validation is never served"


def test_balanced_sampling_serves_the_images_of_a_class_equally_often_but_for_one(
    images: ImageArray, uneven: SplitTable
) -> None:
    loader = batches(images, uneven, imbalance="balanced_sampling", mix_probability=0.0)
    loader.batch_size = 7
    _, rows = served(loader, uneven)
    for members in np.split(np.arange(63), np.cumsum([36, 6, 6, 6, 3, 3])):
        assert np.ptp(rows[members]) <= 1
    seen = rows[:36] > 0
    for loader.epoch in range(1, 5):
        seen |= served(loader, uneven)[1][:36] > 0
    assert seen.all(), "what an epoch leaves out, another one serves"


def test_balanced_sampling_weighs_no_class(images: ImageArray, uneven: SplitTable) -> None:
    _, _, weights = batches(images, uneven, imbalance="balanced_sampling")[0]
    np.testing.assert_array_equal(weights, 1.0)


def test_soft_targets_get_the_mean_weight_of_their_classes(
    images: ImageArray, split: SplitTable
) -> None:
    loader = batches(images, split, mix_probability=1.0, class_weight_power=1.0)
    _, targets, weights = loader[0]
    expected = targets @ loader._plan.weight_vector()
    np.testing.assert_allclose(weights, expected)


def test_evaluation_serves_every_row_in_order_and_untouched(
    images: ImageArray, split: SplitTable
) -> None:
    loader = EvaluationBatches(images, split, "val", batch_size=4)
    rows = np.concatenate([loader[i][:, 0, 0, 0] for i in range(len(loader))])
    np.testing.assert_array_equal(rows, split.indices("val"))
    np.testing.assert_array_equal(loader.labels, rows % 7)


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_prefetching_changes_neither_order_nor_content(
    images: ImageArray, split: SplitTable, workers: int
) -> None:
    loader = batches(images, split)
    served = [inputs["image"] for inputs, _, _ in prefetched(loader, workers)]
    assert len(served) == len(loader)
    for i, image in enumerate(served):
        np.testing.assert_array_equal(image, loader[i][0]["image"])


def test_prefetching_stops_when_the_caller_does(images: ImageArray, split: SplitTable) -> None:
    asked: list[int] = []

    class Watched(EvaluationBatches):
        def __getitem__(self, index: int) -> np.ndarray:
            asked.append(index)
            return super().__getitem__(index)

    stream = prefetched(Watched(images, split, "train", batch_size=1), workers=1)
    next(stream)
    stream.close()
    assert len(asked) < 10, "63 batches would have been made"


def test_an_error_in_a_loader_thread_reaches_the_caller(
    images: ImageArray, split: SplitTable
) -> None:
    class Broken(EvaluationBatches):
        def __getitem__(self, index: int) -> np.ndarray:
            raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        list(prefetched(Broken(images, split, "train", batch_size=1), workers=1))
