"""Turn a data set into one array of pixels and one table, and put aside what cannot be used."""

import hashlib
import logging
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from skin_lesion.data.archives import Entry
from skin_lesion.data.decoding import (
    Decoded,
    Limits,
    Rejection,
    RowChunk,
    RowFile,
    decode_rows,
    read_sizes,
)
from skin_lesion.data.image_array import ImageArray
from skin_lesion.data.images import PixelSpec
from skin_lesion.data.manifest import IMAGE_COLUMNS, QUARANTINE_COLUMNS, Manifest, Provenance
from skin_lesion.data.parallel import map_chunks
from skin_lesion.data.sources import open_source
from skin_lesion.labels import LABELS
from skin_lesion.settings import IngestConfig, SourceConfig, check_seed

logger = logging.getLogger(__name__)

ARRAY_NAME = "images.npy"
_CHUNK_IMAGES = 64
_SAMPLED_HEADERS = 128
_EXAMPLES = 5
_MIN_SIDE = 32
_MAX_SIDE = 4096
_DESCRIBED = fields(Decoded)


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
        image_size: (height, width) of the array's pictures in pixels, each 32 to 4096.
        config: How pictures are read and which are refused.
        seed: Seed of synthetic pictures and of `max_images`, 0 to `settings.MAX_SEED`.
        work_dir: Where the array goes; made where it is missing.

    Raises:
        SourceError: The data set cannot be opened.
        IngestError: No picture, or too small a share of them, can be used.
        ValueError: The image size or the seed is out of range.
    """
    check_seed(seed)
    check_image_size(image_size)
    path = work_dir / ARRAY_NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".partial")
    try:
        with open_source(source, config, seed) as opened:
            ledger = _Ledger(opened.entries, len(opened.metadata), config.max_quarantine_share)
            table = _unambiguous(_typed(opened.metadata), ledger)
            if table.empty:
                ledger.check()
            pixels = _decode(ledger.locate(table), image_size, config, unfinished)
            table = _without_shared_files(_described(table, pixels.found, ledger), ledger)
            ledger.check()
            provenance = Provenance(
                kind=opened.kind,
                source_height=pixels.source_size[0],
                source_width=pixels.source_size[1],
                resize_mode=config.resize_mode,
                **asdict(opened.terms),
            )
        images = _publish(pixels, table["row"].to_numpy(), path)
    finally:
        unfinished.unlink(missing_ok=True)
    level = logging.WARNING if ledger.rows else logging.INFO
    logger.log(level, "%d pictures ingested, %d put aside", len(table), len(ledger.rows))
    columns = table[list(IMAGE_COLUMNS)].astype(IMAGE_COLUMNS).reset_index(drop=True)
    return IngestResult(Manifest(columns, ledger.quarantine(), provenance), images)


def check_image_size(image_size: tuple[int, int]) -> None:
    """Refuse a size that no picture is brought to.

    Raises:
        ValueError: A side is too short or too long.
    """
    for name, side in zip(("height", "width"), image_size, strict=True):
        if not _MIN_SIDE <= side <= _MAX_SIDE:
            raise ValueError(
                f"image_size is {tuple(image_size)}, of which the {name} is {side}; expected "
                f"(height, width) from {_MIN_SIDE} to {_MAX_SIDE} pixels each"
            )


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

    def locate(self, table: pd.DataFrame) -> list[Entry]:
        """Where the pictures of a table lie."""
        return [self.entries[image_id] for image_id in table["image_id"]]

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


@dataclass(frozen=True)
class _Decoding:
    """What came of decoding every picture of a table.

    Attributes:
        rows: The array, in a file that is not yet under its name.
        found: What is known of each row.
        sha256: Checksum of the file.
        source_size: Median (height, width) of the pictures, for which they were decoded.
    """

    rows: np.memmap[tuple[int, ...], np.dtype[np.uint8]]
    found: list[Decoded | Rejection]
    sha256: str
    source_size: tuple[int, int]


def _decode(
    entries: Sequence[Entry], image_size: tuple[int, int], config: IngestConfig, path: Path
) -> _Decoding:
    """Decode pictures into a file.

    How far a picture is reduced depends on the median size of all, which is known for certain when
    all have been read. A sample of headers guesses it; where the guess was wrong, in a data set of
    mixed sizes, everything is decoded a second time.
    """
    limits = Limits(config.max_file_bytes, config.max_pixels)
    guess = _median_size(read_sizes(entries[:: max(1, len(entries) // _SAMPLED_HEADERS)], limits))
    first = _decode_at(guess, entries, image_size, config, limits, path)
    sizes = [(item.height, item.width) for item in first.found if isinstance(item, Decoded)]
    median = _median_size(sizes)
    if median == guess:
        return first
    logger.info("pictures of mixed sizes: decoding again for a median of %d x %d", *median[::-1])
    return _decode_at(median, entries, image_size, config, limits, path)


def _decode_at(
    source_size: tuple[int, int],
    entries: Sequence[Entry],
    image_size: tuple[int, int],
    config: IngestConfig,
    limits: Limits,
    path: Path,
) -> _Decoding:
    """Decode pictures into a file for a given (height, width) of the training source."""
    spec = PixelSpec(*image_size, config.resize_mode, *source_size)
    rows = np.lib.format.open_memmap(path, "w+", np.uint8, (len(entries), *image_size, 3))
    with path.open("rb") as file:
        digest = hashlib.sha256(file.read(rows.offset))
    chunks = [
        RowChunk(i, entries[i : i + _CHUNK_IMAGES]) for i in range(0, len(entries), _CHUNK_IMAGES)
    ]
    work = partial(decode_rows, spec=spec, limits=limits, target=RowFile(path, rows.offset))
    found: list[Decoded | Rejection] = []
    with tqdm(total=len(entries), desc="ingest", unit="image", disable=None) as progress:
        for part in map_chunks(work, chunks, config.workers):
            # Hashed on the way, while the rows are still in memory.
            digest.update(rows[len(found) : len(found) + len(part)].data)
            found.extend(part)
            progress.update(len(part))
    return _Decoding(rows, found, digest.hexdigest(), source_size)


def _median_size(sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Median height and width, each by itself; 1 x 1 without any picture."""
    height, width = np.median(np.array(sizes or [(1, 1)]), axis=0)
    return round(float(height)), round(float(width))


