"""What is to be scored: the pictures of a folder, zip, CSV of paths or S3 prefix, in a stable order.

An input is known by where it lies and by what tells that it changed (time, checksum or ETag), so
that the same listing means the same pictures. Nothing is read here but directories.
"""

import csv
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, Self

from skin_lesion.data.archives import FileEntry, SourceError, ZipEntry, list_zip
from skin_lesion.data.sources import list_entries
from skin_lesion.settings import BatchConfig

Kind = Literal["file", "member", "object"]

S3 = "s3://"
# Columns of a CSV that may name the picture; the first that is there counts.
PATH_COLUMNS = ("path", "file", "filename", "file_name", "image", "image_path", "uri", "url")
UNKNOWN_SIZE = -1
_LISTING_ATTEMPTS = 3
_DELIMITERS = "\t;,"


@dataclass(frozen=True, slots=True)
class Input:
    r"""One picture to be scored.

    Attributes:
        name: What the table of predictions calls it: its path inside the source. Bytes that are no
            UTF-8 stand there as `\xff`.
        kind: `file` of this machine, `member` of a zip, or `object` of S3.
        address: Path of the file or zip, or `s3://bucket/key`. Bytes that are no UTF-8 are kept as
            lone surrogates, as Python's own file functions do.
        size: Bytes of the encoded picture; `UNKNOWN_SIZE` where that was not asked for.
        stamp: Changes when the picture does: time of a file, or of its zip; ETag of an object;
            empty where that is unknown.
        offset: Where the member starts in its zip; like all that follows 0 for other kinds.
        compressed_size: Bytes it takes there.
        method: How it is compressed.
        crc: CRC-32 of its unpacked bytes.
    """

    name: str
    kind: Kind
    address: str
    size: int
    stamp: str
    offset: int = 0
    compressed_size: int = 0
    method: int = 0
    crc: int = 0

    def to_json(self) -> str:
        """One line of ASCII, whatever bytes the names hold."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The input that `to_json` wrote."""
        return cls(**json.loads(text))

    def member(self) -> ZipEntry:
        """The same as the reader of zips wants it."""
        return ZipEntry(
            self.address, self.name, self.offset, self.compressed_size, self.size, self.method,
            self.crc,
        )  # fmt: skip


@dataclass(frozen=True)
class Listing:
    """Everything to be scored.

    Attributes:
        source: The source as it was named, local paths made absolute.
        inputs: In the order of the rows: by name, or in the order of the CSV.
        left_out: Files that do not count as pictures.
        fingerprint: SHA-256 that changes when an input is added, removed, moved or changed.
    """

    source: str
    inputs: list[Input]
    left_out: int
    fingerprint: str


def list_inputs(source: str, config: BatchConfig) -> Listing:
    """List a source.

    Args:
        source: A folder, a zip, a CSV file with a column of paths, or `s3://bucket/prefix`. Paths in
            a CSV count from its folder, and may name objects of S3.
        config: Which files count as pictures, and limits.

    Raises:
        SourceError: It does not exist, holds no picture, is not to be trusted or not understood.
        OSError: A folder cannot be read.
    """
    if source.startswith(S3):
        named, (inputs, left_out) = source, _objects(source, config)
    else:
        path = Path(source).expanduser().absolute()
        named, (inputs, left_out) = str(path), _local(path, config)
    if not inputs:
        raise SourceError(
            f"{source} holds no picture ({left_out} other files); pictures are files that end in "
            f"{', '.join(config.suffixes)}"
        )
    digest = hashlib.sha256()
    for each in inputs:
        digest.update(each.to_json().encode() + b"\n")
    return Listing(named, inputs, left_out, digest.hexdigest())


