"""Many pictures: each read once by one model, bounded in memory, the most dangerous first."""

import csv
import io
import struct
import threading
import zipfile
from pathlib import Path

import pytest

from app.clinic.batch_files import Given, NotTaken, Room, take
from app.clinic.batch_table import CSV_COLUMNS, Batch, opened, to_csv
from app.clinic.users import LOCAL
from app.model_store import Served
from skin_lesion.audit import AuditError, AuditLog
from skin_lesion.prediction import Prediction
from skin_lesion.prediction_table import COLUMNS
from skin_lesion.settings import DashboardConfig
from tests.app.dashboard.desk_of_ones_own import SayingPredictor, picture, saying
from tests.app.dashboard.made import MALIGNANT_POINT, MELANOMA_POINT, probabilities


def by_picture(served: Served, shares: dict[bytes, dict[str, float]]) -> Served:
    """The same model, which says something else of each picture."""
    predictor = served.predictor
    assert isinstance(predictor, SayingPredictor)
    judge = predictor._judge

    def judged(data: bytes, heat_map_of: str | None) -> Prediction:
        predictor.shares = probabilities(**shares.get(data, {}))
        return judge(data, heat_map_of)

    predictor._judge = judged  # type: ignore[method-assign]
    return served


@pytest.fixture
def audit(tmp_path: Path) -> AuditLog:
    return AuditLog.open(f"sqlite:///{tmp_path / 'audit.db'}")


