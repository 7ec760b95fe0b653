"""Turn a data set into one array of pixels and one table, and put aside what cannot be used."""

import hashlib
import logging
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd

from skin_lesion.data.archives import Entry
from skin_lesion.data.decoding import (
    Decoded,
    Limits,
    Rejection,
    RowChunk,
    RowFile,
    Survey,
    decode_rows,
    survey,
)
from skin_lesion.data.image_array import ImageArray
from skin_lesion.data.images import Pixels, PixelSpec
from skin_lesion.data.manifest import IMAGE_COLUMNS, QUARANTINE_COLUMNS, Manifest, Provenance
from skin_lesion.data.parallel import map_chunks
from skin_lesion.data.sources import open_source
from skin_lesion.labels import LABELS
from skin_lesion.settings import IngestConfig, SourceConfig

logger = logging.getLogger(__name__)

ARRAY_NAME = "images.npy"
_CHUNK_IMAGES = 64
_EXAMPLES = 5

Chunk = TypeVar("Chunk")
Result = TypeVar("Result")


class IngestError(RuntimeError):
    """Too many pictures of the data set cannot be used."""


@dataclass(frozen=True)
class IngestResult:
    """A data set ready for use.

    Attributes:
        manifest: What is known of each picture; row i describes row i of `images`.
        images: Their pixels.
    """

    manifest: Manifest
    images: ImageArray


def ingest(
    source: SourceConfig,
    image_size: tuple[int, int],
    config: IngestConfig,
    seed: int,
    work_dir: Path,
) -> IngestResult:
    """Read every picture of a data set once and write `work_dir/images.npy`.

    Pictures are sorted by image id, so that the result depends neither on the order of the
    metadata nor on the number of workers.

    Args:
        source: The data set.
        image_size: (height, width) of the array's pictures in pixels.
        config: How pictures are read and which are refused.
        seed: Seed of synthetic pictures and of `max_images`.
        work_dir: Where the array goes; made where it is missing.

    Raises:
        SourceError: The data set cannot be opened.
        IngestError: No picture, or too small a share of them, can be used.
    """
    path = work_dir / ARRAY_NAME
    limits = Limits(config.max_file_bytes, config.max_pixels)
    with open_source(source, config, seed) as opened:
        ledger = _Ledger(opened.entries, len(opened.metadata), config.max_quarantine_share)
        table = _survey(_unambiguous(_typed(opened.metadata), ledger), ledger, limits, config)
        ledger.check()
        spec = PixelSpec(
            *image_size,
            config.resize_mode,
            source_height=round(float(table["height"].median())),
            source_width=round(float(table["width"].median())),
        )
        table, images = _decode(table, ledger, spec, limits, config, path)
        provenance = Provenance(
            kind=opened.kind,
            source_height=spec.source_height,
            source_width=spec.source_width,
            resize_mode=config.resize_mode,
            **asdict(opened.terms),
        )
    logger.info("%d pictures ingested, %d put aside", len(table), len(ledger.rows))
    columns = table[list(IMAGE_COLUMNS)].astype(IMAGE_COLUMNS).reset_index(drop=True)
    return IngestResult(Manifest(columns, ledger.quarantine(), provenance), images)


class _Ledger:
    """Which pictures were put aside, and how many may be."""

    def __init__(self, entries: Mapping[str, Entry], total: int, max_share: float) -> None:
        self.entries = entries
        self.total = total
        self.max_share = max_share
        self.rows: list[tuple[str, str, str, str]] = []

    def take(
        self, table: pd.DataFrame, bad: "pd.Series[bool]", reason: str, detail: str
    ) -> pd.DataFrame:
        """Put the bad rows of a table aside and return the rest."""
        for image_id in table["image_id"][bad]:
            self.add(image_id, reason, detail)
        return table[~bad]

    def add(self, image_id: str, reason: str, detail: str) -> None:
        """Put one picture aside."""
        entry = self.entries.get(image_id)
        self.rows.append((image_id, entry.name if entry else "", reason, detail))

    def check(self) -> None:
        """Refuse a data set too much of which cannot be used.

        Raises:
            IngestError: With the counts and the first examples.
        """
        count = len(self.rows)
        if count < self.total and count <= self.max_share * self.total:
            return
        reasons = Counter(reason for _, _, reason, _ in self.rows)
        examples = "\n".join(
            f"  {image_id} ({file or 'no file'}): {reason}: {detail}"
            for image_id, file, reason, detail in sorted(self.rows)[:_EXAMPLES]
        )
        raise IngestError(
            f"{count} of {self.total} pictures cannot be used, above max_quarantine_share="
            f"{self.max_share:g}: {dict(reasons.most_common())}. The first ones:\n{examples}\n"
            "Mend the data set, or raise max_quarantine_share if it is meant to be so."
        )

    def quarantine(self) -> pd.DataFrame:
        """The table of what was put aside, sorted by image id."""
        return pd.DataFrame(sorted(self.rows), columns=list(QUARANTINE_COLUMNS), dtype="str")


def _typed(metadata: pd.DataFrame) -> pd.DataFrame:
    """Give the columns their types, sorted by image id."""
    sex = metadata["sex"].str.lower()
    return metadata.assign(
        dx=metadata["dx"].str.lower(),
        dx_type=metadata["dx_type"].str.lower().replace("", "unknown"),
        age=pd.to_numeric(metadata["age"], errors="coerce"),
        sex=sex.where(sex.isin(("male", "female")), "unknown"),
        localization=metadata["localization"].str.lower().replace("", "unknown"),
    ).sort_values("image_id", kind="stable", ignore_index=True)