def printable(name: str) -> str:
    r"""A name as valid Unicode: bytes that are no UTF-8 become `\xff`."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _local(path: Path, config: BatchConfig) -> tuple[list[Input], int]:
    if path.is_dir():
        return _files(path, config)
    if not path.exists():
        raise SourceError(
            f"{path} does not exist; name a folder, a zip, a CSV of paths or s3://bucket/prefix"
        )
    suffix = path.suffix.lower()
    if suffix == ".zip":
        return _chosen(list(list_zip(path, max_archive_bytes=config.max_archive_bytes)), config)
    if suffix in (".csv", ".tsv", ".txt"):
        return list(_named_in(path)), 0
    raise SourceError(
        f"{path} is neither a folder nor a .zip nor a .csv; for single pictures there is "
        "`skin-lesion predict`"
    )


def _files(folder: Path, config: BatchConfig) -> tuple[list[Input], int]:
    for attempt in range(1, _LISTING_ATTEMPTS + 1):
        try:
            return _chosen(list_entries(folder, config.max_archive_bytes), config)
        except FileNotFoundError as error:
            # Somebody removes files while they are listed; the next look may find it at rest.
            if attempt == _LISTING_ATTEMPTS or not folder.is_dir():
                raise SourceError(
                    f"{folder} keeps changing while it is listed ({error}); try again when it is "
                    "at rest"
                ) from error
    raise AssertionError("unreachable")


def _chosen(entries: list[FileEntry | ZipEntry], config: BatchConfig) -> tuple[list[Input], int]:
    """The entries that count as pictures, by name, and how many do not."""
    stamps: dict[str, str] = {}
    inputs = []
    for entry in entries:
        if not _is_picture(entry.name, config):
            continue
        if isinstance(entry, FileEntry):
            inputs.append(
                Input(printable(entry.name), "file", entry.path, entry.size, _stamp(entry.path))
            )
            continue
        if entry.archive not in stamps:
            stamps[entry.archive] = archive_stamp(entry.archive)
        inputs.append(
            Input(
                printable(entry.name), "member", entry.archive, entry.size, stamps[entry.archive],
                entry.offset, entry.compressed_size, entry.method, entry.crc,
            )
        )  # fmt: skip
    inputs.sort(key=lambda each: (each.name, each.address))
    return inputs, len(entries) - len(inputs)


def archive_stamp(path: str) -> str:
    """Changes when a zip is replaced, so that no member is looked for where it no longer lies."""
    status = os.stat(path)
    return f"{status.st_size}:{status.st_mtime_ns}"


def _stamp(path: str) -> str:
    return str(os.stat(path).st_mtime_ns)


def _is_picture(name: str, config: BatchConfig) -> bool:
    base = name.rpartition("/")[2]
    # A leading dot hides what systems keep beside pictures, such as macOS's `._name.jpg`.
    return base.lower().endswith(config.suffixes) and not base.startswith(".")


def _named_in(table: Path) -> Iterator[Input]:
    """One input for each row of a CSV, missing files and repetitions included."""
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            header = file.readline()
            file.seek(0)
            reader = csv.reader(file, delimiter=max(_DELIMITERS, key=header.count), strict=True)
            names = [name.strip().lower() for name in next(reader, [])]
            column = next((names.index(name) for name in PATH_COLUMNS if name in names), None)
            if column is None:
                raise SourceError(
                    f"{table} has the columns {names}; none of them names the picture: expected one "
                    f"of {', '.join(PATH_COLUMNS)} in the first line"
                )
            for cells in reader:
                if cells:
                    name = cells[column] if column < len(cells) else ""
                    yield _named(name, table, reader.line_num)
    except (UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"{table} cannot be read as a CSV file in UTF-8: {error}") from error


def _named(name: str, table: Path, line: int) -> Input:
    if name.startswith(S3):
        return Input(name, "object", name, UNKNOWN_SIZE, "")
    if "://" in name:
        raise SourceError(f"{table}, line {line}: {name!r} is neither a path nor an s3:// address")
    address = os.path.join(table.parent, name) if name else ""
    try:
        status = os.stat(address)
    except (OSError, ValueError):  # ValueError: a name with a zero byte
        return Input(name, "file", address, UNKNOWN_SIZE, "")
    return Input(name, "file", address, status.st_size, str(status.st_mtime_ns))


def _objects(source: str, config: BatchConfig) -> tuple[list[Input], int]:
    """The objects below a prefix, page by page; of each only what is needed is kept."""
    from skin_lesion.batch.s3 import list_objects

    if source.lower().endswith((".zip", ".csv")):
        raise SourceError(f"{source} is a single object; download it and name the file")
    inputs, seen = [], 0
    for found in list_objects(source):
        seen += 1
        if _is_picture(found.name, config):
            inputs.append(Input(found.name, "object", found.address, found.size, found.etag))
    inputs.sort(key=lambda each: each.address)
    return inputs, seen - len(inputs)
