"""One process at a time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def only_process(path: Path, what: str) -> Iterator[None]:
    """Hold a lock on a file; the system lets go of it when the process ends, however it ends.

    Args:
        path: The file; made where it is missing.
        what: That is locked, for the message.

    Raises:
        RuntimeError: Another process holds it.
    """
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise RuntimeError(
                f"{what} is being worked on by process {holder}; wait for its end, or stop it: it can "
                "be gone on with at any time"
            ) from None
        file.seek(0)
        file.truncate()
        file.write(str(os.getpid()))
        file.flush()
        yield
