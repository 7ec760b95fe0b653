"""Readings, and the tray that they lie on: read once, noted as read, and thrown out for room."""

import contextlib
import io
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image

from app.clinic.readings import read_pictures, show
from app.clinic.tray import Given, Tray
from app.clinic.users import LOCAL
from app.desk import Desk
from skin_lesion.audit import AuditError, AuditRow, Entry
from skin_lesion.labels import LABELS
from skin_lesion.settings import DashboardConfig
from tests.app.dashboard.desk_of_ones_own import SayingPredictor, desk_of, picture, saying


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return desk_of(tmp_path, saying(mel=0.9))


def predictor(desk: Desk) -> SayingPredictor:
    found = desk.store.current().predictor
    assert isinstance(found, SayingPredictor)
    return found


def rows(desk: Desk) -> int:
    return len(list(desk.audit.rows()))


def given(*colours: int) -> list[Given]:
    return [Given(f"{colour}.jpg", picture(colour)) for colour in colours]


def read(tray: Tray, desk: Desk, *colours: int) -> None:
    tray.give(given(*colours))
    tray.read(desk.store.current(), desk.user, desk.audit)


class FailingLog:
    def record_all(self, entries: object) -> None:
        raise AuditError("the disk is full")


def test_answers_are_written_down_in_order_before_they_are_given(desk: Desk) -> None:
    files = [("a.jpg", picture(1)), ("b.txt", b"no picture"), ("c.jpg", picture(2))]
    readings = read_pictures(desk.store.current(), files, LOCAL, desk.audit, desk.config)
    assert [one.name for one in readings] == ["a.jpg", "b.txt", "c.jpg"]
    assert [one.prediction.status for one in readings] == ["ok", "unreadable", "ok"]
    written = {row.id: row.image_sha256 for row in desk.audit.rows()}
    assert [written[one.audit_id or 0] for one in readings] == [
        one.prediction.image_sha256 for one in readings
    ]


def test_no_answer_is_given_that_the_log_did_not_take(desk: Desk) -> None:
    with pytest.raises(AuditError):
        read_pictures(
            desk.store.current(),
            [("a.jpg", picture())],
            LOCAL,
            FailingLog(),
            desk.config,  # type: ignore[arg-type]
        )


def test_what_a_browser_is_shown_is_upright_and_has_nothing_of_the_file_but_pixels() -> None:
    exif = Image.Exif()
    exif[0x010E] = "Jane Doe, 1961"
    exif[0x0112] = 6  # a quarter turn
    shown = show(picture(exif=exif, comment=b"ward 3"), DashboardConfig())
    assert shown is not None
    assert (shown.width, shown.height) == (48, 64)
    assert b"Jane" not in shown.jpeg
    assert b"ward" not in shown.jpeg
    with Image.open(io.BytesIO(shown.jpeg)) as image:
        assert not image.getexif()


def test_a_picture_is_read_once_however_often_the_page_is_drawn(desk: Desk) -> None:
    tray = Tray(desk.config)
    read(tray, desk, 1, 2)
    for _ in range(3):
        tray.read(desk.store.current(), desk.user, desk.audit)
    assert predictor(desk).judged == rows(desk) == len(tray.pictures) == 2
    assert tray.chosen is tray.pictures[0]


