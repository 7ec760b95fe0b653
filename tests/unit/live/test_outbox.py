"""Nothing that was put in is lost, and nobody waits for it."""

import logging
import threading
import time
from collections.abc import Callable

import pytest

from skin_lesion.live.outbox import Outbox, UndeliveredError


def box(
    deliver: Callable[[list[int]], None], temporary: Callable[[Exception], bool] | None = None
) -> Outbox[int]:
    return Outbox(deliver, temporary or (lambda _: True), "epochs", 0.01, 0.05)


def test_everything_arrives_in_order() -> None:
    arrived: list[int] = []
    outbox = box(arrived.extend)
    for number in range(100):
        outbox.put(number)
    outbox.close(10)
    assert arrived == list(range(100))


def test_an_empty_box_closes_at_once() -> None:
    box(lambda _: None).close(0.5)


def test_whoever_puts_in_does_not_wait_for_the_delivery() -> None:
    go_on, arrived = threading.Event(), []

    def slow(items: list[int]) -> None:
        assert go_on.wait(10)
        arrived.extend(items)

    outbox = box(slow)
    for number in range(5):
        outbox.put(number)  # would never return if it waited
    assert arrived == []
    go_on.set()
    outbox.close(10)
    assert arrived == [0, 1, 2, 3, 4]


def test_what_fails_for_a_while_arrives_later(caplog: pytest.LogCaptureFixture) -> None:
    arrived: list[int] = []
    failed: list[list[int]] = []

    def flaky(items: list[int]) -> None:
        if len(failed) < 4:
            failed.append(items)
            raise ConnectionError("refused")
        arrived.extend(items)

    with caplog.at_level(logging.WARNING):
        outbox = box(flaky)
        outbox.put(1)
        outbox.put(2)
        outbox.close(10)
    assert arrived == [1, 2]
    assert all(items[0] == 1 for items in failed)
    warned = [record.message for record in caplog.records]
    assert "refused" in warned[0]
    assert "kept" in warned[0]
    assert "arrive again" in warned[-1]


def test_an_outage_is_warned_of_once_and_not_at_every_attempt(
    caplog: pytest.LogCaptureFixture,
) -> None:
    attempts = threading.Semaphore(0)

    def away(_: list[int]) -> None:
        attempts.release()
        raise ConnectionError("refused")

    with caplog.at_level(logging.WARNING):
        outbox = box(away)
        outbox.put(1)
        for _ in range(5):
            assert attempts.acquire(timeout=10)
        assert len(caplog.records) == 1
        with pytest.raises(UndeliveredError):
            outbox.close(0.05)


def test_what_has_not_arrived_in_time_is_told_with_its_cause() -> None:
    def away(_: list[int]) -> None:
        raise ConnectionError("refused")

    outbox = box(away)
    outbox.put(1)
    outbox.put(2)
    with pytest.raises(UndeliveredError, match=r"2 of epochs did not arrive: refused") as told:
        outbox.close(0.2)
    assert isinstance(told.value.__cause__, ConnectionError)


def test_after_the_patience_has_run_out_nothing_more_is_tried() -> None:
    tried: list[float] = []

    def refuse(_: list[int]) -> None:
        tried.append(time.monotonic())
        raise ConnectionError("refused")

    outbox = box(refuse)
    outbox.put(1)
    with pytest.raises(UndeliveredError):
        outbox.close(0.1)
    outbox._thread.join(10)
    assert not outbox._thread.is_alive()
    ended = len(tried)
    time.sleep(0.2)  # four of the longest waits
    assert len(tried) == ended


def test_a_delivery_that_hangs_does_not_hold_the_end_up() -> None:
    release = threading.Event()
    outbox = box(lambda _: release.wait(30) and None)
    outbox.put(1)
    with pytest.raises(UndeliveredError, match=r"no answer within 0\.1 s"):
        outbox.close(0.1)
    release.set()


def test_an_error_that_cannot_pass_is_not_tried_again() -> None:
    tried: list[int] = []

    def impossible(items: list[int]) -> None:
        tried.append(len(items))
        raise TypeError("no number")

    outbox = box(impossible, lambda error: not isinstance(error, TypeError))
    outbox.put(1)
    with pytest.raises(UndeliveredError, match="no number"):
        outbox.close(10)
    outbox.put(2)
    assert tried == [1]
