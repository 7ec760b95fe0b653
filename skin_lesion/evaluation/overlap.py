"""Which pictures from elsewhere the model has seen while it was made: they would flatter it."""

from dataclasses import dataclass
from html import escape

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from skin_lesion.data.duplicates import padded_content
from skin_lesion.data.external import ExternalSet
from skin_lesion.data.pages import figures_table, mark
from skin_lesion.data.seen import HASH_BITS, SeenPictures, checksum_bytes, coefficients
from skin_lesion.data.terms import HAM10000
from skin_lesion.evaluation.figures import Figures
from skin_lesion.settings import ResizeMode

OVERLAP_COLUMNS: tuple[str, ...] = ("image_id", "lesion_id", "kind", "split", "distance")
_KINDS = {
    "exact": "The very same file",
    "near": "A copy: saved anew, resized, mirrored or turned by quarters",
    "same_lesion": "Another picture of a lesion of which one was recognised",
}


class OverlapFigures(Figures):
    """How many pictures the model has seen.

    Attributes:
        checked: Whether this could be told: the model carries hashes of what it has seen.
        data: Name of the data set that it was made with; None where it is not known.
        n_seen: Pictures of training and validation that it carries hashes of.
        max_distance: Bits of 255 in which a copy may differ.
        resize_mode: How the pictures were brought to the size of the model's input. Where they
            were cropped, copies of another shape may go unnoticed.
        counts: Pictures by kind (`exact`, `near`, `same_lesion`) and split (`train`, `val`).
    """

    checked: bool
    data: str | None = None
    n_seen: int = 0
    max_distance: int
    resize_mode: ResizeMode
    counts: dict[str, dict[str, int]] = Field(default_factory=dict)

    @property
    def total(self) -> int:
        """Pictures that are left out of the figures."""
        return sum(sum(of_kind.values()) for of_kind in self.counts.values())


@dataclass(frozen=True)
class Overlap:
    """What was found.

    Attributes:
        figures: In numbers.
        table: One row for each picture that was seen, with `OVERLAP_COLUMNS`: `distance` in bits of
            255, none for another picture of the lesion.
        unseen: Which pictures are left to measure on, ascending rows.
    """

    figures: OverlapFigures
    table: pd.DataFrame
    unseen: NDArray[np.int64]


def find_overlap(
    seen: SeenPictures | None, external: ExternalSet, resize_mode: ResizeMode, max_distance: int
) -> Overlap:
    """Look for pictures that the model has seen.

    A lesion of which one picture was seen is left out with all of its pictures.

    Args:
        seen: What the model has seen; None where it does not say.
        external: The pictures.
        resize_mode: How they were brought to the size of the model's input.
        max_distance: Bits of 255 in which a copy may differ.
    """
    table = external.table
    rows = np.arange(len(table))
    if seen is None:
        nothing = pd.DataFrame(columns=list(OVERLAP_COLUMNS))
        unchecked = OverlapFigures(
            checked=False, max_distance=max_distance, resize_mode=resize_mode
        )
        return Overlap(unchecked, nothing, rows)
    boxes = None
    if resize_mode == "pad":
        height, width = external.pixels.shape[1:3]
        boxes = padded_content(table[["width", "height"]].to_numpy(), height, width)
    spectra = coefficients(external.pixels, rows, boxes)
    found = seen.match(checksum_bytes(list(table["sha256"])), spectra)
    copies = found.exact | (found.distance <= max_distance)
    split = pd.Series(found.split, dtype="str").where(copies)
    kind = pd.Series(np.where(found.exact, "exact", "near"), dtype="str").where(copies)
    distance = pd.Series(found.distance, dtype="Int64").where(copies)
    # A lesion's other pictures follow the first of it that was recognised, those of training first.
    of_lesion = split.groupby(table["lesion_id"]).transform("min")
    listed = table[["image_id", "lesion_id"]].assign(
        kind=kind.fillna("same_lesion"), split=of_lesion.where(~copies, split), distance=distance
    )[of_lesion.notna().to_numpy()]
    figures = OverlapFigures(
        checked=True,
        data=seen.data,
        n_seen=len(seen),
        max_distance=max_distance,
        resize_mode=resize_mode,
        counts={
            name: {key: int(n) for key, n in group["split"].value_counts().sort_index().items()}
            for name, group in listed.groupby("kind")
        },
    )
    return Overlap(figures, listed.reset_index(drop=True), rows[of_lesion.isna().to_numpy()])


