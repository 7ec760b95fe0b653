"""How far a batch is, said now and then."""

import time
from collections.abc import Callable

_SECONDS = 10.0


class Spaced:
    """Passes on how far a batch is, at most every few seconds, and at the end."""

    def __init__(self, say: Callable[[str], None], seconds: float = _SECONDS) -> None:
        """Say nothing yet.

        Args:
            say: Takes one line.
            seconds: Least time between two lines.
        """
        self._say = say
        self._seconds = seconds
        self._last = float("-inf")
        self._first: tuple[float, int] | None = None

    def __call__(self, done: int, total: int) -> None:
        """Take note that so many pictures of so many are done."""
        now = time.monotonic()
        if self._first is None:
            self._first = (now, done)
        if now - self._last < self._seconds and done < total:
            return
        self._last = now
        start, before = self._first
        rate = f", {(done - before) / (now - start):.1f} a second" if done > before else ""
        self._say(f"{done:,} of {total:,} pictures{rate}")
