"""The one door to the test split."""

import dataclasses

import numpy as np
import pytest

from skin_lesion.data.looking import LookedAt, look_at_answers, look_at_test, pictures_hash
from skin_lesion.data.split_table import SPLITS
from tests.small_world import TRIED, Notebook

MODEL = LookedAt("a" * 64, "b" * 64)


@pytest.mark.parametrize("name", ["test", "held back", ""])
def test_a_split_gives_no_rows_but_those_of_training_and_validation(small_world, name) -> None:
    with pytest.raises(ValueError, match=r"expected 'train' or 'val'.*look_at_test"):
        small_world.split.indices(name)


def test_the_rows_of_the_test_split_are_given_to_whoever_says_why(small_world) -> None:
    notebook = Notebook()
    given = look_at_test(small_world.split, notebook, MODEL, TRIED)
    np.testing.assert_array_equal(given.rows, small_world.test_rows)
    (look,) = notebook.looks
    assert (look.kind, look.purpose, look.subject) == ("pictures", TRIED, MODEL)
    assert look.split_hash == small_world.split.split_hash
    assert look.images == len(given.rows) == len(small_world.test_rows)
    assert given.note.row == 1


def test_where_a_look_cannot_be_written_down_no_rows_are_given(small_world) -> None:
    class Full:
        def record(self, look):
            raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError, match="the disk is full"):
        look_at_test(small_world.split, Full(), MODEL, TRIED)


def test_without_a_test_picture_there_is_nothing_to_look_at(small_world) -> None:
    rows = small_world.split.rows
    split = dataclasses.replace(small_world.split, rows=rows[rows["split"] != "test"])
    notebook = Notebook()
    with pytest.raises(ValueError, match="no test picture"):
        look_at_test(split, notebook, MODEL, TRIED)
    with pytest.raises(ValueError, match="no test picture"):
        look_at_answers([], split.split_hash, notebook, MODEL, TRIED)
    assert not notebook.looks


def test_recorded_answers_and_shown_pictures_are_looks_at_the_same_test_split(small_world) -> None:
    notebook = Notebook()
    look_at_test(small_world.split, notebook, MODEL, TRIED)
    ids = small_world.split.rows["image_id"].iloc[small_world.test_rows]
    look_at_answers(
        ids[::-1], small_world.split.split_hash, notebook, MODEL, TRIED, against="c" * 64
    )
    shown, answered = notebook.looks
    assert (answered.kind, answered.against) == ("answers", "c" * 64)
    assert (shown.test_hash, shown.images) == (answered.test_hash, answered.images)


def test_test_pictures_are_told_apart_from_others_and_not_by_how_the_rest_is_shared_out(
    small_world,
) -> None:
    rows = small_world.split.rows.copy()
    rows["split"] = rows["split"].replace({"train": "val", "val": "train"})
    other = dataclasses.replace(small_world.split, rows=rows)
    notebook = Notebook()
    for split in (small_world.split, other):
        look_at_test(split, notebook, MODEL, TRIED)
    first, second = notebook.looks
    assert first.split_hash != second.split_hash
    assert first.test_hash == second.test_hash
    assert pictures_hash(["a", "b"]) == pictures_hash(["b", "a"]) != pictures_hash(["a"])
    assert set(SPLITS) - {"train", "val"} == {"test"}


def test_no_batch_of_training_or_validation_depends_on_a_test_picture(
    small_world, tmp_path
) -> None:
    from skin_lesion.data.augment import make_plan
    from skin_lesion.data.loader import EvaluationBatches, TrainingBatches
    from skin_lesion.settings import AugmentConfig

    pixels = np.array(small_world.images.open())
    pixels[small_world.test_rows] = 255 - pixels[small_world.test_rows]
    np.save(tmp_path / "images.npy", pixels)
    rows = small_world.split.rows.copy()
    rows.loc[small_world.test_rows, "dx"] = "nv"
    worlds = (
        (small_world.images, small_world.split),
        (
            dataclasses.replace(small_world.images, path=tmp_path / "images.npy"),
            dataclasses.replace(small_world.split, rows=rows),
        ),
    )
    served = []
    for images, split in worlds:
        training = TrainingBatches(images, split, make_plan(split, AugmentConfig(), 3), 16)
        validation = EvaluationBatches(images, split, "val", 16)
        inputs, targets, weights = zip(*(training[i] for i in range(len(training))), strict=True)
        served.append(
            [
                *(part[name] for part in inputs for name in sorted(part)),
                *targets,
                *weights,
                *(validation[i] for i in range(len(validation))),
                validation.labels,
            ]
        )
    assert len(served[0]) == len(served[1])
    for plain, poisoned in zip(*served, strict=True):
        np.testing.assert_array_equal(plain, poisoned)
