"""Folds keep lesions whole, leave validation and test alone, and are the same on every machine."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skin_lesion.data.dealing import SplitError
from skin_lesion.data.folds import HELD_BACK, check_folds, cut_folds, member_seed
from skin_lesion.data.split_table import LeakReport, SplitTable
from skin_lesion.data.splits import LeakError
from skin_lesion.labels import LABELS
from skin_lesion.settings import MAX_SEED, EnsembleConfig

Lesion = tuple[str, int, str]  # diagnosis, number of images, split
FEWEST = 6  # lesions of each class in training


def _split(lesions: Sequence[Lesion], bound: Sequence[tuple[int, int]] = ()) -> SplitTable:
    """A split whose lesions of each pair in `bound` are duplicates in groups of their own."""
    block = {number: number for number in range(len(lesions))}
    for a, b in bound:
        block[b] = block[a]
    rows = pd.DataFrame(
        [
            (f"image_{number:04}_{view}", f"lesion_{number:04}", f"group_{number:04}", dx, split,
             f"group_{block[number]:04}")
            for number, (dx, views, split) in enumerate(lesions)
            for view in range(views)
        ],
        columns=["image_id", "lesion_id", "group", "dx", "split", "block"],
    ).astype("str")  # fmt: skip
    report = LeakReport(
        groups_crossing=0, duplicates_crossing=0, merged_pairs=0, unmerged_pairs=len(bound),
        images={}, groups={}, class_counts={}, class_share_deviation={},
    )  # fmt: skip
    return SplitTable(rows, report)


ENOUGH: list[Lesion] = [(dx, 1, "train") for dx in LABELS for _ in range(FEWEST)]
OTHERS: list[Lesion] = [(dx, 2, split) for dx in LABELS for split in ("val", "test")]
MANY = _split([*ENOUGH, *OTHERS, *[("nv", 1 + i % 4, "train") for i in range(120)]])

many_lesions = st.lists(
    st.tuples(
        st.sampled_from(LABELS), st.integers(1, 5), st.sampled_from(["train", "val", "test"])
    ),
    max_size=120,
).map(lambda extra: [*ENOUGH, *OTHERS, *extra])


@settings(max_examples=50, deadline=None)
@given(lesions=many_lesions, folds=st.integers(2, FEWEST), seed=st.integers(0, MAX_SEED))
def test_no_member_sees_a_lesion_of_the_test_or_validation_split_or_of_its_own_fold(
    lesions: list[Lesion], folds: int, seed: int
) -> None:
    split = _split(lesions)
    outer = split.rows.set_index("image_id")["split"]
    tables = cut_folds(split, folds, seed)
    assert len(tables) == folds
    for fold in tables:
        rows = fold.rows
        learnt = set(rows.loc[rows["split"] == "train", "lesion_id"])
        judged = set(rows.loc[rows["split"] == "val", "lesion_id"])
        elsewhere = set(split.rows.loc[split.rows["split"] != "train", "lesion_id"])
        assert not learnt & judged
        assert not (learnt | judged) & elsewhere
        where = rows.set_index("image_id")["split"]
        assert (where[outer == "test"] == "test").all()
        assert (where[outer == "val"] == HELD_BACK).all()


@settings(max_examples=30, deadline=None)
@given(lesions=many_lesions, folds=st.integers(2, FEWEST), seed=st.integers(0, 99))
def test_every_training_picture_is_judged_on_once_and_learnt_from_by_all_other_members(
    lesions: list[Lesion], folds: int, seed: int
) -> None:
    split = _split(lesions)
    inner = np.stack([fold.rows["split"].to_numpy() for fold in cut_folds(split, folds, seed)])
    training = split.indices("train")
    assert ((inner[:, training] == "val").sum(axis=0) == 1).all()
    assert ((inner[:, training] == "train").sum(axis=0) == folds - 1).all()


@settings(max_examples=30, deadline=None)
@given(lesions=many_lesions, folds=st.integers(2, FEWEST), seed=st.integers(0, 99))
def test_every_fold_holds_its_share_of_every_class(
    lesions: list[Lesion], folds: int, seed: int
) -> None:
    for fold in cut_folds(_split(lesions), folds, seed):
        counts = fold.leak_report.class_counts
        for label in LABELS:
            of_class = [views for dx, views, split in lesions if (dx, split) == (label, "train")]
            assert counts["val"][label] >= 1
            assert counts["train"][label] >= 1
            # Whole lesions cannot meet a share more closely than their size.
            assert abs(counts["val"][label] - sum(of_class) / folds) <= max(of_class) + 1


@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_duplicates_in_separate_groups_are_in_one_fold(data: Any) -> None:
    lesions = [*ENOUGH, *[("nv", 1, "train") for _ in range(40)]]
    numbers = st.integers(len(ENOUGH), len(lesions) - 1)
    first = data.draw(numbers)
    pairs = [(first, other) for other in data.draw(st.sets(numbers, max_size=6)) - {first}]
    split = _split(lesions, pairs)
    for fold in cut_folds(split, 3, data.draw(st.integers(0, 99))):
        where = fold.rows.set_index("lesion_id")["split"]
        assert len({where[f"lesion_{number:04}"] for pair in pairs for number in pair}) <= 1


@settings(max_examples=15, deadline=None)
@given(order=st.permutations(range(len(MANY.rows))), seed=st.integers(0, 99))
def test_the_order_of_rows_does_not_matter(order: list[int], seed: int) -> None:
    shuffled = replace(MANY, rows=MANY.rows.iloc[order].reset_index(drop=True))
    hashes = [fold.split_hash for fold in cut_folds(MANY, 4, seed)]
    assert [fold.split_hash for fold in cut_folds(shuffled, 4, seed)] == hashes


def test_a_seed_gives_these_very_folds_on_every_machine() -> None:
    first, *_ = cut_folds(MANY, 5, 42)
    assert first.split_hash == "9bdacd078284de5d7997eb68115d649b7b7b86054c942cf809de2cb9da461c27"


def test_another_seed_gives_other_folds() -> None:
    assert len({cut_folds(MANY, 3, seed)[0].split_hash for seed in range(5)}) == 5


def test_the_split_is_left_as_it_was() -> None:
    before = MANY.rows.copy(deep=True)
    cut_folds(MANY, 3, 0)
    pd.testing.assert_frame_equal(MANY.rows, before)


def test_a_class_with_fewer_training_lesions_than_folds_is_refused_by_name_and_number() -> None:
    with pytest.raises(
        SplitError,
        match=r"class 'akiec' has 6 lesion groups; expected at least 7, one in the training split "
        r"for each fold\. Lower ensemble\.folds",
    ):
        cut_folds(_split([*ENOUGH, *OTHERS]), FEWEST + 1, 0)


@pytest.mark.parametrize(("folds", "seed"), [(1, 0), (0, 0), (3, -1), (3, MAX_SEED + 1)])
def test_an_impossible_number_of_folds_or_seed_is_refused(folds: int, seed: int) -> None:
    with pytest.raises(ValueError, match=rf"is {folds if folds < 2 else seed}; expected"):
        cut_folds(MANY, folds, seed)


def test_a_split_from_before_blocks_were_kept_goes_by_its_groups() -> None:
    old = replace(MANY, rows=MANY.rows.drop(columns="block"))
    hashes = [fold.split_hash for fold in cut_folds(MANY, 3, 1)]
    assert [fold.split_hash for fold in cut_folds(old, 3, 1)] == hashes


def test_such_a_split_is_refused_where_duplicates_would_be_parted() -> None:
    bound = _split([*ENOUGH, *OTHERS], [(0, 1)])
    old = replace(bound, rows=bound.rows.drop(columns="block"))
    with pytest.raises(SplitError, match=r"1 duplicate pairs in separate groups.*run the step"):
        cut_folds(old, 2, 0)


def _with(fold: SplitTable, row: int, name: str) -> SplitTable:
    rows = fold.rows.copy()
    rows.loc[rows["lesion_id"] == rows.loc[row, "lesion_id"], "split"] = name
    return replace(fold, rows=rows)


@pytest.mark.parametrize(("outer", "inner"), [("test", "train"), ("val", "train"), ("val", "val")])
def test_the_check_finds_a_picture_that_no_member_may_see(outer: str, inner: str) -> None:
    first, *others = cut_folds(MANY, 3, 0)
    row = int((MANY.rows["split"] == outer).idxmax())
    with pytest.raises(LeakError, match="fold 1 uses 2 pictures of the validation or test split"):
        check_folds(MANY, [_with(first, row, inner), *others])


def test_the_check_finds_a_test_split_that_shrank() -> None:
    first, *others = cut_folds(MANY, 3, 0)
    row = int((MANY.rows["split"] == "test").idxmax())
    with pytest.raises(LeakError, match="fold 2 has another test split"):
        check_folds(MANY, [first, _with(others[0], row, HELD_BACK), others[1]])


def test_the_check_finds_a_lesion_that_a_member_learns_from_and_is_judged_on() -> None:
    first, *others = cut_folds(MANY, 3, 0)
    rows = first.rows.copy()
    several = rows["split"].eq("train") & rows.duplicated("lesion_id")
    rows.loc[int(several.idxmax()), "split"] = "val"
    with pytest.raises(LeakError, match="found 1 lesions"):
        check_folds(MANY, [replace(first, rows=rows), *others])


def test_the_check_finds_a_lesion_that_no_member_is_judged_on() -> None:
    first, *others = cut_folds(MANY, 3, 0)
    row = int((first.rows["split"] == "val").idxmax())
    with pytest.raises(LeakError, match="not judged on in exactly one of 3 folds"):
        check_folds(MANY, [_with(first, row, "train"), *others])


def test_the_check_finds_folds_of_other_pictures() -> None:
    first, *others = cut_folds(MANY, 3, 0)
    turned = replace(first, rows=first.rows.iloc[::-1].reset_index(drop=True))
    with pytest.raises(LeakError, match="fold 1 is not of the same pictures"):
        check_folds(MANY, [turned, *others])


def test_members_have_seeds_of_their_own_that_training_can_use() -> None:
    seeds = {member_seed(seed, number) for seed in (0, 17, MAX_SEED) for number in range(1, 21)}
    assert len(seeds) == 60
    assert all(0 <= seed <= MAX_SEED for seed in seeds)
    assert member_seed(17, 1) == member_seed(17, 1)


@pytest.mark.parametrize("folds", [1, 21])
def test_a_number_of_folds_that_makes_no_ensemble_is_refused(folds: int) -> None:
    with pytest.raises(ValueError, match="folds"):
        EnsembleConfig(folds=folds)
