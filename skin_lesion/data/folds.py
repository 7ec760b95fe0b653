"""Folds of the training lesions, for the members of an ensemble.

Each member learns from all folds but one and is judged, epoch by epoch, on that one. The folds are
cut from the training split alone:

- No member ever sees a lesion of the test split, which stays the same in every fold.
- Nor one of the validation split. Calibration, thresholds, conformal sets and limits are frozen on it
  with the ensemble as a whole, so it has to be unseen by every member. Had the folds been cut from
  training and validation together, every picture would have been learnt from by all members but one,
  and whatever was fitted on it would be too sure of itself.

What it costs: of the default 70 % for training, a member of five learns from 56 %. What it brings: the
validation split did not choose the epoch of any member, as it does of a single network.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
import pandas as pd

from skin_lesion.data.dealing import Block, SplitError, deal, make_blocks
from skin_lesion.data.split_table import LeakReport, SplitTable
from skin_lesion.data.splits import LeakError, count_leaks
from skin_lesion.settings import MAX_SEED, check_seed

# Rows of the validation split in the table of a fold: neither learnt from nor judged by.
HELD_BACK = "held back"


def cut_folds(split: SplitTable, folds: int, seed: int) -> tuple[SplitTable, ...]:
    """Cut the training split into folds, stratified by class, with lesions and duplicates whole.

    Args:
        split: The outer split.
        folds: How many, at least 2.
        seed: 0 to `settings.MAX_SEED`.

    Returns:
        A split table for each fold, its rows in the order of `split`. In the table of fold i, fold i
        is `val` and the other folds are `train`; the test split is `test` as before, and the
        validation split is `HELD_BACK`.

    Raises:
        SplitError: A class has fewer lesion groups in the training split than there are folds, or
            the split does not say which groups belong together.
        LeakError: A finished table leaks; this would be a mistake in the code.
        ValueError: Fewer than two folds, or the seed is out of range.
    """
    check_seed(seed)
    if folds < 2:
        raise ValueError(f"folds is {folds}; expected at least 2, since one would leave nothing")
    block = _block_names(split)
    part_of = deal(
        _blocks(split, block),
        {str(number): 1.0 / folds for number in range(folds)},
        seed,
        advice=(
            "one in the training split for each fold. Lower ensemble.folds, add lesions of this "
            "class, or raise `source.max_images`."
        ),
    )
    part = split.rows["group"].map(part_of)
    tables = []
    for number in range(folds):
        rows = split.rows.copy()
        rows["block"] = block
        rows["split"] = rows["split"].where(rows["split"] != "val", HELD_BACK)
        # Groups outside the training split are in no fold.
        rows["split"] = rows["split"].where(part != str(number), "val").astype("str")
        tables.append(SplitTable(rows, _checked(split, rows)))
    check_folds(split, tables)
    return tuple(tables)


def check_folds(split: SplitTable, folds: Sequence[SplitTable]) -> None:
    """Hold folds against the outer split, without knowing how they were made.

    Args:
        split: The outer split.
        folds: The table of each fold.

    Raises:
        LeakError: A member learns from or is judged on a picture outside the training split, a
            training picture is not judged on in exactly one fold, or the tables are of other
            pictures.
    """
    outer = split.rows["split"].to_numpy()
    judged = np.zeros(len(outer), int)
    for number, fold in enumerate(folds, 1):
        if not fold.rows["image_id"].equals(split.rows["image_id"]):
            raise LeakError(f"fold {number} is not of the same pictures in the same order")
        inner = fold.rows["split"].to_numpy()
        used = np.isin(inner, ("train", "val"))
        foreign = int((used & (outer != "train")).sum())
        if foreign:
            raise LeakError(
                f"fold {number} uses {foreign} pictures of the validation or test split; expected "
                "training pictures alone"
            )
        if not np.array_equal(inner == "test", outer == "test"):
            raise LeakError(f"fold {number} has another test split than the model as a whole")
        _checked(split, fold.rows)
        judged += inner == "val"
    wrong = int((judged[outer == "train"] != 1).sum())
    if wrong:
        raise LeakError(
            f"{wrong} training pictures are not judged on in exactly one of {len(folds)} folds"
        )


def member_seed(seed: int, number: int) -> int:
    """Seed of everything random in a member, so that members differ in more than their lesions.

    Args:
        seed: Of the whole.
        number: Of the member, from 1.
    """
    digest = hashlib.sha256(f"{seed}\tmember {number}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % (MAX_SEED + 1)


def _block_names(split: SplitTable) -> pd.Series:
    """What must not be parted, a name for each row."""
    if "block" in split.rows:
        return split.rows["block"]
    if split.leak_report.unmerged_pairs:
        raise SplitError(
            f"the split leaves {split.leak_report.unmerged_pairs} duplicate pairs in separate groups "
            "and does not say which groups they bind together; it was made by an earlier version: "
            "run the step `split` anew"
        )
    return split.rows["group"]


def _blocks(split: SplitTable, block: pd.Series) -> list[Block]:
    training = split.rows["split"] == "train"
    groups: dict[str, set[str]] = defaultdict(set)
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    rows = split.rows[training]
    for name, group, dx in zip(block[training], rows["group"], rows["dx"], strict=True):
        groups[name].add(group)
        counts[name][dx] += 1
    return make_blocks({name: sorted(found) for name, found in groups.items()}, counts)


def _checked(split: SplitTable, rows: pd.DataFrame) -> LeakReport:
    """Count what crosses the parts of one fold; a block holds every confirmed duplicate of its own."""
    kept = rows if "block" in rows else rows.assign(block=rows["group"])
    return count_leaks(
        kept,
        duplicates_crossing=int((kept.groupby("block")["split"].nunique() > 1).sum()),
        merged_pairs=split.leak_report.merged_pairs,
        unmerged_pairs=split.leak_report.unmerged_pairs,
    )
