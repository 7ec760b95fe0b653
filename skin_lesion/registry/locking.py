"""One change of production at a time on this machine."""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PAUSE_S = 0.1


@contextmanager
def production_lock(timeout_s: float) -> Iterator[None]:
    """Hold the lock beside the registry's sqlite database; a server has none.

    The system frees it when the process that holds it ends, however it ends. Where the registry is
    a server, the records of changes alone keep two of them apart.

    Args:
        timeout_s: How long to wait for another process.

    Raises:
        TimeoutError: Another process holds it for longer.
    """
    path = lock_file()
    if path is None:
        yield
        return
    with path.open("a") as file:
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise TimeoutError(
                        f"another process has been changing production for {timeout_s:g} s "
                        f"(it holds {path}); wait for it, or end it, and try again"
                    ) from None
                time.sleep(_PAUSE_S)
        yield


def lock_file() -> Path | None:
    """Where the lock lies; None where the registry is no sqlite file."""
    import mlflow
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(mlflow.get_registry_uri())
    except ArgumentError:
        return None
    if url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
        return None
    # Whoever comes to the same file by a link has to find the same lock.
    database = Path(str(url.database)).resolve()
    database.parent.mkdir(parents=True, exist_ok=True)
    return database.with_name(f"{database.name}.production-lock")