def zipped(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def read_all(batch: Batch, served: Served, audit: AuditLog | None = None) -> None:
    while batch.waiting:
        batch.read_some(served, LOCAL, audit)


def names(batch: Batch) -> list[str]:
    return [each.reading.name for each in batch.rows]


DANGEROUS, LESS, HARMLESS, TIED = (picture(colour) for colour in (10, 20, 30, 40))
SHARES = {
    DANGEROUS: {"mel": 0.6},
    LESS: {"mel": 0.05, "bcc": 0.4},
    HARMLESS: {"mel": 0.01},
    TIED: {"mel": 0.01},
}


def test_the_most_dangerous_stands_first_and_what_has_no_answer_is_kept() -> None:
    batch = Batch(DashboardConfig())
    files = [("c", HARMLESS), ("broken", b"no picture"), ("a", DANGEROUS), ("d", TIED), ("b", LESS)]
    batch.give(files)
    read_all(batch, by_picture(saying(), SHARES))
    assert names(batch) == ["a", "b", "c", "d", "broken"]
    assert [each.suspicious(MELANOMA_POINT) for each in batch.rows] == [True, *[False] * 3, None]
    assert [each.suspicious(MALIGNANT_POINT) for each in batch.rows][:2] == [True, True]


def test_each_picture_is_written_down_once_whatever_the_size_of_a_chunk(audit: AuditLog) -> None:
    batch = Batch(DashboardConfig(batch_chunk=2))
    batch.give((str(i), picture(i)) for i in range(5))
    served = saying(mel=0.3)
    read_all(batch, served, audit)
    rows = list(audit.rows())
    assert len(rows) == 5
    assert {each.reading.audit_id for each in batch.rows} == {row.id for row in rows}
    assert served.predictor.judged == 5  # type: ignore[attr-defined]


def test_runs_of_a_page_that_overlap_read_no_picture_twice(audit: AuditLog) -> None:
    batch = Batch(DashboardConfig(batch_chunk=1))
    batch.give((str(i), picture(i)) for i in range(12))
    served = saying()
    runs = [threading.Thread(target=read_all, args=(batch, served, audit)) for _ in range(4)]
    for run in runs:
        run.start()
    for run in runs:
        run.join(60)
    assert sorted(names(batch), key=int) == [str(i) for i in range(12)]
    assert len(list(audit.rows())) == 12


def test_where_the_log_fails_nothing_is_shown_and_everything_goes_on_waiting(
    audit: AuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise AuditError("the disk is full")

    batch = Batch(DashboardConfig(batch_chunk=2))
    batch.give((str(i), picture(i)) for i in range(3))
    with monkeypatch.context() as broken:
        broken.setattr(audit, "record_all", fail)
        with pytest.raises(AuditError):
            batch.read_some(saying(), LOCAL, audit)
    assert (batch.waiting, batch.rows) == (3, [])
    read_all(batch, saying(), audit)
    assert len(batch.rows) == len(list(audit.rows())) == 3


def test_a_promotion_in_the_middle_does_not_mix_models() -> None:
    batch = Batch(DashboardConfig(batch_chunk=1))
    batch.give([("a", picture(1)), ("b", picture(2))])
    batch.read_some(saying(3), LOCAL, None)
    batch.read_some(saying(4), LOCAL, None)
    assert {each.reading.model_version for each in batch.rows} == {3}
    batch.give([("c", picture(3))])
    batch.read_some(saying(4), LOCAL, None)
    assert {each.reading.model_version for each in batch.rows} == {3, 4}


def test_memory_is_bounded_and_the_most_dangerous_files_are_kept() -> None:
    room = len(DANGEROUS) + len(LESS)
    batch = Batch(DashboardConfig(batch_chunk=1, batch_kept_bytes=room))
    batch.give([("c", HARMLESS), ("a", DANGEROUS), ("b", LESS), ("d", TIED)])
    read_all(batch, by_picture(saying(), SHARES))
    assert [each.is_kept for each in batch.rows] == [True, True, False, False]
    for each in batch.rows:
        shown = each.reading.shown
        assert shown is not None
        assert max(shown.width, shown.height) <= 96
        assert each.reading.prediction.heat_map is None
    config = DashboardConfig()
    first, last = batch.rows[0], batch.rows[-1]
    assert opened(first, config).data == DANGEROUS
    assert opened(last, config).shown == last.reading.shown


def test_a_table_has_so_many_rows_and_no_more() -> None:
    batch = Batch(DashboardConfig(batch_rows=3, max_files=2))
    batch.give((str(i), picture(i)) for i in range(4))
    assert [(one.name, one.why) for one in batch.not_taken] == [
        ("2", "too_many"),
        ("3", "too_many"),
    ]
    read_all(batch, saying())
    batch.give((str(i), picture(i)) for i in range(4, 8))
    assert batch.waiting == 1
    batch.clear()
    assert (batch.rows, batch.waiting, batch.not_taken) == ([], 0, [])
    batch.give([("z", picture(9))])
    assert batch.waiting == 1


def test_stopping_keeps_what_was_read() -> None:
    batch = Batch(DashboardConfig(batch_chunk=1))
    batch.give([("a", picture(1)), ("b", picture(2))])
    batch.read_some(saying(), LOCAL, None)
    batch.stop()
    assert (names(batch), batch.waiting) == (["a"], 0)
    batch.read_some(saying(), LOCAL, None)
    assert names(batch) == ["a"]


def taken(*dropped: tuple[str, bytes], **limits: int) -> list[Given | NotTaken]:
    config = DashboardConfig(**limits)
    return list(take(dropped, Room(config.max_files, config.batch_bytes), config))


def test_a_zip_stands_for_the_pictures_in_it() -> None:
    found = taken(
        ("set.zip", zipped(**{"b/1.jpg": picture(1), "a/2.png": b"x", "__MACOSX/._1.jpg": b"",
         "notes.txt": b"."})),
        ("ü.jpg", picture(3)),
    )  # fmt: skip
    assert [one.name for one in found] == ["a/2.png", "b/1.jpg", "ü.jpg"]
    assert all(isinstance(one, Given) for one in found)


def test_a_name_that_is_no_text_becomes_one() -> None:
    [found] = taken(("a\ud800.jpg", picture(1)))
    assert found.name == "a\\ud800.jpg"


@pytest.mark.parametrize(
    "data",
    [
        b"PK\x03\x04 and then nothing",
        zipped(),
        zipped(**{"notes.txt": b"."}),
        zipped(**{"../../etc/1.jpg": picture(1)}),
        zipped(**{"1.jpg": picture(1)})[:-30],
    ],
)
def test_a_zip_that_is_none_or_leads_outside_is_refused_whole(data: bytes) -> None:
    assert taken(("x.zip", data)) == [NotTaken("x.zip", "bad_zip")]


def test_a_member_that_lies_about_itself_is_refused_alone() -> None:
    data = zipped(**{"1.jpg": picture(1), "2.jpg": picture(2)})
    place = data.index(b"PK\x01\x02") + 16  # the checksum in the directory
    broken = data[:place] + struct.pack("<I", 1) + data[place + 4 :]
    assert [getattr(one, "why", "taken") for one in taken(("x.zip", broken))] == ["broken", "taken"]


def test_a_zip_that_unpacks_to_more_than_there_is_room_for_is_not_unpacked() -> None:
    bomb = zipped(**{f"{i}.jpg": bytes(200_000) for i in range(4)})
    assert len(bomb) < 10_000
    refused = taken(("x.zip", bomb), batch_bytes=500_000, max_file_bytes=300_000)
    assert refused == [NotTaken("x.zip", "bad_zip")]


def test_pictures_that_are_too_large_or_too_much_together_are_named() -> None:
    small, large = picture(1), bytes(2000)
    found = taken(("a", large), ("b", small), ("c", small), max_file_bytes=1500, batch_bytes=1000)
    assert [getattr(one, "why", "taken") for one in found] == ["too_large", "taken", "too_much"]
    inside = taken(("x.zip", zipped(**{"1.jpg": large})), max_file_bytes=1500)
    assert [getattr(one, "why", "taken") for one in inside] == ["too_large"]


def test_the_csv_holds_every_column_of_every_picture(audit: AuditLog) -> None:
    batch = Batch(DashboardConfig())
    hostile = [
        '=HYPERLINK("http://x")',
        "+1",
        "-1",
        "@x",
        "\t=1",
        "'quoted",
        " =1",
        "＝1",
        'ñ, "x"\n',
    ]
    batch.give([(name, picture(i)) for i, name in enumerate(hostile)] + [("broken", b"x")])
    read_all(batch, saying(mel=0.3), audit)
    text = to_csv(batch.rows).decode("utf-8-sig")
    found = list(csv.DictReader(io.StringIO(text, newline="")))
    assert tuple(found[0]) == CSV_COLUMNS == ("file", "audit_id", *COLUMNS)
    assert len(found) == len(hostile) + 1
    assert not [row["file"] for row in found if row["file"].lstrip(" ")[:1] in set("=+-@\t\r\n＝")]
    said = {row["file"].removeprefix("'"): row for row in found}
    assert float(said["+1"]["mel"]) == pytest.approx(0.3)
    assert said["broken"]["status"] == "unreadable"
    assert {row["audit_id"] for row in found} == {str(row.id) for row in audit.rows()}
    assert {row["model_version"] for row in found} == {"3"}
