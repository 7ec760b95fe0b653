"""Train, validation and test: stratified by class, grouped by lesion."""

from collections import Counter, defaultdict

import pandas as pd

from skin_lesion.data.dealing import Block, SplitError, deal, make_blocks
from skin_lesion.data.duplicates import DuplicateReport, UnionFind, find_duplicates
from skin_lesion.data.image_array import ImageArray
from skin_lesion.data.manifest import Manifest
from skin_lesion.data.split_table import SPLITS, LeakReport, SplitName, SplitTable
from skin_lesion.labels import LABELS
from skin_lesion.settings import SplitConfig, check_seed

# Ends the message about a class with too few lesion groups.
_TOO_FEW = "one for each split. Add lesions of this class, or raise `source.max_images`."


class LeakError(RuntimeError):
    """Something that must stay together lies in two splits."""


def assign_splits(
    manifest: Manifest,
    images: ImageArray,
    config: SplitConfig,
    seed: int,
    *,
    duplicates: DuplicateReport | None = None,
) -> SplitTable:
    """Assign every lesion group to train, validation or test, as `dealing` does it.

    Args:
        manifest: Table of the images.
        images: Their pixels, in the same order; read only to confirm near-duplicates.
        config: Shares and limits of what counts as a duplicate.
        seed: 0 to `settings.MAX_SEED`; `config.seed` outweighs it.
        duplicates: Result of `find_duplicates`, where the caller has it already.

    Returns:
        The table, already checked for leaks.

    Raises:
        SplitError: A class has fewer groups than there are splits, or confirmed duplicates chain
            more lesions together than may go to one split.
        ValueError: The seed is out of range.
        LeakError: The finished table leaks; this would be a mistake in the code.
    """
    check_seed(seed)
    seed = seed if config.seed is None else config.seed
    found = duplicates or find_duplicates(manifest, images, config)
    rows = manifest.images[["image_id", "lesion_id", "dx"]].copy()
    rows.insert(2, "group", rows["lesion_id"].map(found.groups).astype("str"))
    blocks = _blocks(rows, found, config)
    shares: dict[SplitName, float] = {
        "train": config.train,
        "val": config.val,
        "test": 1.0 - config.train - config.val,
    }
    split_of_group = deal(blocks, shares, seed, advice=_TOO_FEW)
    rows["split"] = rows["group"].map(split_of_group).astype("str")
    block_of_group = {group: block.groups[0] for block in blocks for group in block.groups}
    rows["block"] = rows["group"].map(block_of_group).astype("str")
    return SplitTable(rows.reset_index(drop=True), check_leaks(rows, found))


def check_leaks(rows: pd.DataFrame, duplicates: DuplicateReport) -> LeakReport:
    """Count on a finished table what must not cross splits, without knowing how it was made.

    Args:
        rows: Columns as in `SplitTable.rows`.
        duplicates: The confirmed duplicates.

    Returns:
        The counts.

    Raises:
        LeakError: A lesion, a lesion group or a confirmed duplicate pair lies in two splits.
    """
    split_of = rows.set_index("image_id")["split"]
    pairs = duplicates.pairs
    crossing = pairs["image_a"].map(split_of).ne(pairs["image_b"].map(split_of))
    return count_leaks(
        rows,
        duplicates_crossing=int(crossing.sum()),
        merged_pairs=len(duplicates.merged),
        unmerged_pairs=len(duplicates.unmerged),
    )


def count_leaks(
    rows: pd.DataFrame, *, duplicates_crossing: int, merged_pairs: int, unmerged_pairs: int
) -> LeakReport:
    """The same, where the duplicates were counted by the caller.

    Args:
        rows: Columns as in `SplitTable.rows`.
        duplicates_crossing: Confirmed duplicates that were parted.
        merged_pairs: Pairs across lesion ids in one group.
        unmerged_pairs: Pairs in separate groups.

    Raises:
        LeakError: Something that must stay together was parted.
    """
    counts = {name: Counter(rows.loc[rows["split"] == name, "dx"].tolist()) for name in SPLITS}
    totals = sum(counts.values(), Counter[str]())
    report = LeakReport(
        groups_crossing=_crossing(rows, "group"),
        lesions_crossing=_crossing(rows, "lesion_id"),
        duplicates_crossing=duplicates_crossing,
        merged_pairs=merged_pairs,
        unmerged_pairs=unmerged_pairs,
        images={name: counts[name].total() for name in SPLITS},
        groups={name: int(rows.loc[rows["split"] == name, "group"].nunique()) for name in SPLITS},
        class_counts={name: {label: counts[name][label] for label in LABELS} for name in SPLITS},
        class_share_deviation={
            name: {
                label: counts[name][label] / max(counts[name].total(), 1)
                - totals[label] / max(totals.total(), 1)
                for label in LABELS
            }
            for name in SPLITS
        },
    )
    leaks = (report.lesions_crossing, report.groups_crossing, report.duplicates_crossing)
    if any(leaks):
        raise LeakError(
            "expected nothing to cross splits, found {} lesions, {} lesion groups and {} confirmed "
            "duplicate pairs in more than one split".format(*leaks)
        )
    return report


def _crossing(rows: pd.DataFrame, column: str) -> int:
    return int((rows.groupby(column)["split"].nunique() > 1).sum())


def _blocks(rows: pd.DataFrame, duplicates: DuplicateReport, config: SplitConfig) -> list[Block]:
    links = UnionFind(sorted(rows["group"].unique()))
    apart = duplicates.unmerged
    for a, b in zip(apart["lesion_a"], apart["lesion_b"], strict=True):
        links.union(duplicates.groups[a], duplicates.groups[b])
    members: dict[str, set[str]] = defaultdict(set)
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for group, dx in zip(rows["group"], rows["dx"], strict=True):
        members[links.find(group)].add(group)
        counts[links.find(group)][dx] += 1
    lesions = rows.groupby(rows["group"].map(links.find))["lesion_id"].nunique()
    if lesions.max() > config.max_block_lesions:
        inside = duplicates.pairs["lesion_a"].map(duplicates.groups).map(links.find)
        pairs = duplicates.pairs[inside == lesions.idxmax()]
        raise SplitError(
            f"{len(pairs)} confirmed duplicate pairs chain {lesions.max()} lesions together, all of "
            f"which would go to one split; at most {config.max_block_lesions} may "
            f"(max_block_lesions). The most doubtful pair is {pairs['image_a'].iloc[-1]} and "
            f"{pairs['image_b'].iloc[-1]}. Raise min_correlation (now {config.min_correlation:g}) "
            f"or lower max_pixel_difference (now {config.max_pixel_difference:g}) of the split, so "
            "that fewer look-alikes count as one lesion."
        )
    return make_blocks({name: sorted(found) for name, found in members.items()}, counts)
