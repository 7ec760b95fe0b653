"""Labelled pictures from elsewhere, on which a finished model is measured.

They are read on the same path as every other picture, reduced to the source size that the model was
trained for, and take part in no fit.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skin_lesion.data.archives import Entry, SourceError
from skin_lesion.data.decoding import Decoded, Limits, Rejection, RowChunk, RowFile, decode_rows
from skin_lesion.data.external_labels import ExternalLabels, image_id_of, put_aside_rows
from skin_lesion.data.images import PixelSpec
from skin_lesion.data.parallel import map_chunks
from skin_lesion.data.sources import list_entries, match_pictures
from skin_lesion.labels import LABELS
from skin_lesion.settings import IngestConfig

_CHUNK_PICTURES = 64

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ExternalSet:
    """Labelled pictures at a model's input size.

    Attributes:
        table: One row for each usable picture: `image_id`, `lesion_id`, `lesion_named`, `dx`,
            `age`, `sex`, `localization`, `sha256` of the file, `width` and `height` of the source.
            Where no lesion is named, each picture counts as a lesion of its own.
        pixels: Shape (N, H, W, 3), RGB.
        put_aside: One row for each picture and each file that is not measured, with
            `QUARANTINE_COLUMNS`: `left_out` by the mapping, `undiagnosed`, `missing`, `unlabelled`,
            `unused`, `duplicate` or why it could not be decoded.
    """

    table: pd.DataFrame
    pixels: NDArray[np.uint8]
    put_aside: pd.DataFrame

    @property
    def classes(self) -> tuple[str, ...]:
        """Codes of the classes that occur, in label order."""
        found = set(self.table["dx"])
        return tuple(label for label in LABELS if label in found)

    @property
    def n_lesion_named(self) -> int:
        """Pictures whose lesion has a name."""
        return int(self.table["lesion_named"].sum())


def read_external(
    pictures: Path, labels: ExternalLabels, spec: PixelSpec, limits: IngestConfig, work_dir: Path
) -> ExternalSet:
    """Decode every labelled picture of a folder or zip.

    Args:
        pictures: Folder or zip; a zip is not trusted.
        labels: Made by `read_labels`.
        spec: Input of the model, with the source size it was trained for.
        limits: What is accepted as a picture, and the number of processes.
        work_dir: Where the pixels are kept while they are used.

    Raises:
        SourceError: The folder or zip is missing or not to be trusted, or no picture is usable.
    """
    if not pictures.exists():
        raise SourceError(f"{pictures} does not exist; name the folder or zip with the pictures")
    wanted = labels.table["image_id"]
    listed = list_entries(pictures, limits.max_archive_bytes)
    entries = match_pictures(listed, wanted)
    present = labels.table[wanted.isin(list(entries))].reset_index(drop=True)
    absent = [
        (image_id, "", "missing", "the labels name it, but there is no such file")
        for image_id in wanted
        if image_id not in entries
    ]
    if present.empty:
        raise SourceError(
            f"{pictures} holds none of the {len(wanted)} labelled pictures; the first is called "
            f"{wanted.iloc[0]!r}"
        )
    logger.info("decoding %d pictures", len(present))
    located = [entries[image_id] for image_id in present["image_id"]]
    path = work_dir / "external.npy"
    rows = np.lib.format.open_memmap(
        path, "w+", np.uint8, (len(located), spec.height, spec.width, 3)
    )
    target = RowFile(path, rows.offset)
    accepted = Limits(limits.max_file_bytes, limits.max_pixels)
    found: list[Decoded | Rejection] = []
    work = _Decoding(spec, accepted, target)
    chunks = [
        RowChunk(i, located[i : i + _CHUNK_PICTURES])
        for i in range(0, len(located), _CHUNK_PICTURES)
    ]
    for part in map_chunks(work, chunks, limits.workers):
        found.extend(part)
    rejected = [
        (image_id, entry.name, item.reason, item.detail)
        for image_id, entry, item in zip(present["image_id"], located, found, strict=True)
        if isinstance(item, Rejection)
    ]
    sound = np.array([isinstance(item, Decoded) for item in found])
    if not sound.any():
        raise SourceError(
            f"none of the {len(located)} pictures of {pictures} can be used; the first: "
            f"{rejected[0][1]}: {rejected[0][3]}"
        )
    decoded = [item for item in found if isinstance(item, Decoded)]
    table = present[sound].assign(
        sha256=[item.sha256 for item in decoded],
        width=[item.width for item in decoded],
        height=[item.height for item in decoded],
    )
    twins = dict(_twins(table))
    kept = table[~table["image_id"].isin(list(twins))]
    if kept.empty:
        raise SourceError(f"{pictures} holds no picture that is labelled without contradiction")
    repeated = [
        (image_id, entries[image_id].name, "duplicate", detail)
        for image_id, detail in twins.items()
    ]
    surplus = _surplus(listed, entries, labels, pictures)
    put_aside = pd.concat(
        [put_aside_rows([*absent, *rejected, *repeated, *surplus]), labels.left_out],
        ignore_index=True,
    ).sort_values(["reason", "image_id", "file"], ignore_index=True)
    pixels = rows if len(kept) == len(rows) else np.asarray(rows[kept.index])
    return ExternalSet(kept.reset_index(drop=True), pixels, put_aside)


def _twins(table: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """Pictures whose very file is there under another name; counted twice, they would look sure."""
    for _, same in table.groupby("sha256", sort=False):
        names = list(same["image_id"])
        if same["dx"].nunique() > 1:
            for name in names:
                yield name, f"the same file has contradictory diagnoses as {', '.join(names)}"
        else:
            for name in names[1:]:
                yield name, f"the same file as {names[0]}"


@dataclass(frozen=True)
class _Decoding:
    """`decode_rows` with all but the chunk settled; goes to worker processes."""

    spec: PixelSpec
    limits: Limits
    target: RowFile

    def __call__(self, chunk: RowChunk) -> list[Decoded | Rejection]:
        return decode_rows(chunk, self.spec, self.limits, self.target)


def _surplus(
    listed: Sequence[Entry], used: Mapping[str, Entry], labels: ExternalLabels, pictures: Path
) -> Iterator[tuple[str, str, str, str]]:
    """Files that are there and not measured, though nothing is wrong with them."""
    taken = {entry.name for entry in used.values()}
    by_name = {image_id.lower(): entry.name for image_id, entry in used.items()}
    left_out = set(labels.left_out["image_id"].str.lower())
    own = labels.path.resolve()
    for entry in listed:
        image_id = image_id_of(entry.name)
        known = image_id.lower()
        # A zip cannot hold the file of labels that was read, whatever its members are called.
        if entry.name in taken or known in left_out or (pictures / entry.name).resolve() == own:
            continue
        if known in by_name:
            yield image_id, entry.name, "unused", f"{by_name[known]} was taken for this name"
        else:
            yield image_id, entry.name, "unlabelled", "no line of the labels names it"
