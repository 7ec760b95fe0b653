"""One process at a time."""

import errno
import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

log = logging.getLogger(__name__)

# Of file systems that know no locks, as some that are shared over a network.
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
_LONGEST = 32  # bytes of a process id, with room to spare


@contextmanager
def only_process(path: Path, what: str) -> Iterator[None]:
    """Hold a lock on a file; the system lets go of it when the process ends, however it ends.

    The file stays: were it removed, two processes could each lock a file of that name. Where the file
    system knows no locks, a warning says so and nothing is held.

    Args:
        path: The file; made where it is missing.
        what: That is locked, for the message.

    Raises:
        RuntimeError: Another process holds it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, _LONGEST, 0).decode(errors="replace").strip()
            raise RuntimeError(
                f"{what} is being worked on by process {holder or 'unknown'}; wait for its end, or stop "
                "it: it can be gone on with at any time"
            ) from None
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            log.warning(
                "%s cannot be locked (%s); let no second process work on %s", path, error, what
            )
        with suppress(OSError):  # the lock holds without a name, as on a disk that is full
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)