def _described(
    table: pd.DataFrame, found: Sequence[Decoded | Rejection], ledger: _Ledger
) -> pd.DataFrame:
    """Add what is known of each picture and its row, and put the rejected ones aside."""
    for image_id, item in zip(table["image_id"], found, strict=True):
        if isinstance(item, Rejection):
            ledger.add(image_id, item.reason, item.detail)
    known = [item for item in found if isinstance(item, Decoded)]
    sound = [isinstance(item, Decoded) for item in found]
    columns = {field.name: [getattr(item, field.name) for item in known] for field in _DESCRIBED}
    return table[sound].assign(row=np.flatnonzero(sound), **columns)


def _without_shared_files(table: pd.DataFrame, ledger: _Ledger) -> pd.DataFrame:
    """Put aside files that occur under two lesions, where they could cross splits.

    The same file twice within one lesion is harmless.
    """
    shared = table.groupby("sha256")["lesion_id"].transform("nunique") > 1
    sound = _without_twins(
        table[shared], "sha256", ledger, "the same file occurs under another lesion_id"
    )
    return table[~shared | table.index.isin(sound.index)]


def _publish(pixels: _Decoding, kept: NDArray[np.int64], path: Path) -> ImageArray:
    """Drop the rows of rejected pictures and put the file under its name."""
    rows, sha256 = pixels.rows, pixels.sha256
    unfinished = Path(str(rows.filename))
    _, height, width, channels = rows.shape
    shape = (len(kept), height, width, channels)
    if len(kept) < len(rows):
        for row, origin in enumerate(kept):
            if row != origin:
                rows[row] = rows[origin]
        rows.flush()
        with unfinished.open("r+b") as file:
            # The header keeps its length: numpy leaves room in it for a growing first axis.
            np.lib.format.write_array_header_1_0(
                file, {"descr": "|u1", "fortran_order": False, "shape": shape}
            )
            file.truncate(file.tell() + len(kept) * rows[0].nbytes)
            file.seek(0)
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    os.replace(unfinished, path)
    return ImageArray(path, shape, sha256)
