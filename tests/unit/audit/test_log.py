"""What the log keeps and gives back, in every database."""

import csv
import hashlib
import io
import json
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import create_engine, make_url, text

from skin_lesion.audit import AuditError, AuditLog, AuditRow, Scope, write_csv
from skin_lesion.audit.schema import BOOK
from skin_lesion.chain.rows import GENESIS, row_hash
from skin_lesion.settings import AuditConfig

NOTE = "Pigmentnetz unregelmäßig, 5 mm – 変化あり\nsecond line\t🩺"


def test_the_columns_are_what_readers_of_the_log_rely_on() -> None:
    expected = (
        "id at user role image_sha256 model_version contract_hash probabilities prediction verdicts "
        "status reason feedback_label feedback_note corrects_id previous_hash row_hash"
    )
    assert " ".join(BOOK.columns) == expected
    assert tuple(field.name for field in fields(AuditRow)) == BOOK.columns


def test_a_reading_comes_back_as_it_was_given(log: AuditLog, entry) -> None:
    before = datetime.now(UTC)
    given = entry(label="mel", user="Ærøskøbing 診療所")
    row = log.record(given)
    assert (row.id, row.previous_hash) == (1, GENESIS)
    assert before <= row.at <= datetime.now(UTC)
    assert (row.user, row.role) == ("Ærøskøbing 診療所", "dermatologist")
    assert row.image_sha256 == hashlib.sha256(b"picture").hexdigest()
    assert (row.model_version, row.contract_hash) == ("3", "c" * 64)
    assert row.probabilities == given.prediction.probabilities
    assert (row.prediction, row.status, row.reason) == ("mel", "ok", None)
    assert row.verdicts == {"melanoma 95 %": True, "malignant": False}
    assert not row.is_feedback
    assert list(log.rows()) == [row]


def test_a_picture_that_was_not_judged_is_recorded_with_the_reason(log: AuditLog, entry) -> None:
    row = log.record(entry(label=None))
    assert (row.status, row.reason, row.prediction) == ("cannot_assess", "blurred", None)
    assert row.probabilities is None
    empty = log.record(entry(label=None, status="unreadable", reason="empty", image_sha256=None))
    assert empty.image_sha256 is None


def test_a_model_without_a_version_goes_by_its_hash(log: AuditLog, entry) -> None:
    given = entry()
    nameless = replace(given.prediction.versions, model=None)
    row = log.record(replace(given, prediction=replace(given.prediction, versions=nameless)))
    assert row.model_version == f"bundle:{'b' * 64}"


def test_probabilities_may_come_from_numpy(log: AuditLog, entry) -> None:
    given = entry(probabilities={"nv": np.float32(0.25)}, verdicts={"malignant": np.True_})
    row = log.record(given)
    assert row.probabilities == {"nv": 0.25}
    assert row.verdicts == {"malignant": True}


def test_feedback_is_a_new_row_and_the_reading_stays(log: AuditLog, entry) -> None:
    reading = log.record(entry())
    said = log.feedback(reading.id, "grace", "pathologist", "mel", NOTE)
    assert (said.id, said.corrects_id, said.feedback_label) == (2, 1, "mel")
    assert said.feedback_note == NOTE
    assert (said.image_sha256, said.model_version) == (reading.image_sha256, "3")
    assert (said.status, said.prediction, said.probabilities) == (None, None, None)
    assert list(log.rows()) == [reading, said]


def test_feedback_names_a_class_or_something_else(log: AuditLog, entry) -> None:
    log.record(entry())
    assert log.feedback(1, "ada", "dermatologist", "other", "  ").feedback_note is None
    with pytest.raises(ValueError, match="no class is called 'melanoma'; expected one of akiec"):
        log.feedback(1, "ada", "dermatologist", "melanoma")


def test_feedback_is_on_readings_that_are_there(log: AuditLog, entry) -> None:
    log.record(entry())
    log.feedback(1, "ada", "dermatologist", "nv")
    for nowhere in (9, 0, -1, 2**63):
        with pytest.raises(LookupError, match=f"has no row {nowhere}"):
            log.feedback(nowhere, "ada", "dermatologist", "nv")
    with pytest.raises(ValueError, match="row 2 is feedback on reading 1"):
        log.feedback(2, "ada", "dermatologist", "nv")
    assert log.head().rows == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"user": ""}, "user is ''; expected a text that is not blank"),
        ({"user": "a" * 201}, "user has 201 characters; at most 200"),
        ({"user": "ada\x1b[2J"}, "control character"),
        ({"role": "x\ny"}, "control character"),
        ({"role": "\ud800"}, "control character"),
        ({"role": None}, "role is None"),
    ],
)  # fmt: skip
def test_a_value_that_has_no_place_in_the_log_is_refused(
    log: AuditLog, entry, change, message
) -> None:
    with pytest.raises(ValueError, match=message):
        log.record(replace(entry(), **change))
    assert log.head().rows == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"probabilities": {"nv": float("nan")}}, "expected finite numbers"),
        ({"prediction": "melanoma"}, "no class is called 'melanoma'"),
        ({"prediction": None}, "expected both where the status is 'ok'"),
        ({"probabilities": None}, "expected both where the status is 'ok'"),
        ({"status": "unreadable"}, "expected both where the status is 'ok'"),
        ({"versions": None}, "which model spoke"),
        ({"image_sha256": None}, "which picture"),
        ({"image_sha256": "XYZ"}, "expected 64 lower-case hexadecimal digits"),
    ],
)  # fmt: skip
def test_a_prediction_that_contradicts_itself_is_refused(
    log: AuditLog, entry, change, message
) -> None:
    with pytest.raises(ValueError, match=message):
        log.record(entry(**change))
    assert log.head().rows == 0


