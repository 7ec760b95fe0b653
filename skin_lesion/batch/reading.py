"""The bytes of an input, or the reason why there are none.

A picture that is gone or may not be read is a row of the table; a store that cannot be reached, or
a zip that was replaced, concerns every row and stops the run.
"""

import errno
import os
import stat
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

from skin_lesion.batch.inputs import Input, archive_stamp
from skin_lesion.data.archives import Reader, SourceError
from skin_lesion.data.images import ImageError, Reason

# Besides those of `ImageError`.
MISSING: Literal["missing"] = "missing"
NO_ACCESS: Literal["no_access"] = "no_access"

# What a file itself is to blame for; whatever else goes wrong is the machine's, or the store's.
_OWN_FAULTS = frozenset(
    {
        errno.EACCES, errno.EPERM, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EIO,
        errno.ENXIO, errno.EINVAL,
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Unread:
    """Why an input has no bytes.

    Attributes:
        reason: A code: `missing`, `no_access`, or one of `ImageError.reason`.
        detail: The particulars, in words.
    """

    reason: Reason | Literal["missing", "no_access"]
    detail: str


class InputReader:
    """Reads inputs ahead of whoever asks, so that waiting and computing overlap."""

    def __init__(self, max_file_bytes: int, readers: int) -> None:
        """Open nothing yet.

        Args:
            max_file_bytes: A larger picture is refused.
            readers: Objects of S3 fetched at a time.
        """
        self._limit = max_file_bytes
        # Zips and files are read by one thread: a zip's file has one position.
        self._local = ThreadPoolExecutor(1, thread_name_prefix="batch-read")
        self._remote = ThreadPoolExecutor(readers, thread_name_prefix="batch-fetch")
        self._members = Reader(max_file_bytes)
        self._stamps: dict[str, str] = {}

    def close(self) -> None:
        """Let the threads go, and close every zip."""
        for threads in (self._local, self._remote):
            threads.shutdown(wait=True, cancel_futures=True)
        self._members.close()

    def start(self, each: Input) -> "Future[bytes | Unread]":
        """Begin to read an input."""
        threads = self._remote if each.kind == "object" else self._local
        return threads.submit(self.read, each)

    def read(self, each: Input) -> bytes | Unread:
        """Read an input.

        Raises:
            SourceError: The zip that it lies in is gone or was replaced.
            OSError: The machine or the store has a fault that is not the picture's.
        """
        if each.size > self._limit:
            return Unread("too_large", f"{each.size} bytes; at most {self._limit} are accepted")
        try:
            data = self._bytes(each)
        except ImageError as error:
            return Unread(error.reason, str(error))
        except (FileNotFoundError, NotADirectoryError):
            return Unread(MISSING, "there is no such file")
        except PermissionError as error:
            return Unread(NO_ACCESS, f"it may not be read: {error.strerror or error}")
        except OSError as error:
            if each.kind == "object" or error.errno not in _OWN_FAULTS:
                raise
            return Unread(NO_ACCESS, f"it cannot be read: {error.strerror}")
        if len(data) > self._limit:
            return Unread("too_large", f"more than {self._limit} bytes")
        return data

    def _bytes(self, each: Input) -> bytes:
        if each.kind == "member":
            return self._member(each)
        if each.kind == "object":
            from skin_lesion.batch.s3 import read_object

            return read_object(each.address, each.size, self._limit + 1)
        if not each.address or "\0" in each.address:
            raise FileNotFoundError(errno.ENOENT, "the name is none")
        return _file(each.address, self._limit + 1)

    def _member(self, each: Input) -> bytes:
        try:
            if each.address not in self._stamps:
                self._stamps[each.address] = archive_stamp(each.address)
            if self._stamps[each.address] != each.stamp:
                raise SourceError(
                    f"{each.address} changed while its pictures were scored; start again with "
                    "on_change: afresh"
                )
            return self._members.read(each.member())
        except (FileNotFoundError, NotADirectoryError) as error:
            raise SourceError(f"{each.address} is gone; put it back and start again") from error


def _file(path: str, most: int) -> bytes:
    """The first bytes of a regular file; a pipe or device must not make a reader wait for ever."""
    with open(path, "rb", opener=_without_waiting) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise PermissionError(errno.EACCES, "it is no regular file")
        return file.read(most)


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)
