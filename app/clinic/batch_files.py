"""Which pictures were dropped on the page: files as they are, and those inside a zip."""

import logging
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from skin_lesion.batch.inputs import list_inputs
from skin_lesion.data.archives import Reader, SourceError
from skin_lesion.data.images import ImageError
from skin_lesion.settings import BatchConfig, DashboardConfig

log = logging.getLogger(__name__)

# Why a file was not taken; the words for it are `batch.not_taken.<why>`.
Why = Literal["too_large", "too_many", "too_much", "bad_zip", "broken"]
_ZIP_SIGNATURES = (b"PK\x03\x04", b"PK\x05\x06")


@dataclass(frozen=True)
class Given:
    """A picture that waits to be read.

    Attributes:
        name: As its owner calls it; of a member of a zip, its path inside.
        data: Its contents.
    """

    name: str
    data: bytes = field(repr=False)


@dataclass(frozen=True)
class NotTaken:
    """A file that is not read, and of which nothing is written down."""

    name: str
    why: Why


@dataclass
class Room:
    """What there is room for; every picture that is taken makes it less.

    Attributes:
        files: How many pictures.
        bytes: How many bytes of them.
    """

    files: int
    bytes: int

    def refuses(self, size: int) -> Why | None:
        """Why a picture of so many bytes finds no room; None where it does."""
        if self.files < 1:
            return "too_many"
        return "too_much" if size > self.bytes else None

    def take(self, size: int) -> None:
        """One picture of so many bytes more."""
        self.files -= 1
        self.bytes -= size


def take(
    dropped: Iterable[tuple[str, bytes]], room: Room, config: DashboardConfig
) -> Iterator[Given | NotTaken]:
    """The pictures among what was dropped, in that order, as long as there is room.

    Args:
        dropped: Name and contents of each file.
        room: What there is room for; what is taken is taken off it.
        config: How large a picture may be.
    """
    for given, data in dropped:
        # Half a surrogate pair, which a browser may send, is no letter that could be written anywhere.
        name = given.encode("utf-8", "backslashreplace").decode("utf-8")
        if data.startswith(_ZIP_SIGNATURES):
            yield from _unpacked(name, data, room, config)
        else:
            yield _taken(name, data, room, config)


def _taken(name: str, data: bytes, room: Room, config: DashboardConfig) -> Given | NotTaken:
    why = "too_large" if len(data) > config.max_file_bytes else room.refuses(len(data))
    if why is not None:
        return NotTaken(name, why)
    room.take(len(data))
    return Given(name, data)


def _unpacked(
    name: str, data: bytes, room: Room, config: DashboardConfig
) -> Iterator[Given | NotTaken]:
    """The pictures of a zip, none of which is extracted to a path that it names itself."""
    # Directories and prefixes count in bytes of their own; what is taken is counted picture by picture.
    limits = BatchConfig(
        max_file_bytes=config.max_file_bytes,
        max_archive_bytes=max(config.batch_bytes, config.max_file_bytes),
    )
    with tempfile.TemporaryDirectory(prefix="skin-lesion-") as folder:
        path = Path(folder) / "pictures.zip"
        path.write_bytes(data)
        try:
            inputs = list_inputs(str(path), limits).inputs
        except SourceError as error:
            log.info("a zip was refused: %s", error)
            yield NotTaken(name, "bad_zip")
            return
        with Reader(limits.max_file_bytes) as reader:
            for each in inputs:
                # Judged by the size that the zip states, before it is unpacked; that is checked then.
                if why := room.refuses(each.size):
                    yield NotTaken(each.name, why)
                    continue
                try:
                    content = reader.read(each.member())
                except ImageError as error:
                    large = error.reason == "too_large"
                    yield NotTaken(each.name, "too_large" if large else "broken")
                else:
                    yield _taken(each.name, content, room, config)