def test_a_note_has_a_bound_and_the_bound_is_told(log: AuditLog, entry) -> None:
    log.record(entry())
    log.feedback(1, "ada", "dermatologist", "nv", "ß" * 4000)
    with pytest.raises(ValueError, match="the note has 4001 characters; at most 4000 are kept"):
        log.feedback(1, "ada", "dermatologist", "nv", "ß" * 4001)
    with pytest.raises(ValueError, match="control character"):
        log.feedback(1, "ada", "dermatologist", "nv", "a\x00b")


def test_of_several_readings_all_are_written_or_none(log: AuditLog, entry) -> None:
    rows = log.record_all([entry(label="nv"), entry(label="mel"), entry(label=None)])
    assert [row.id for row in rows] == [1, 2, 3]
    with pytest.raises(ValueError, match="user is ''"):
        log.record_all([entry(), entry(user="")])
    assert log.record_all([]) == []
    assert list(log.rows()) == rows
    assert log.verify().sound


def test_readings_come_newest_first_with_the_latest_feedback(log: AuditLog, entry) -> None:
    for user in ("ada", "grace", "ada"):
        log.record(entry(user=user))
    log.feedback(1, "grace", "pathologist", "mel")
    latest = log.feedback(1, "grace", "pathologist", "bcc", "histology")
    assert [reading.row.id for reading in log.readings()] == [3, 2, 1]
    assert [reading.row.id for reading in log.readings(limit=1)] == [3]
    mine = log.readings(user="ada")
    assert [reading.row.id for reading in mine] == [3, 1]
    assert [reading.feedback for reading in mine] == [None, latest]
    for limit in (0, 2**70):
        with pytest.raises(ValueError, match=f"limit is {limit}; expected 1 to 10000"):
            log.readings(limit=limit)


def test_agreement_counts_the_latest_word_on_each_reading(log: AuditLog, entry) -> None:
    assert log.agreement().rate is None
    for label in ("nv", "nv", "mel", "bcc", None):
        log.record(entry(label=label))
    log.feedback(1, "grace", "pathologist", "nv")
    log.feedback(2, "grace", "pathologist", "nv")
    log.feedback(2, "grace", "pathologist", "mel")  # changed his mind
    log.feedback(3, "grace", "pathologist", "mel")
    log.feedback(5, "grace", "pathologist", "mel")  # the model named no class
    found = log.agreement()
    assert (found.readings, found.with_feedback, found.agreed) == (4, 3, 2)
    assert found.rate == pytest.approx(2 / 3)
    assert log.agreement(Scope(user="grace")).readings == 0
    assert log.agreement(Scope(user="ada")) == found
    assert log.agreement(model_version="4").readings == 0
    assert log.agreement(Scope(since=datetime.now(UTC))).readings == 0


def test_rows_are_chosen_by_user_and_time(url: str, entry) -> None:
    noon = datetime(2026, 1, 31, 12, tzinfo=UTC)
    times = iter([noon, noon + timedelta(hours=1), noon + timedelta(hours=2)])
    log = AuditLog.open(url, clock=lambda: next(times))
    for user in ("ada", "grace", "ada"):
        log.record(entry(user=user))

    def ids(*scope: object) -> list[int]:
        return [row.id for row in log.rows(Scope(*scope))]  # type: ignore[arg-type]

    assert ids("ada") == [1, 3]
    assert ids(None, noon + timedelta(hours=1)) == [2, 3]
    assert ids(None, None, noon + timedelta(hours=1)) == [1]
    elsewhere = timezone(timedelta(hours=-5))
    assert ids(None, datetime(2026, 1, 31, 8, tzinfo=elsewhere)) == [2, 3]
    with pytest.raises(ValueError, match="has no time zone"):
        log.rows(Scope(since=datetime(2026, 1, 31)))


def test_times_are_utc_to_the_microsecond(url: str, entry) -> None:
    moment = datetime(2026, 3, 1, 1, 30, 0, 7, tzinfo=timezone(timedelta(hours=2)))
    log = AuditLog.open(url, clock=lambda: moment)
    assert log.record(entry()).at == moment
    (row,) = log.rows()
    assert (row.at, row.at.tzinfo) == (moment, UTC)


