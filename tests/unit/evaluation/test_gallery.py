from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from skin_lesion.evaluation.gallery import gallery, pick_missed, pick_right
from skin_lesion.evaluation.sample import Sample
from skin_lesion.labels import LABEL_INDEX, LABELS

MEL, NV = LABEL_INDEX["mel"], LABEL_INDEX["nv"]


def sample(*pictures):
    """Pictures given as (image id, lesion, true class, called class, its probability)."""
    rows, probabilities = [], []
    for image_id, lesion, dx, called, probability in pictures:
        rows.append({"image_id": image_id, "lesion_id": lesion, "group": lesion, "dx": dx})
        row = np.full(7, (1 - probability) / 6)
        row[LABEL_INDEX[called]] = probability
        probabilities.append(row)
    matrix = np.array(probabilities)
    return Sample(
        pd.DataFrame(rows), np.log(matrix).astype(np.float32), matrix,
        np.zeros((len(rows), 1), np.float32),
    )  # fmt: skip


WORLD = sample(
    ("i0", "a", "mel", "mel", 0.95),
    ("i1", "a", "mel", "mel", 0.90),  # the same lesion once more
    ("i2", "b", "mel", "mel", 0.85),
    ("i3", "c", "mel", "mel", 0.40),
    ("i4", "d", "mel", "mel", 0.30),
    ("i5", "e", "mel", "nv", 0.60),
    ("i6", "f", "mel", "bkl", 0.80),
    ("i7", "f", "mel", "nv", 0.90),
    ("i8", "g", "mel", "nv", 0.60),
    ("i9", "h", "nv", "nv", 0.99),
    ("j0", "i", "nv", "mel", 0.70),
)


def ids(rows):
    return list(WORLD.rows["image_id"].iloc[rows])


def drawn(per_class=2, world=WORLD, calls=None):
    def features_of(shown):
        if calls is not None:
            calls.append(shown)
        return np.random.default_rng(1).random((len(shown), 3, 4, 5)).astype(np.float32)

    pixels = np.zeros((len(world), 24, 32, 3), np.uint8) + np.arange(
        len(world), dtype=np.uint8
    ).reshape(-1, 1, 1, 1)
    kernel = np.random.default_rng(2).normal(size=(5, 7)).astype(np.float32)
    return gallery(world, pixels, features_of, kernel, per_class=per_class, seed=3)


def test_failures_are_the_surest_wrong_answers_one_of_each_lesion():
    # i7 beats i6 of its lesion; i5 and i8 are equally sure and go by their id.
    assert ids(pick_missed(WORLD, MEL, count=9)) == ["i7", "i5", "i8"]
    assert ids(pick_missed(WORLD, MEL, count=1)) == ["i7"]
    assert ids(pick_missed(WORLD, NV, count=9)) == ["j0"]


def test_right_answers_are_drawn_from_the_surer_half_one_of_each_lesion():
    # Lesions a, b, c, d: the surer half is a, by its surest picture, and b.
    assert ids(pick_right(WORLD, MEL, count=9, seed=1)) == ["i0", "i2"]
    seen = {ids(pick_right(WORLD, MEL, count=1, seed=seed))[0] for seed in range(20)}
    assert seen == {"i0", "i2"}


def test_a_single_right_answer_is_shown():
    assert ids(pick_right(WORLD, NV, count=9, seed=1)) == ["i9"]


def test_picks_do_not_depend_on_the_order_of_the_sample():
    turned = WORLD.take(np.arange(len(WORLD))[::-1])
    for pick, expected in (
        (pick_missed(turned, MEL, count=9), ["i7", "i5", "i8"]),
        (pick_right(turned, MEL, count=9, seed=1), ["i0", "i2"]),
    ):
        assert list(turned.rows["image_id"].iloc[pick]) == expected


def test_what_is_told_of_a_pick_is_what_the_model_said():
    (missed,) = drawn(per_class=1).classes["mel"].missed
    assert (missed.image_id, missed.kind) == ("i7", "missed")
    assert (missed.truth, missed.predicted) == ("mel", "nv")
    assert missed.predicted_probability == pytest.approx(0.9)
    assert missed.true_probability == pytest.approx(0.1 / 6)


def test_counts_are_of_all_pictures_not_of_the_picks():
    figures = drawn(per_class=1).classes["mel"]
    assert (figures.n_images, figures.n_right, figures.n_missed) == (9, 5, 4)
    assert len(figures.right) == len(figures.missed) == 1


def test_an_absent_class_has_no_sheet():
    found = drawn()
    assert sorted(found.sheets) == ["mel_missed", "mel_right", "nv_missed", "nv_right"]
    assert list(found.classes) == list(LABELS)
    assert found.classes["df"].n_images == 0
    assert found.classes["df"].right == found.classes["df"].missed == ()


def test_sheets_are_pictures_that_can_be_read():
    for sheet in drawn().sheets.values():
        assert min(Image.open(BytesIO(sheet)).size) > 200


def test_only_what_is_picked_goes_through_the_model():
    calls = []
    found = drawn(per_class=2, calls=calls)
    picked = [p for c in found.classes.values() for p in (*c.right, *c.missed)]
    assert sum(map(len, calls)) == len(picked)
    numbers = {int(picture[0, 0, 0]) for shown in calls for picture in shown}
    assert numbers == {ids(range(len(WORLD))).index(pick.image_id) for pick in picked}


def test_pictures_of_another_sample_are_refused():
    with pytest.raises(ValueError, match="3 pictures"):
        gallery(
            WORLD, np.zeros((3, 8, 8, 3), np.uint8), lambda x: x, np.ones((5, 7)),
            per_class=2, seed=1,
        )  # fmt: skip
    with pytest.raises(ValueError, match="per_class 0"):
        drawn(per_class=0)
