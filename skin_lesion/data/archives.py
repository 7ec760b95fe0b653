"""Where the bytes of a picture lie: a file in a folder, or a member of a zip that is not trusted.

Nothing is ever extracted. Members are read in place, by offset, so that a worker process needs no
directory of the archive and a hostile name has no path to reach.
"""

import io
import re
import stat
import struct
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from skin_lesion.data.images import ImageError

# Deflate reaches about 1000 to 1; pictures are compressed already and metadata reach about 10.
_MAX_RATIO = 200
_RATIO_FREE_BYTES = 2**20
# What packing may add to a member: deflate needs a few bytes more for what it cannot shrink.
_PACKING_BYTES = 2**16
_MAX_MEMBERS = 1_000_000
# zipfile reads the directory at one go; a usual record of it takes about 100 bytes.
_MAX_DIRECTORY_BYTES = 128 * _MAX_MEMBERS
_LOCAL_HEADER = struct.Struct("<4s22xHH")
_ENCRYPTED = 0x1
# Separators, drives and terminators of other systems; no data set needs them in a name.
_SUSPICIOUS = re.compile(r"^$|[\\:\0]")


class SourceError(RuntimeError):
    """A data set that cannot be used; the message says what to do."""


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file in a folder.

    Attributes:
        path: The file.
        name: Path inside the data set, for messages.
        size: Bytes.
    """

    path: str
    name: str
    size: int


@dataclass(frozen=True, slots=True)
class ZipEntry:
    """A member of a zip.

    Attributes:
        archive: The zip.
        name: Path inside the zip, for messages only.
        offset: Where its local header starts.
        compressed_size: Bytes in the zip.
        size: Bytes when unpacked.
        method: Compression method.
        crc: CRC-32 of the unpacked bytes.
    """

    archive: str
    name: str
    offset: int
    compressed_size: int
    size: int
    method: int
    crc: int


Entry = FileEntry | ZipEntry


def list_zip(path: Path, *, max_archive_bytes: int) -> list[ZipEntry]:
    """List the files of a zip after checking that it is harmless.

    Raises:
        SourceError: The zip is broken, encrypted or too large when unpacked, or holds symbolic
            links, ambiguous names or names that lead outside of it.
    """
    members = [member for member in zip_directory(path) if not member.is_dir()]
    total = sum(member.file_size for member in members)
    if total > max_archive_bytes:
        raise SourceError(
            f"{path} unpacks to {total} bytes; at most {max_archive_bytes} are accepted. Raise "
            "max_archive_bytes of ingest if you trust it."
        )
    seen: set[str] = set()
    for member in members:
        _refuse_unsafe(path, member)
        if member.filename in seen:
            raise SourceError(f"{path} holds {member.filename!r} twice; which one counts?")
        seen.add(member.filename)
    return [
        ZipEntry(
            str(path),
            member.filename,
            member.header_offset,
            member.compress_size,
            member.file_size,
            member.compress_type,
            member.CRC,
        )
        for member in members
    ]


def zip_directory(path: Path) -> list[zipfile.ZipInfo]:
    """Read the central directory of a zip.

    Raises:
        SourceError: It is not a zip, it is broken, or it has too many members.
    """
    try:
        with _DirectoryFile(path) as file, zipfile.ZipFile(file) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError, struct.error) as error:
        raise SourceError(
            f"{path} is not a readable zip ({error}); download it again or give a folder"
        ) from error
    if len(members) > _MAX_MEMBERS:
        raise SourceError(
            f"{path} has {len(members)} members; at most {_MAX_MEMBERS} are accepted. Unpack it "
            "and give the folder if you trust it."
        )
    return members


class _DirectoryFile(io.FileIO):
    """A zip opened for its directory, of which no absurd amount is read into memory."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > _MAX_DIRECTORY_BYTES:
            raise zipfile.BadZipFile(
                f"its directory takes {size} bytes; at most {_MAX_DIRECTORY_BYTES} are accepted"
            )
        return super().read(size)


def _refuse_unsafe(path: Path, member: zipfile.ZipInfo) -> None:
    # `orig_filename` is what the archive says before zipfile tidies it up.
    name = member.orig_filename
    if name.startswith("/") or ".." in name.split("/") or _SUSPICIOUS.search(name):
        raise SourceError(f"{path} holds {name!r}, a name that leads outside of it; refused")
    if stat.S_ISLNK(member.external_attr >> 16):
        raise SourceError(f"{path} holds the symbolic link {name!r}; refused")
    if member.flag_bits & _ENCRYPTED:
        raise SourceError(f"{path} holds the encrypted member {name!r}; decrypt the zip first")


@dataclass
class Reader:
    """Reads entries and keeps the zips they lie in open until it is closed."""

    max_file_bytes: int
    _archives: dict[str, BinaryIO] = field(default_factory=dict, repr=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every zip."""
        while self._archives:
            self._archives.popitem()[1].close()

    def read(self, entry: Entry) -> bytes:
        """Read the bytes of an entry.

        Raises:
            ImageError: The entry is too large, broken or compressed suspiciously well.
            FileNotFoundError: The file, or the zip, is gone.
        """
        if entry.size > self.max_file_bytes:
            raise ImageError(
                "too_large",
                f"the file holds {entry.size} bytes; at most {self.max_file_bytes} are accepted",
            )
        if isinstance(entry, FileEntry):
            with open(entry.path, "rb") as file:
                return file.read(self.max_file_bytes + 1)[: self.max_file_bytes]
        return self._read_member(entry)

    def _read_member(self, entry: ZipEntry) -> bytes:
        if entry.compressed_size > self.max_file_bytes + _PACKING_BYTES:
            raise ImageError(
                "too_large",
                f"the zip member takes {entry.compressed_size} bytes; at most "
                f"{self.max_file_bytes + _PACKING_BYTES} are accepted",
            )
        if entry.size > max(_RATIO_FREE_BYTES, _MAX_RATIO * entry.compressed_size):
            raise ImageError(
                "bomb",
                f"{entry.compressed_size} bytes unpack to {entry.size}; at most {_MAX_RATIO} to 1 "
                "is accepted",
            )
        archive = self._archives.get(entry.archive)
        if archive is None:
            # Closed by `close`, since many members are read from one archive.
            archive = self._archives[entry.archive] = open(entry.archive, "rb")  # noqa: SIM115
        archive.seek(entry.offset)
        header = archive.read(_LOCAL_HEADER.size)
        if len(header) < _LOCAL_HEADER.size or not header.startswith(b"PK\x03\x04"):
            raise ImageError("unreadable", "the zip has no such member where its directory says")
        _, name_length, extra_length = _LOCAL_HEADER.unpack(header)
        archive.seek(name_length + extra_length, 1)
        packed = archive.read(entry.compressed_size)
        if len(packed) < entry.compressed_size:
            raise ImageError("truncated", "the zip ends inside this member")
        data = _unpack(packed, entry)
        if len(data) != entry.size or zlib.crc32(data) != entry.crc:
            raise ImageError("unreadable", "the zip's checksum does not match this member")
        return data


def _unpack(packed: bytes, entry: ZipEntry) -> bytes:
    if entry.method == zipfile.ZIP_STORED:
        return packed
    if entry.method != zipfile.ZIP_DEFLATED:
        raise ImageError(
            "unreadable", f"zip method {entry.method} is not supported; store or deflate it"
        )
    try:
        # One byte more than declared is enough to notice a lie, and bounds the memory.
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, entry.size + 1)
    except zlib.error as error:
        raise ImageError("unreadable", f"the zip member is broken: {error}") from error
