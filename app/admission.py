"""How many requests are let in, and where their work is done."""

import asyncio
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TypeVar

from app.security import Client, RefusedError
from skin_lesion.settings import ServeConfig

T = TypeVar("T")


class GivenUpError(Exception):
    """Nobody waits for this work any longer."""


class Deadline:
    """Tells work in a thread that nobody waits for it any longer."""

    def __init__(self) -> None:
        self._passed = threading.Event()

    def give_up(self) -> None:
        """Nobody waits any longer."""
        self._passed.set()

    def check(self) -> None:
        """Go on, or not.

        Raises:
            GivenUpError: Nobody waits any longer.
        """
        if self._passed.is_set():
            raise GivenUpError


class Place:
    """The right of one request to be here, until it has left and its work is done."""

    def __init__(self, leave: Callable[[], None]) -> None:
        self._leave = leave
        self._held = 1

    def hold(self) -> None:
        """One more holder."""
        self._held += 1

    def release(self) -> None:
        """One holder less; the last one gives the place back."""
        self._held -= 1
        if self._held == 0:
            self._leave()


class Admission:
    """Counts requests and does their work in threads; belongs to one event loop.

    A thread cannot be stopped. So a request whose time is up keeps its place until its work has
    ended, lest new requests pile work upon work.
    """

    def __init__(self, config: ServeConfig) -> None:
        """Open for as many as the configuration allows."""
        self._config = config
        self._here: Counter[Client] = Counter()
        self._pool = ThreadPoolExecutor(config.threads or os.cpu_count() or 1, "predict")

    @contextmanager
    def place(self, client: Client) -> Iterator[Place]:
        """Let a request in; to be asked before its body is read.

        Raises:
            RefusedError: 429, this client has as many requests here as one may have; 503, there are
                as many as there is room for.
        """
        config = self._config
        again = {"Retry-After": str(config.retry_after_seconds), "Connection": "close"}
        if self._here.total() >= config.max_concurrent:
            raise RefusedError(503, "the service is busy; try again later", again)
        # Those whom nobody knows are not one client.
        if client.identified and self._here[client] >= config.max_per_client:
            message = f"at most {config.max_per_client} requests of one client are let in at a time"
            raise RefusedError(429, message, again)
        self._here[client] += 1
        place = Place(lambda: self._left(client))
        try:
            yield place
        finally:
            place.release()

    async def work(self, place: Place, job: Callable[[Deadline], T]) -> T:
        """Do a request's work in a thread.

        Args:
            place: The request's.
            job: The work; it asks the deadline it is given whether to go on.

        Raises:
            RefusedError: 504, it took too long.
        """
        loop = asyncio.get_running_loop()
        deadline = Deadline()
        future = self._pool.submit(job, deadline)
        place.hold()

        def ended(_: "Future[T]") -> None:
            with suppress(RuntimeError):  # the loop is gone, and its places with it
                loop.call_soon_threadsafe(place.release)

        future.add_done_callback(ended)
        try:
            async with asyncio.timeout(self._config.predict_seconds):
                return await asyncio.wrap_future(future)
        except TimeoutError as error:
            seconds = self._config.predict_seconds
            raise RefusedError(504, f"there was no answer within {seconds:g} s") from error
        finally:
            # Harmless where it is done. Otherwise work that waits is dropped, and work that runs
            # stops at the next picture.
            deadline.give_up()
            future.cancel()

    def close(self) -> None:
        """Take no more work."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _left(self, client: Client) -> None:
        self._here[client] -= 1
        if not self._here[client]:
            del self._here[client]
