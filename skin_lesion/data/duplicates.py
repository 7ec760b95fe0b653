"""Near-identical pictures that carry different lesion ids, and the lesion groups they make.

Candidates come from two sides: pictures with similar perceptual hashes, whatever is known of them,
and pictures of which the same is known (diagnosis, age, sex, region of the body), however far their
hashes lie apart, since a dermatoscope turned by twenty degrees changes half of the bits. Candidates
are confirmed on pixels, after alignment, by the fine texture of the skin.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skin_lesion.data.image_array import ImageArray
from skin_lesion.data.manifest import Manifest
from skin_lesion.data.registration import Floats, compare, thumbnails
from skin_lesion.settings import SplitConfig

_MAX_SHEET_PAIRS = 60
_TRUNK = ("abdomen", "back", "chest")

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
        """Pairs whose lesions are in separate groups, since one group would be too large."""
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
    candidates = np.unique(
        np.concatenate(
            [
                _similar_hashes(hashes, lesions, config.max_hash_distance),
                _same_facts(table, lesions),
            ]
        ),
        axis=0,
    )
    boxes = content_boxes(manifest, images) if manifest.provenance.resize_mode == "pad" else None
    pairs = _confirm(table, thumbnails(images, boxes), candidates, hashes, config)
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


def content_boxes(manifest: Manifest, images: ImageArray) -> NDArray[np.int64]:
    """Where each padded picture lies between its borders: left, upper, right, lower, (N, 4)."""
    _, height, width, _ = images.shape
    return padded_content(manifest.images[["width", "height"]].to_numpy(), height, width)


def padded_content(sides: NDArray[np.int64], height: int, width: int) -> NDArray[np.int64]:
    """Where pictures lie between the borders that padding gave them.

    Args:
        sides: Width and height of the pictures before, in pixels, shape (N, 2).
        height: Height of the padded pictures.
        width: Their width.

    Returns:
        Left, upper, right and lower end of each, shape (N, 4).
    """
    sides = sides.astype(np.float64)
    scale = np.minimum(width / sides[:, 0], height / sides[:, 1])
    # A pixel less on each side, where the picture and its border are mixed.
    content = np.maximum(np.floor(sides * scale[:, None]) - 2, 1)
    first = np.floor((np.array([width, height]) - content) / 2)
    return np.hstack([first, first + content]).astype(np.int64)


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


def _same_facts(table: pd.DataFrame, lesions: NDArray[np.intp]) -> NDArray[np.int64]:
    """Row pairs (K, 2), first below second, of different lesions of which the same is known."""
    facts = pd.DataFrame(
        {
            "dx": table["dx"],
            "age": table["age"].fillna(-1.0),
            "sex": table["sex"],
            # The same spot is called "trunk" in one record and "back" in another.
            "region": table["localization"].replace(dict.fromkeys(_TRUNK, "trunk")),
        }
    )
    found = [np.empty((0, 2), np.int64)]
    known = facts.groupby(list(facts), sort=True, dropna=False).ngroup().to_numpy()
    for number in range(known.max(initial=-1) + 1):
        rows = np.flatnonzero(known == number)
        first, second = np.triu_indices(len(rows), k=1)
        a, b = rows[first], rows[second]
        wanted = lesions[a] != lesions[b]
        found.append(np.stack([a[wanted], b[wanted]], axis=1).astype(np.int64))
    return np.concatenate(found)


def _confirm(
    table: pd.DataFrame,
    grey: Floats,
    candidates: NDArray[np.int64],
    hashes: NDArray[np.uint64],
    config: SplitConfig,
) -> pd.DataFrame:
    """Compare thumbnails of candidate pairs; the confirmed ones, most similar first."""
    compared = compare(grey, candidates, config.min_search_score, config.max_pixel_difference)
    a, b = compared.pairs.T
    image_ids, lesion_ids = table["image_id"].to_numpy(), table["lesion_id"].to_numpy()
    pairs = pd.DataFrame(
        {
            "image_a": image_ids[a],
            "image_b": image_ids[b],
            "row_a": a,
            "row_b": b,
            "lesion_a": lesion_ids[a],
            "lesion_b": lesion_ids[b],
            "hash_distance": np.bitwise_count(hashes[a] ^ hashes[b]),
            "pixel_difference": compared.difference,
            "correlation": compared.correlation,
            "merged": False,
        }
    ).astype(PAIR_COLUMNS)
    confirmed = (pairs["correlation"] >= config.min_correlation) & (
        pairs["pixel_difference"] <= config.max_pixel_difference
    )
    return pairs[confirmed].sort_values(
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
            f"{pair['image_a']} {dx[pair['row_a']]}\n{pair['lesion_a']}",
            f"{pair['image_b']} {dx[pair['row_b']]}\n{pair['lesion_b']} "
            f"r {pair['correlation']:.2f} {fate}",
        ]
    title = f"{len(duplicates.pairs)} near-identical pairs with different lesion ids"
    return contact_sheet(pictures, captions, columns=6, title=title, cell_width=190)