def test_a_clock_that_is_set_back_breaks_nothing_and_is_told(url: str, entry) -> None:
    noon = datetime(2026, 1, 31, 12, tzinfo=UTC)
    times = iter([noon, noon - timedelta(days=400), noon])
    log = AuditLog.open(url, clock=lambda: next(times))
    rows = [log.record(entry()) for _ in range(3)]
    assert [row.at for row in rows] == [noon, noon - timedelta(days=400), noon]
    found = log.verify()
    assert found.sound
    assert found.clock_set_back == 1


def test_a_clock_without_a_time_zone_writes_nothing(url: str, entry) -> None:
    log = AuditLog.open(url, clock=datetime.now)
    with pytest.raises(ValueError, match="has no time zone"):
        log.record(entry())
    assert log.head().rows == 0


def test_every_row_follows_the_one_before(log: AuditLog, entry) -> None:
    rows = [log.record(entry()), log.record(entry()), log.feedback(1, "ada", "d", "nv")]
    assert [row.previous_hash for row in rows] == [GENESIS, rows[0].row_hash, rows[1].row_hash]
    assert (log.head().hash, log.head().rows) == (rows[2].row_hash, 3)


def test_a_hash_can_be_computed_without_this_project(url: str, log: AuditLog, entry) -> None:
    log.record(entry(user="Zoë"))
    log.feedback(1, "Zoë", "dermatologist", "mel", NOTE)
    parsed = make_url(url)
    if parsed.get_backend_name() == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    with create_engine(parsed).connect() as connection:
        stored = connection.execute(text("SELECT * FROM audit_log ORDER BY id")).mappings().all()
    assert len(stored) == 2
    for row in map(dict, stored):
        claimed = row.pop("row_hash")
        plain = json.dumps(row, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        assert hashlib.sha256(plain.encode()).hexdigest() == claimed


def test_an_export_holds_every_row_and_proves_it(log: AuditLog, entry) -> None:
    log.record(entry(user="Zoë"))
    log.feedback(1, "=HYPERLINK(1)", "'quoted", "mel", f'-2+3, "cmd"\n{NOTE}')
    file = io.StringIO(newline="")
    assert write_csv(log.rows(), file) == 2
    rows = list(csv.DictReader(io.StringIO(file.getvalue(), newline="")))
    assert tuple(rows[0]) == BOOK.columns
    for row in rows:
        plain = {name: cell.removeprefix("'") or None for name, cell in row.items()}
        numbers = {
            name: int(plain[name]) for name in ("id", "corrects_id") if plain[name] is not None
        }
        assert row_hash(plain | numbers) == row["row_hash"]


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "  =1", "＝1", "'=1", "-", "=cmd|' /C calc'!A0"]
)  # fmt: skip
def test_no_cell_of_an_export_is_a_formula(log: AuditLog, entry, text: str) -> None:
    log.record(entry())
    log.feedback(1, "ada", "dermatologist", "nv", text)
    file = io.StringIO(newline="")
    write_csv(log.rows(), file)
    rows = list(csv.reader(io.StringIO(file.getvalue(), newline="")))
    assert rows[2][BOOK.columns.index("feedback_note")] == f"'{text}"
    starts = {cell.lstrip(" ")[:1] for row in rows for cell in row}
    assert not starts & set("=+-@\t\r\n＝")


def test_opening_again_goes_on_where_the_log_was(url: str, log: AuditLog, entry) -> None:
    first = log.record(entry())
    again = AuditLog.open(url, create=False)
    assert again.record(entry()).previous_hash == first.row_hash
    assert log.record(entry()).id == 3
    assert again.verify().sound


def test_a_log_that_is_not_there_is_not_made_by_looking(url: str, tmp_path: Path) -> None:
    with pytest.raises(LookupError, match="there is no audit log at"):
        AuditLog.open(url, create=False)
    assert not list(tmp_path.iterdir())


def test_a_log_of_a_newer_version_is_refused(url: str, log: AuditLog, entry, meddle) -> None:
    meddle("UPDATE audit_state SET schema_version = 2")
    with pytest.raises(
        AuditError, match="version 2 of the layout, and this program knows version 1"
    ):
        AuditLog.open(url)
    # Also by who had it open before.
    with pytest.raises(AuditError, match="use the version of skin-lesion that wrote it"):
        log.record(entry())
    meddle("UPDATE audit_state SET schema_version = 1")
    assert log.head().rows == 0


def test_half_a_log_is_refused(url: str, log: AuditLog, meddle) -> None:
    meddle("DROP TABLE audit_state")
    with pytest.raises(AuditError, match="there is a table audit_log, but not the other one"):
        AuditLog.open(url)


def test_a_short_bound_on_memory_changes_nothing(url: str, entry) -> None:
    log = AuditLog.open(url, config=AuditConfig(rows_in_memory=1))
    rows = log.record_all([entry() for _ in range(5)])
    assert list(log.rows()) == rows
    assert log.verify().head.rows == 5
