"""How many are let in, and how their places are given back."""

import asyncio
import threading
from contextlib import ExitStack

import pytest

from app.admission import Admission, Deadline, GivenUpError
from app.security import ANYONE, Client, RefusedError
from skin_lesion.settings import ServeConfig

ONE, OTHER = Client("one", "r"), Client("other", "r")


def enter(admission: Admission, client: Client) -> int:
    """0 where a request is let in, else the status that turns it away."""
    try:
        with admission.place(client):
            return 0
    except RefusedError as error:
        return error.status if "Retry-After" in error.headers else -1


def test_one_client_cannot_take_every_place() -> None:
    admission = Admission(ServeConfig(max_concurrent=3, max_per_client=2))
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(admission.place(ONE))
        assert enter(admission, ONE) == 429
        assert enter(admission, OTHER) == 0
        stack.enter_context(admission.place(OTHER))
        assert enter(admission, OTHER) == 503
    assert enter(admission, ONE) == 0


def test_those_whom_nobody_knows_share_all_places() -> None:
    admission = Admission(ServeConfig(max_concurrent=3, max_per_client=1))
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(admission.place(ANYONE))
        assert enter(admission, ANYONE) == 503


def test_a_request_that_fails_gives_its_place_back() -> None:
    admission = Admission(ServeConfig(max_concurrent=1))
    with pytest.raises(ZeroDivisionError), admission.place(ONE):
        raise ZeroDivisionError
    assert enter(admission, ONE) == 0


def test_work_that_fails_is_raised_where_it_was_asked_for() -> None:
    async def ask() -> None:
        admission = Admission(ServeConfig())
        with admission.place(ONE) as place:
            await admission.work(place, lambda _: 1 // 0)

    with pytest.raises(ZeroDivisionError):
        asyncio.run(ask())


def test_a_place_is_kept_until_late_work_has_ended_and_waiting_work_is_dropped() -> None:
    done: list[str] = []

    async def ask() -> None:
        admission = Admission(ServeConfig(max_concurrent=2, threads=1, predict_seconds=0.1))
        go_on = threading.Event()

        def long(deadline: Deadline) -> None:
            go_on.wait(30)
            with pytest.raises(GivenUpError):
                deadline.check()
            done.append("long")

        async def request(job) -> int:
            try:
                with admission.place(ONE) as place:
                    await admission.work(place, job)
            except RefusedError as error:
                return error.status
            return 0

        late = await asyncio.gather(request(long), request(lambda _: done.append("waiting")))
        assert late == [504, 504]
        # The one that waited is gone, the one that runs is still here.
        assert admission._here[ONE] == 1
        go_on.set()
        while admission._here[ONE]:
            await asyncio.sleep(0.01)
        assert await request(lambda _: None) == 0

    asyncio.run(asyncio.wait_for(ask(), 30))
    assert done == ["long"]
