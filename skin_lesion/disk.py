"""Room on a disk: large files are written whole or not at all, and a disk that is full is told so."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

# Every one of them means that a file could not grow any further.
_NO_ROOM = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the quota on it is used up",
    errno.EFBIG: "no file may be that large there (see `ulimit -f`)",
}
_MIB = 2.0**20
_BLOCK = b"\0" * 2**20


class DiskFullError(RuntimeError):
    """A file found no room."""


@contextmanager
def room_for(what: str, folder: Path, needed: int) -> Iterator[None]:
    """Have a lack of room told with what is free and what is needed.

    Args:
        what: What is written, for the message.
        folder: Where to; whoever writes has removed again what is half-written.
        needed: Bytes, about.

    Raises:
        DiskFullError: There is no room for it.
    """
    try:
        yield
    except Exception as error:
        code = _lacking(error)
        if code is None:
            raise
        raise DiskFullError(
            f"{what} cannot be written to {folder}, {_NO_ROOM[code]}: about {needed / _MIB:.1f} MiB "
            f"are needed, {_free(folder)}"
        ) from error


@contextmanager
def whole_folder(what: str, target: Path, needed: int) -> Iterator[Path]:
    """A new folder to be filled within the block, at the end of which it becomes `target`.

    Args:
        what: What is written, for the message.
        target: It must not exist. It appears whole or not at all.
        needed: Bytes, about.

    Yields:
        The folder, on the same disk.

    Raises:
        FileExistsError: `target` exists.
        DiskFullError: There is no room for it.
    """
    if target.exists():
        raise FileExistsError(f"{target} exists; name a new folder for {what}")
    with room_for(what, target.parent, needed):
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as name:
            folder = Path(name) / target.name
            folder.mkdir()
            yield folder
            os.replace(folder, target)


def new_array(
    path: Path, shape: tuple[int, ...]
) -> "np.memmap[tuple[int, ...], np.dtype[np.uint8]]":
    """Make a `.npy` file of bytes that are all there, mapped for writing.

    A page of a mapped file for which there is no room kills the process without a word, when it is
    written and not before. So the room is taken first.

    Args:
        path: The file; made anew.
        shape: Of the array.

    Raises:
        OSError: There is no room for it; nothing is left of it then.
    """
    offset = np.lib.format.open_memmap(path, "w+", np.uint8, shape).offset
    try:
        with path.open("r+b") as file:
            size = os.fstat(file.fileno()).st_size
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
            else:  # macOS and Windows have no such call
                file.seek(offset)
                for start in range(offset, size, len(_BLOCK)):
                    file.write(_BLOCK[: size - start])
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return np.lib.format.open_memmap(path, "r+")


def _lacking(error: BaseException | None) -> int | None:
    """Which lack of room an error, or one that it came of, tells; None where it is another one."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            return error.errno
        # Some libraries hand on the words alone.
        told = [code for code in _NO_ROOM if os.strerror(code) in str(error)]
        if told:
            return told[0]
        error = error.__cause__ or error.__context__
    return None


def _free(folder: Path) -> str:
    place = next((one for one in (folder, *folder.parents) if one.exists()), Path.cwd())
    free = f"{shutil.disk_usage(place).free / _MIB:.1f} MiB are free"
    if hasattr(os, "statvfs") and (found := os.statvfs(place)).f_files and not found.f_favail:
        return f"{free} but not one more file can be made"
    return free
