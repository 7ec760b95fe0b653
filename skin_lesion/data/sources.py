"""Where pictures and their metadata come from: a folder, a zip, a download, or a drawing board.

Every kind ends up as a folder or zip in the Kaggle layout: `HAM10000_metadata.csv` beside folders
of pictures named `<image_id>.jpg`. Case, nesting and the table's delimiter may differ.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from skin_lesion.data.archives import (
    Entry,
    FileEntry,
    Reader,
    SourceError,
    list_zip,
    zip_directory,
)
from skin_lesion.data.images import ImageError
from skin_lesion.data.terms import Terms, find_terms
from skin_lesion.settings import IngestConfig, SourceConfig, check_seed

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MissingImageError", "Source", "SourceError", "open_source", "source_fingerprint"]

PATH_VARIABLE = "HAM10000_PATH"
METADATA_COLUMNS = ("lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization")
REQUIRED_COLUMNS = ("lesion_id", "image_id", "dx")

_METADATA_STEM = "ham10000_metadata"
_METADATA_SUFFIXES = (".csv", ".tab", ".tsv", ".txt", "")
# The earlier one counts where a picture is there twice.
PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")


class MissingImageError(SourceError):
    """The metadata name a picture that the data set does not hold."""


@dataclass(frozen=True)
class Source:
    """An open data set.

    Attributes:
        metadata: One row for each picture with `METADATA_COLUMNS`, all text, as found; cells that
            the table does not hold are empty.
        entries: Where each picture lies, by image id; a missing picture has none.
        terms: Name, licence and citation.
        kind: `SourceConfig.kind`.
    """

    metadata: pd.DataFrame
    entries: Mapping[str, Entry]
    terms: Terms
    kind: str
    _reader: Reader

    def read(self, image_id: str) -> bytes:
        """Read an encoded picture.

        Raises:
            MissingImageError: The data set holds no such picture.
            ImageError: The file is too large or its zip member is broken.
        """
        entry = self.entries.get(image_id)
        if entry is None:
            raise MissingImageError(f"the data set holds no picture named {image_id!r}")
        try:
            return self._reader.read(entry)
        except FileNotFoundError as error:
            raise MissingImageError(f"{entry.name} is gone: {error}") from error


@contextmanager
def open_source(config: SourceConfig, ingest: IngestConfig, seed: int) -> Iterator[Source]:
    """Open a data set; the kinds `kaggle` and `dataverse` download it once.

    Args:
        config: Which one, and how much of it.
        ingest: Limits on files and archives.
        seed: Draws the synthetic pictures and chooses the lesions of `max_images`.

    Raises:
        SourceError: It cannot be found, downloaded, trusted or understood.
        ValueError: The seed is out of range.
    """
    check_seed(seed)
    if config.kind == "synthetic":
        from skin_lesion.data.synthetic import synthetic_metadata, write_synthetic

        metadata = synthetic_metadata(config.synthetic, seed)
        metadata = select_lesions(metadata, config.max_images, seed)
        with tempfile.TemporaryDirectory(prefix="skin-lesion-") as folder:
            path = Path(folder) / "synthetic.zip"
            write_synthetic(path, metadata, config.synthetic, seed, ingest.workers)
            with _open_path(path, config, ingest, seed) as source:
                yield source
    else:
        with _open_path(_locate(config), config, ingest, seed) as source:
            yield source


def source_fingerprint(config: SourceConfig, seed: int) -> str:
    """SHA-256 that changes when a picture or the metadata change; reads no picture.

    A zip is known by its directory, a folder by the path, size and time of its files. A download
    is known by its address: its checksums are verified when it is fetched.

    Raises:
        SourceError: A local data set cannot be found.
        ValueError: The seed is out of range.
    """
    check_seed(seed)
    identity = {**config.model_dump(exclude={"path"}), "seed": seed}
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode())
    if config.kind == "local":
        for line in sorted(_content(_local_path(config))):
            digest.update(line.encode(errors="surrogateescape") + b"\n")
    return digest.hexdigest()


def select_lesions(metadata: pd.DataFrame, max_images: int | None, seed: int) -> pd.DataFrame:
    """Keep about `max_images` rows: whole lesions, with the classes in proportion.

    Which lesions is decided by a hash of seed and lesion id, so that it depends neither on the
    order of the rows nor on the machine. Every class keeps at least one lesion.
    """
    if max_images is None or len(metadata) <= max_images:
        return metadata
    lesions = metadata.groupby("lesion_id", sort=True).agg(
        dx=("dx", "min"), images=("image_id", "size")
    )
    lesions["order"] = [
        hashlib.sha256(f"{seed}:{lesion}".encode()).hexdigest() for lesion in lesions.index
    ]
    kept: list[str] = []
    for _, group in lesions.sort_values("order").groupby("dx", sort=True):
        quota = max_images * group["images"].sum() / len(metadata)
        # A lesion is kept where it brings the class nearer to its quota than leaving it out.
        chosen = group[group["images"].cumsum() - group["images"] / 2 <= quota]
        kept.extend(chosen.index if len(chosen) else group.index[:1])
    return metadata[metadata["lesion_id"].isin(kept)].reset_index(drop=True)


def _locate(config: SourceConfig) -> Path:
    if config.kind == "local":
        return _local_path(config)
    from skin_lesion.data import downloads

    if config.kind == "kaggle":
        return downloads.fetch_kaggle(config.kaggle_handle)
    return downloads.fetch_dataverse(config.dataverse_url, config.dataverse_doi)


def _local_path(config: SourceConfig) -> Path:
    given = config.path or os.environ.get(PATH_VARIABLE)
    if not given:
        raise SourceError(
            f"source.kind is 'local' but neither source.path nor {PATH_VARIABLE} is set: give the "
            "folder or zip that holds HAM10000_metadata.csv and the folders of pictures"
        )
    path = Path(given).expanduser()
    if not path.exists():
        name = "source.path" if config.path else PATH_VARIABLE
        raise SourceError(
            f"{name} is {given!r}, which does not exist: give the folder or zip that holds "
            "HAM10000_metadata.csv and the folders of pictures"
        )
    return path


@contextmanager
def _open_path(
    path: Path, config: SourceConfig, ingest: IngestConfig, seed: int
) -> Iterator[Source]:
    entries = list_entries(path, ingest.max_archive_bytes)
    with Reader(ingest.max_file_bytes) as reader:
        table = _metadata_entry(path, entries)
        metadata = select_lesions(_read_metadata(path, table, reader), config.max_images, seed)
        yield Source(
            metadata,
            match_pictures(entries, metadata["image_id"]),
            find_terms(set(metadata["image_id"]), set(metadata["lesion_id"]), table, entries),
            config.kind,
            reader,
        )


def list_entries(path: Path, max_archive_bytes: int) -> list[Entry]:
    """Everything in a folder or zip, and in the zips that lie in the folder."""
    if not path.is_dir():
        return list(list_zip(path, max_archive_bytes=max_archive_bytes))
    entries: list[Entry] = []
    for file in _walk(path):
        if _is_picture_zip(file):
            entries.extend(list_zip(Path(file.path), max_archive_bytes=max_archive_bytes))
        else:
            entries.append(file)
    return entries


def _content(path: Path) -> Iterator[str]:
    """One line for each file of a folder or zip that changes when the file does."""
    if not path.is_dir():
        for member in zip_directory(path):
            yield f"{member.filename}\t{member.file_size}\t{member.CRC}"
        return
    for file in _walk(path):
        yield f"{file.name}\t{file.size}\t{os.stat(file.path).st_mtime_ns}"


def _walk(root: Path) -> Iterator[FileEntry]:
    """Every file below a folder; linked folders count, and are entered once."""
    visited: set[tuple[int, int]] = set()
    pending = [root]
    while pending:
        folder = pending.pop()
        identity = os.stat(folder)
        if (identity.st_dev, identity.st_ino) in visited:
            continue
        visited.add((identity.st_dev, identity.st_ino))
        with os.scandir(folder) as items:
            for item in items:
                if item.name.startswith("."):
                    continue
                if item.is_dir():
                    pending.append(Path(item.path))
                elif item.is_file():
                    name = Path(item.path).relative_to(root).as_posix()
                    yield FileEntry(item.path, name, item.stat().st_size)


def _base(entry: Entry) -> str:
    return entry.name.rpartition("/")[2]


def _stem_and_suffix(entry: Entry) -> tuple[str, str]:
    """Name without folder in two parts, in lower case."""
    # Not pathlib: this runs for every file, and a path object takes ten times as long.
    return os.path.splitext(_base(entry).lower())


def _is_picture_zip(entry: Entry) -> bool:
    stem, suffix = _stem_and_suffix(entry)
    return suffix == ".zip" and stem.startswith("ham10000_images")


def _read_metadata(path: Path, entry: Entry, reader: Reader) -> pd.DataFrame:
    import pandas as pd

    try:
        text = reader.read(entry).decode("utf-8-sig")
    except (ImageError, UnicodeDecodeError) as error:
        raise SourceError(f"{entry.name} in {path} cannot be read: {error}") from error
    header = text.split("\n", 1)[0]
    delimiter = max("\t;,", key=header.count)
    try:
        table = pd.read_csv(io.StringIO(text), sep=delimiter, dtype=str, keep_default_na=False)
    except pd.errors.ParserError as error:
        raise SourceError(f"{entry.name} in {path} is not a table: {error}") from error
    except pd.errors.EmptyDataError as error:
        raise SourceError(f"{entry.name} in {path} is empty") from error
    table = table.rename(columns=lambda name: str(name).strip().lower())
    absent = [name for name in REQUIRED_COLUMNS if name not in table.columns]
    if absent:
        raise SourceError(
            f"{entry.name} in {path} lacks the columns {absent}; it has {list(table.columns)}"
        )
    if table.empty:
        raise SourceError(f"{entry.name} in {path} is empty below its header")
    table = table.reindex(columns=list(METADATA_COLUMNS), fill_value="").fillna("")
    return table.assign(**{name: table[name].str.strip() for name in METADATA_COLUMNS})


def _metadata_entry(path: Path, entries: list[Entry]) -> Entry:
    candidates: list[tuple[int, str, Entry]] = []
    for entry in entries:
        stem, suffix = _stem_and_suffix(entry)
        if stem == _METADATA_STEM and suffix in _METADATA_SUFFIXES:
            rank = _METADATA_SUFFIXES.index(suffix)
            candidates.append((rank, entry.name, entry))
    if not candidates:
        raise SourceError(
            f"{path} holds no HAM10000_metadata.csv ({len(entries)} other files were found): give "
            "the folder or zip that holds it beside the folders of pictures"
        )
    return min(candidates, key=lambda candidate: candidate[:2])[2]


def match_pictures(entries: list[Entry], image_ids: pd.Series[str]) -> dict[str, Entry]:
    """Find the picture of each image id, whatever its folder and case."""
    wanted = {image_id.lower(): image_id for image_id in image_ids}
    best: dict[str, tuple[int, str, Entry]] = {}
    for entry in entries:
        stem, suffix = _stem_and_suffix(entry)
        image_id = wanted.get(stem)
        if image_id is None or suffix not in PICTURE_SUFFIXES:
            continue
        candidate = (PICTURE_SUFFIXES.index(suffix), entry.name, entry)
        if image_id not in best or candidate[:2] < best[image_id][:2]:
            best[image_id] = candidate
    return {image_id: entry for image_id, (_, _, entry) in best.items()}
