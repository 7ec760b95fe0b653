"""Near-identical pictures that carry different lesion ids, and the lesion groups they make."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skin_lesion.data.image_array import ImageArray
from skin_lesion.data.manifest import Manifest
from skin_lesion.settings import SplitConfig

_MAX_SHEET_PAIRS = 60

PAIR_COLUMNS: dict[str, str] = {
    "image_a": "str",
    "image_b": "str",
    "row_a": "int64",
    "row_b": "int64",
    "lesion_a": "str",
    "lesion_b": "str",
    "hash_distance": "int64",  # of 64 bits
    "pixel_difference": "float64",  # grey levels of 255, after alignment
    "correlation": "float64",  # after alignment
    "merged": "bool",
}


@dataclass(frozen=True)
class DuplicateReport:
    """Near-identical pictures of different lesion ids.

    Attributes:
        pairs: The confirmed pairs, most similar first, with `PAIR_COLUMNS`.
        groups: Lesion group of every lesion id; a group is named after its first lesion id.
        candidates: Pairs of pictures that were compared.
    """

    pairs: pd.DataFrame
    groups: Mapping[str, str]
    candidates: int

    @property
    def merged(self) -> pd.DataFrame:
        """Pairs whose lesions share a group."""
        return self.pairs[self.pairs["merged"]]

    @property
    def unmerged(self) -> pd.DataFrame:
        """Pairs that the bound on group size kept apart."""
        return self.pairs[~self.pairs["merged"]]


class UnionFind:
    """Disjoint sets of names; a set is named after its smallest member."""

    def __init__(self, names: Iterable[str]) -> None:
        self._parent = {name: name for name in names}
        self._size = dict.fromkeys(self._parent, 1)

    def find(self, name: str) -> str:
        """Name of the set that `name` is in."""
        root = name
        while self._parent[root] != root:
            root = self._parent[root]
        while self._parent[name] != root:  # shorten the path for the next look-up
            self._parent[name], name = root, self._parent[name]
        return root

    def union(self, a: str, b: str, max_size: int | None = None) -> bool:
        """Join two sets unless the result would be larger than `max_size`.

        Returns:
            Whether the names are in one set now.
        """
        low, high = sorted((self.find(a), self.find(b)))
        if low == high:
            return True
        size = self._size[low] + self._size[high]
        if max_size is not None and size > max_size:
            return False
        self._parent[high] = low
        self._size[low] = size
        return True


def find_duplicates(manifest: Manifest, images: ImageArray, config: SplitConfig) -> DuplicateReport:
    """Find near-identical pictures of different lesion ids and merge their lesions.

    Args:
        manifest: Table of the images.
        images: Their pixels, in the same order.
        config: Limits of what counts as a duplicate.

    Returns:
        Confirmed pairs and the resulting lesion groups.
    """
    table = manifest.images
    lesions = pd.factorize(table["lesion_id"])[0]
    hashes = np.array([int(text, 16) for text in table["phash"]], dtype=np.uint64)
    candidates = _similar_hashes(hashes, lesions, config.max_hash_distance)
    pairs = _confirm(table, images, candidates, config)
    groups = UnionFind(table["lesion_id"].unique())
    # The surest pairs come first, so that the bound leaves out the most doubtful ones.
    pairs["merged"] = [
        groups.union(a, b, config.max_group_lesions)
        for a, b in zip(pairs["lesion_a"], pairs["lesion_b"], strict=True)
    ]
    pairs = pairs.astype(PAIR_COLUMNS)
    return DuplicateReport(
        pairs=pairs,
        groups={lesion: groups.find(lesion) for lesion in table["lesion_id"].unique()},
        candidates=len(candidates),
    )


def _similar_hashes(
    hashes: NDArray[np.uint64], lesions: NDArray[np.intp], max_distance: int
) -> NDArray[np.int64]:
    """Row pairs (K, 2), first below second, of different lesions with similar hashes."""
    found = []
    block = 512
    for start in range(0, len(hashes), block):
        distance = np.bitwise_count(hashes[start : start + block, None] ^ hashes[None, start:])
        a, b = np.nonzero(distance <= max_distance)
        wanted = (a < b) & (lesions[start + a] != lesions[start + b])
        found.append(np.stack([a[wanted], b[wanted]], axis=1) + start)
    return np.concatenate(found).astype(np.int64) if found else np.empty((0, 2), np.int64)


def _confirm(
    table: pd.DataFrame, images: ImageArray, candidates: NDArray[np.int64], config: SplitConfig
) -> pd.DataFrame:
    """Compare the pixels of candidate pairs; the confirmed ones, most similar first."""
    pixels = images.open()
    step = max(1, images.shape[1] // 36)
    rows = []
    for row_a, row_b in candidates.tolist():
        a, b = (pixels[row, ::step, ::step].astype(np.float64).mean(-1) for row in (row_a, row_b))
        a, b = a - a.mean(), b - b.mean()
        norm = float(np.linalg.norm(a) * np.linalg.norm(b))
        correlation = float((a * b).sum() / norm) if norm else 0.0
        difference = float(np.abs(a - b).mean())
        if correlation < config.min_correlation or difference > config.max_pixel_difference:
            continue
        first, second = table.iloc[row_a], table.iloc[row_b]
        distance = (int(first["phash"], 16) ^ int(second["phash"], 16)).bit_count()
        rows.append(
            (
                first["image_id"],
                second["image_id"],
                row_a,
                row_b,
                first["lesion_id"],
                second["lesion_id"],
                distance,
                difference,
                correlation,
                False,
            )
        )
    pairs = pd.DataFrame(rows, columns=list(PAIR_COLUMNS)).astype(PAIR_COLUMNS)
    return pairs.sort_values(
        ["correlation", "image_a", "image_b"], ascending=[False, True, True], ignore_index=True
    )


def duplicate_sheet(manifest: Manifest, images: ImageArray, duplicates: DuplicateReport) -> bytes:
    """Draw the confirmed pairs side by side, most similar first, as a PNG.

    Args:
        manifest: Table of the images, for their diagnoses.
        images: Their pixels.
        duplicates: The confirmed pairs; at most the first 60 are drawn.
    """
    from skin_lesion.data.contact_sheets import contact_sheet

    pixels = images.open()
    dx = manifest.images["dx"].tolist()
    shown = duplicates.pairs.head(_MAX_SHEET_PAIRS).to_dict("records")
    pictures, captions = [], []
    for pair in shown:
        pictures += [pixels[pair["row_a"]], pixels[pair["row_b"]]]
        fate = "merged" if pair["merged"] else "not merged"
        captions += [
            f"{pair['image_a']} {dx[pair['row_a']]} {pair['lesion_a']}",
            f"{pair['image_b']} {dx[pair['row_b']]} {pair['lesion_b']} "
            f"r={pair['correlation']:.2f} {fate}",
        ]
    title = f"{len(duplicates.pairs)} near-identical pairs with different lesion ids"
    return contact_sheet(pictures, captions, columns=4, title=title)
