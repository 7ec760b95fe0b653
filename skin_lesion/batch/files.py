"""Files that are there whole or not at all, and a lock that a killed process gives back."""

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def write_whole(path: Path, write: Callable[[Path], None]) -> None:
    """Have a file written beside its place, and move it there once it is on disk.

    Args:
        path: Where it belongs; what lies there is replaced.
        write: Writes it at the path that it is given.
    """
    partial = path.with_name(f"{path.name}.partial")
    try:
        write(partial)
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    _sync_folder(path.parent)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 file, whole or not at all."""
    write_whole(path, lambda partial: _write_text(partial, text))


def checksum(path: Path) -> str:
    """SHA-256 of a file; empty where there is none."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return ""


@contextmanager
def locked(path: Path, holder: str) -> Iterator[None]:
    """Hold a lock as long as the block runs, or until the process dies.

    Args:
        path: The lock's file; its folder is there.
        holder: What the lock stands for, in words.

    Raises:
        RuntimeError: Another process holds it.
        FileNotFoundError: The folder was removed just now.
    """
    while True:
        with path.open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise RuntimeError(
                    f"another process is working on {holder}; wait for it, or name another folder"
                ) from error
            # Whoever held it may have removed it just now, and a lock on what is gone keeps nobody
            # out: then the next look makes it anew.
            if not _is_at(path, file.fileno()):
                continue
            yield
            return


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _sync_folder(folder: Path) -> None:
    """Without it a power cut may lose the new name, though not the file."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