def _unambiguous(table: pd.DataFrame, ledger: _Ledger) -> pd.DataFrame:
    """Put aside rows without a known label or a picture, and ids that occur twice."""
    for label in sorted(set(table["dx"]) - set(LABELS)):
        detail = f"dx is {label!r}; expected one of {', '.join(LABELS)}"
        table = ledger.take(table, table["dx"] == label, "unknown_label", detail)
    anonymous = (table["image_id"] == "") | (table["lesion_id"] == "")
    table = ledger.take(table, anonymous, "invalid_metadata", "image_id or lesion_id is empty")
    table = _without_twins(table, "image_id", ledger, "the image_id occurs more than once")
    absent = ~table["image_id"].isin(list(ledger.entries))
    return ledger.take(table, absent, "missing", "the metadata name it, but there is no such file")


def _without_twins(table: pd.DataFrame, key: str, ledger: _Ledger, detail: str) -> pd.DataFrame:
    """Of rows that share a key keep the first, or none where their diagnoses differ."""
    contradictory = table.groupby(key)["dx"].transform("nunique") > 1
    table = ledger.take(
        table, contradictory, "duplicate", f"{detail}, with contradictory diagnoses"
    )
    return ledger.take(table, table.duplicated(key), "duplicate", detail)


def _survey(
    table: pd.DataFrame, ledger: _Ledger, limits: Limits, config: IngestConfig
) -> pd.DataFrame:
    """Add checksum and size, and put aside what cannot be opened or is there twice."""
    entries = [ledger.entries[image_id] for image_id in table["image_id"]]
    chunks = [entries[i : i + _CHUNK_IMAGES] for i in range(0, len(entries), _CHUNK_IMAGES)]
    found = _gather(partial(survey, limits=limits), chunks, len(entries), config, "reading")
    table = _join(table, found, Survey, ledger)
    # The same file twice within a lesion is harmless; under two lesions it would cross splits.
    shared = table.groupby("sha256")["lesion_id"].transform("nunique") > 1
    sound = _without_twins(
        table[shared], "sha256", ledger, "the same file occurs under another lesion_id"
    )
    return table[~shared | table.index.isin(sound.index)]


def _decode(
    table: pd.DataFrame,
    ledger: _Ledger,
    spec: PixelSpec,
    limits: Limits,
    config: IngestConfig,
    path: Path,
) -> tuple[pd.DataFrame, ImageArray]:
    """Write the pixels to `path`, and add hash, brightness and contrast to the table."""
    entries = [ledger.entries[image_id] for image_id in table["image_id"]]
    chunks = [
        RowChunk(i, entries[i : i + _CHUNK_IMAGES]) for i in range(0, len(entries), _CHUNK_IMAGES)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".partial")
    try:
        rows = np.lib.format.open_memmap(
            unfinished, "w+", np.uint8, (len(table), spec.height, spec.width, 3)
        )
        work = partial(
            decode_rows, spec=spec, limits=limits, target=RowFile(unfinished, rows.offset)
        )
        found = _gather(work, chunks, len(entries), config, "decoding")
        table = _join(table, found, Decoded, ledger)
        ledger.check()
        if len(table) < len(rows):
            _drop_rows(unfinished, rows, [isinstance(item, Decoded) for item in found])
        shape = (len(table), *rows.shape[1:])
        with unfinished.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
    return table, ImageArray(path, shape, sha256)


def _gather(
    work: Callable[[Chunk], list[Result]],
    chunks: Sequence[Chunk],
    images: int,
    config: IngestConfig,
    title: str,
) -> list[Result]:
    """Work off all chunks on every core, with a progress bar on a terminal."""
    from tqdm import tqdm

    results: list[Result] = []
    with tqdm(total=images, desc=title, unit="image", disable=None) as progress:
        for part in map_chunks(work, chunks, config.workers):
            results.extend(part)
            progress.update(len(part))
    return results


def _join(
    table: pd.DataFrame,
    found: Sequence[Survey | Decoded | Rejection],
    kind: type[Survey] | type[Decoded],
    ledger: _Ledger,
) -> pd.DataFrame:
    """Add what was found of each row as columns, and put the rejected rows aside."""
    for image_id, item in zip(table["image_id"], found, strict=True):
        if isinstance(item, Rejection):
            ledger.add(image_id, item.reason, item.detail)
    sound = [isinstance(item, kind) for item in found]
    names = [field.name for field in fields(kind)]
    columns = {
        name: [getattr(item, name) for item in found if isinstance(item, kind)] for name in names
    }
    return table[sound].assign(**columns)


def _drop_rows(path: Path, rows: Pixels, sound: Sequence[bool]) -> None:
    """Close the gaps that rejected pictures left in the array's file."""
    kept = np.flatnonzero(sound)
    for row, origin in enumerate(kept):
        if row != origin:
            rows[row] = rows[origin]
    with path.open("r+b") as file:
        # The header keeps its length: numpy leaves room in it for a growing first axis.
        np.lib.format.write_array_header_1_0(
            file,
            {"descr": "|u1", "fortran_order": False, "shape": (len(kept), *rows.shape[1:])},
        )
        file.truncate(file.tell() + len(kept) * rows[0].nbytes)