def test_two_runs_of_a_page_at_once_read_a_picture_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that another one overtakes may still be at work."""
    tray, both = Tray(desk.config), threading.Barrier(2, timeout=0.5)
    tray.give(given(1, 2))
    record_all = desk.audit.record_all

    def slowly(entries: Sequence[Entry]) -> list[AuditRow]:
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait()  # for the other run to come this far, which it must not
        return record_all(entries)

    monkeypatch.setattr(desk.audit, "record_all", slowly)
    with ThreadPoolExecutor(2) as runs:
        for run in [runs.submit(tray.read, desk.store.current(), LOCAL, desk.audit) for _ in "ab"]:
            run.result()
    assert predictor(desk).judged == rows(desk) == len(tray.pictures) == 2


def test_what_the_log_did_not_take_goes_on_waiting_and_is_then_read_once(desk: Desk) -> None:
    tray = Tray(desk.config)
    tray.give(given(1))
    with pytest.raises(AuditError):
        tray.read(desk.store.current(), desk.user, FailingLog())  # type: ignore[arg-type]
    assert (tray.waiting, tray.pictures, tray.chosen) == (1, [], None)
    tray.read(desk.store.current(), desk.user, desk.audit)
    assert (tray.waiting, len(tray.pictures), rows(desk)) == (0, 1, 1)


def test_files_beyond_a_limit_are_refused_with_the_reason_and_never_read(tmp_path: Path) -> None:
    config = DashboardConfig(max_file_bytes=5000, tray_pictures=2)
    desk, tray = desk_of(tmp_path, saying(), config=config), Tray(config)
    tray.give([Given("huge.tif", b"0" * 5001), *given(1, 2, 3)])
    tray.read(desk.store.current(), desk.user, desk.audit)
    assert [(one.name, one.why) for one in tray.refused] == [
        ("huge.tif", "too_large"),
        ("3.jpg", "too_many"),
    ]
    assert rows(desk) == len(tray.pictures) == 2
    tray.give(given(4))
    assert tray.refused == []  # what is said of one lot is not said of the next


@pytest.mark.parametrize("limit", [{"tray_pictures": 3}, {"tray_bytes": 3 * len(picture(1))}])
def test_the_oldest_pictures_make_room_but_never_the_one_that_is_shown(
    tmp_path: Path, limit: dict[str, int]
) -> None:
    config = DashboardConfig(**limit)  # type: ignore[arg-type]
    desk, tray = desk_of(tmp_path, saying(), config=config), Tray(config)
    for colour in range(1, 7):
        read(tray, desk, colour)
    assert [each.reading.name for each in tray.pictures] == ["4.jpg", "5.jpg", "6.jpg"]
    assert tray.chosen is tray.pictures[-1]
    alone = Tray(DashboardConfig(tray_bytes=1))
    read(alone, desk, 1)
    assert alone.chosen is not None


def test_what_was_read_together_is_never_thrown_out_at_once(tmp_path: Path) -> None:
    config = DashboardConfig(tray_bytes=3 * len(picture(1)))
    desk, tray = desk_of(tmp_path, saying(), config=config), Tray(config)
    read(tray, desk, 1, 2, 3, 4, 5)
    assert [each.reading.name for each in tray.pictures] == ["1.jpg", "2.jpg", "3.jpg"]
    assert [(one.name, one.why) for one in tray.refused] == [
        ("4.jpg", "too_much"),
        ("5.jpg", "too_much"),
    ]
    assert rows(desk) == 3  # of what was not read nothing is written down


def test_a_removed_picture_gives_way_to_its_neighbour(desk: Desk) -> None:
    tray = Tray(desk.config)
    read(tray, desk, 1, 2, 3)
    tray.choose(2)
    for removed, then in ((2, 3), (3, 1), (99, 1), (1, None)):
        tray.remove(removed)
        assert (tray.chosen.number if tray.chosen else None) == then


def test_a_reading_stays_what_it_was_when_another_model_takes_over(desk: Desk) -> None:
    tray, newer = Tray(desk.config), saying(4)
    read(tray, desk, 1)
    before = tray.pictures[0]
    tray.read_again(before.number, newer, desk.user, desk.audit)
    after = tray.chosen
    assert tray.pictures == [before, after]
    assert after is not None
    assert (before.reading.prediction.prediction, before.reading.model_version) == ("mel", 3)
    assert (after.reading.prediction.prediction, after.reading.model_version) == ("nv", 4)
    assert (before.took_over_from, after.took_over_from) == (None, 3)
    # A second click finds it done.
    tray.read_again(before.number, newer, desk.user, desk.audit)
    assert (rows(desk), len(tray.pictures)) == (2, 2)


def test_a_heat_map_is_drawn_once_for_each_class_and_by_the_model_that_read(desk: Desk) -> None:
    tray = Tray(desk.config)
    read(tray, desk, 1)
    shown = tray.pictures[0]
    for label in ("mel", "df", "df", "mel"):
        layer = shown.layer(label)
        assert layer is not None
        assert layer.heat.startswith("data:image/png;base64,")
    assert predictor(desk).drawn == ["df"]  # that of the predicted class came with the answer


def test_a_file_that_is_no_picture_has_nothing_to_show(desk: Desk) -> None:
    tray = Tray(desk.config)
    tray.give([Given("notes.txt", b"no picture")])
    tray.read(desk.store.current(), desk.user, desk.audit)
    shown = tray.pictures[0]
    assert (shown.picture, shown.thumbnail, shown.layer("mel")) == (None, None, None)


def test_of_the_heat_maps_of_a_picture_the_last_are_kept_and_any_can_be_had(desk: Desk) -> None:
    tray = Tray(desk.config)
    read(tray, desk, 1)
    [shown] = tray.pictures
    drawn = [shown.layer(label) for label in LABELS]
    assert None not in drawn
    assert list(shown.layers) == list(LABELS[-2:])
    assert shown.layer(LABELS[0]) == drawn[0]
