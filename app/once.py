"""What all sessions share is made once.

Streamlit has `st.cache_resource` for that; any browser may tell Streamlit to empty it, and the model
would be loaded anew each time.
"""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Once(Generic[T]):
    """Makes something when it is first asked for, and gives the same to everybody."""

    def __init__(self, make: Callable[[], T], patience: float) -> None:
        """Use `once`."""
        self.__doc__ = make.__doc__
        self._make = make
        self._patience = patience
        self._lock = threading.Lock()
        self._made: list[T] = []
        self._failure: tuple[float, Exception] | None = None

    def __call__(self) -> T:
        """The thing; what making it raises is raised again, without another try for a while."""
        with self._lock:
            if not self._made:
                self._made.append(self._try())
            return self._made[0]

    @property
    def is_made(self) -> bool:
        """Whether it is there."""
        return bool(self._made)

    def forget(self) -> None:
        """Make it anew when it is asked for next; for tests."""
        with self._lock:
            self._made.clear()
            self._failure = None

    def _try(self) -> T:
        if self._failure is not None and time.monotonic() - self._failure[0] < self._patience:
            raise self._failure[1].with_traceback(None)
        try:
            return self._make()
        except Exception as error:
            self._failure = (time.monotonic(), error)
            raise


def once(*, patience: float = 0.0) -> Callable[[Callable[[], T]], Once[T]]:
    """Decorate a function that makes something for everybody.

    Args:
        patience: Seconds before it is tried again where it failed.
    """
    return lambda make: Once(make, patience)
