"""Train, validation and test: stratified by class, grouped by lesion."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from skin_lesion.data.duplicates import DuplicateReport, UnionFind, find_duplicates
from skin_lesion.data.image_array import ImageArray
from skin_lesion.data.manifest import Manifest
from skin_lesion.data.split_table import SPLITS, LeakReport, SplitName, SplitTable
from skin_lesion.labels import LABELS
from skin_lesion.settings import SplitConfig, check_seed


class SplitError(ValueError):
    """The data cannot be shared out as asked."""


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
    """Assign every lesion group to train, validation or test.

    The order in which groups are dealt out comes from SHA-256 of seed and group, never from a random
    generator, so that the same seed gives the same split on every machine and with every library
    version, whatever the order of the rows.

    Args:
        manifest: Table of the images.
        images: Their pixels, in the same order; read only to confirm near-duplicates.
        config: Shares and limits of what counts as a duplicate.
        seed: 0 to `settings.MAX_SEED`.
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
    found = duplicates or find_duplicates(manifest, images, config)
    rows = manifest.images[["image_id", "lesion_id", "dx"]].copy()
    rows.insert(2, "group", rows["lesion_id"].map(found.groups).astype("str"))
    split_of_group = _deal(_blocks(rows, found, config), config, seed)
    rows["split"] = rows["group"].map(split_of_group).astype("str")
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
    counts = {name: Counter(rows.loc[rows["split"] == name, "dx"].tolist()) for name in SPLITS}
    totals = sum(counts.values(), Counter[str]())
    report = LeakReport(
        groups_crossing=_crossing(rows, "group"),
        lesions_crossing=_crossing(rows, "lesion_id"),
        duplicates_crossing=int(crossing.sum()),
        merged_pairs=len(duplicates.merged),
        unmerged_pairs=len(duplicates.unmerged),
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


@dataclass(frozen=True)
class _Block:
    """Lesion groups that go to one split together.

    Nearly always a single group; several where the bound on group size left confirmed duplicates
    in separate groups, which must not cross splits either.

    Attributes:
        groups: Names of the groups, ascending.
        counts: Images of each class.
        leading: The class it is dealt out under: the most frequent in the block, and of equally
            frequent ones the rarest in the data set, since a rare class suffers most from an image
            too many.
    """

    groups: tuple[str, ...]
    counts: Counter[str]
    leading: str

    @property
    def images(self) -> int:
        return self.counts.total()

    def place_in_line(self, seed: int) -> tuple[bool, int, bytes]:
        """Mixed blocks first, then large ones, so that small pure ones can even out the shares."""
        digest = hashlib.sha256(f"{seed}\t{self.groups[0]}".encode()).digest()
        return len(self.counts) == 1, -self.images, digest


def _blocks(rows: pd.DataFrame, duplicates: DuplicateReport, config: SplitConfig) -> list[_Block]:
    links = UnionFind(sorted(rows["group"].unique()))
    apart = duplicates.unmerged
    for a, b in zip(apart["lesion_a"], apart["lesion_b"], strict=True):
        links.union(duplicates.groups[a], duplicates.groups[b])
    groups: dict[str, set[str]] = defaultdict(set)
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for group, dx in zip(rows["group"], rows["dx"], strict=True):
        groups[links.find(group)].add(group)
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
    totals = sum(counts.values(), Counter[str]())
    return [
        _Block(
            groups=tuple(sorted(groups[root])),
            counts=counts[root],
            leading=min(counts[root], key=lambda dx: (-counts[root][dx], totals[dx], dx)),
        )
        for root in counts
    ]


def _deal(blocks: Sequence[_Block], config: SplitConfig, seed: int) -> dict[str, SplitName]:
    """Deal blocks out so that every class comes as close to its shares as whole blocks allow."""
    shares = {"train": config.train, "val": config.val, "test": 1.0 - config.train - config.val}
    waiting = Counter(block.leading for block in blocks)
    for label, number in sorted(waiting.items()):
        if number < len(SPLITS):
            raise SplitError(
                f"class '{label}' has {number} lesion groups; expected at least {len(SPLITS)}, one "
                "for each split. Add lesions of this class, or raise `source.max_images`."
            )
    totals = sum((block.counts for block in blocks), Counter[str]())
    filled: dict[SplitName, Counter[str]] = {name: Counter() for name in SPLITS}
    split_of: dict[str, SplitName] = {}
    for block in sorted(blocks, key=lambda b: b.place_in_line(seed)):
        label = block.leading
        lacking = {s: shares[s] * totals[label] - filled[s][label] for s in SPLITS}
        empty = [s for s in SPLITS if not filled[s][label]]
        fitting = [s for s in SPLITS if block.counts[label] <= lacking[s]]
        if waiting[label] <= len(empty):  # the last chance for each of these splits to get one
            choice = max(empty, key=lambda s: lacking[s])
        elif fitting:  # relative to its share, so that large lesions spread over all splits
            choice = max(fitting, key=lambda s: lacking[s] / shares[s])
        else:
            choice = max(SPLITS, key=lambda s: lacking[s])
        waiting[label] -= 1
        filled[choice].update(block.counts)
        split_of.update(dict.fromkeys(block.groups, choice))
    return split_of