def blind_spots(figures: OverlapFigures) -> str:
    """What the check cannot see, as text that goes on after a semicolon."""
    of_crops = (
        "copies of another shape and quarter turns, since the model's input is cropped, "
        if figures.resize_mode == "crop"
        else ""
    )
    return (
        f"cropped, framed or slightly turned copies, {of_crops}and other photographs of the same "
        "lesion would not be recognised"
    )


def overlap_words(figures: OverlapFigures) -> str:
    """How many pictures are left out and why, as text."""
    was = "picture was" if figures.total == 1 else "pictures were"
    are = "is" if figures.total == 1 else "are"
    return f"{figures.total:,} {was} seen in training or validation, or {are} of a lesion that was"


def verdict(figures: OverlapFigures, n_measured: int) -> str:
    """One paragraph that stands above the figures, as HTML.

    Args:
        figures: What was found.
        n_measured: Pictures that the figures are of.
    """
    if not figures.checked:
        return (
            f"<p>{mark('look', 'Overlap with the training pictures not checked')} This version of "
            "the model does not carry hashes of the pictures that it has seen. If it has seen some "
            "of these, the figures flatter it. A version that the pipeline registers today carries "
            "them.</p>"
        )
    made_with = f"{figures.n_seen:,} pictures of {escape(figures.data or '')}"
    if not figures.total:
        return (
            f"<p>{mark('good', 'No overlap with training or validation pictures found')} None of "
            f"the pictures was recognised as one of the {made_with} that the model was trained and "
            f"chosen by, or as a copy of one; {blind_spots(figures)}.</p>"
        )
    return (
        f"<p>{mark('bad', overlap_words(figures))} Of {figures.total + n_measured:,} pictures "
        f"{figures.total:,} were recognised as one of the {made_with} that the model was trained and "
        "chosen by, as a copy of one, or as of a lesion of which one was recognised. <b>All figures of this page "
        "are without them</b>, but for the last column of the table Overall.</p>"
    )


def overlap_section(figures: OverlapFigures) -> str:
    """What was found and how, as HTML."""
    if not figures.checked:
        return (
            "<p>Not checked: the model carries no hashes of its pictures. Public collections share "
            f"pictures; those of {HAM10000.name}, for one, are in the ISIC archive too.</p>"
        )
    rows = [
        [
            escape(words),
            *(str(figures.counts.get(kind, {}).get(split, 0)) for split in ("train", "val")),
        ]
        for kind, words in _KINDS.items()
    ]
    of_crops = (
        " Pictures are cropped to the shape of this model's input: quarter turns and copies of another "
        "shape may go unseen too."
        if figures.resize_mode == "crop"
        else ""
    )
    archive = (
        f"The pictures of {HAM10000.name} are in the ISIC archive too. "
        if figures.data == HAM10000.name
        else ""
    )
    return (
        figures_table(("Pictures", "Of training", "Of validation"), rows)
        + ("<p>They are listed in <code>overlap.csv</code>.</p>" if figures.total else "")
        + f"<p class='quiet'>{archive}A file is told by its SHA-256, a copy by a perceptual hash of "
        f"{HASH_BITS} bits, of which at most {figures.max_distance} differ in one of eight "
        "positions. Copies that were cropped by more than a fiftieth of a side, framed, turned by a "
        "few degrees or changed much in contrast go unseen, and so does another photograph of a "
        f"lesion of the training or validation pictures.{of_crops}</p>"
    )
