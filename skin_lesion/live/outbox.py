"""Delivers what is put into it in a thread of its own, again and again until it has arrived.

Whoever puts something in never waits and never fails: a server that is slow or away costs a training
neither time nor its life. Only closing waits, and says what did not arrive.
"""

import logging
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")


class UndeliveredError(RuntimeError):
    """Some of what was put in never arrived."""


class Outbox(Generic[T]):
    """Items on their way, in order; each is delivered at least once, or closing raises.

    Args:
        deliver: Takes all that waits. Where it raises, it is called with the same items again.
        temporary: Whether an error may pass by itself; after another one nothing more is tried.
        name: Of what is delivered, for messages.
        retry_seconds: First wait after a failure; doubled with each further one.
        retry_limit_seconds: Longest such wait.
    """

    def __init__(
        self,
        deliver: Callable[[list[T]], None],
        temporary: Callable[[Exception], bool],
        name: str,
        retry_seconds: float,
        retry_limit_seconds: float,
    ) -> None:
        self._deliver = deliver
        self._temporary = temporary
        self._name = name
        self._waits = (retry_seconds, retry_limit_seconds)
        self._waiting: list[T] = []
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._given_up = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._work, name=f"outbox: {name}", daemon=True)
        self._thread.start()

    def put(self, item: T) -> None:
        """Have an item delivered soon; returns at once."""
        with self._changed:
            self._waiting.append(item)
            self._changed.notify_all()

    def close(self, patience: float) -> None:
        """Wait until all has arrived; afterwards nothing more is tried.

        Args:
            patience: Longest wait in seconds.

        Raises:
            UndeliveredError: Something has not arrived by then, or never can.
        """
        with self._changed:
            self._closing.set()
            self._changed.notify_all()
        self._thread.join(patience)
        self._given_up.set()
        with self._changed:
            left, error = len(self._waiting), self._error
        if left:
            cause = error or TimeoutError(f"no answer within {patience:g} s")
            raise UndeliveredError(f"{left} of {self._name} did not arrive: {cause}") from cause

    def _work(self) -> None:
        failures = 0
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closing.is_set())
                batch = list(self._waiting)
            if not batch or self._given_up.is_set():
                return
            try:
                self._deliver(batch)
            # Whatever it is, it is told when the box is closed; a thread has nobody else to tell.
            except Exception as error:  # noqa: BLE001
                if not self._hopeful(error, again=failures > 0):
                    return
                failures = 0 if self._paused(failures) else failures + 1
                continue
            with self._changed:
                del self._waiting[: len(batch)]
                self._error = None
            if failures:
                log.warning("%s arrive again", self._name)
            failures = 0

    def _hopeful(self, error: Exception, *, again: bool) -> bool:
        """Note an error; returns whether it is worth trying once more."""
        hopeful = self._temporary(error)
        with self._changed:
            self._error = error
        log.log(
            logging.INFO if again and hopeful else logging.WARNING,
            "%s cannot be delivered; they are kept, and %s: %s",
            self._name,
            "it is tried again" if hopeful else "it is not tried again",
            error,
        )
        return hopeful

    def _paused(self, failures: int) -> bool:
        """Wait before the next attempt; returns whether the box was closed meanwhile.

        Then the next attempt is at once, and the waits grow from the shortest on again.
        """
        first, limit = self._waits
        wait = min(first * 2.0 ** min(failures, 30), limit)
        if self._closing.is_set():
            self._given_up.wait(wait)
            return False
        return self._closing.wait(wait)
