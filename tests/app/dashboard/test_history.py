"""What one user read: filtered, counted and taken away."""

import csv
import hashlib
import io
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from app.clinic.history import (
    NO_CLASS,
    Wanted,
    agreement,
    as_csv,
    chosen,
    class_of,
    malignant_probability,
    ranked,
    said_of,
)
from skin_lesion.audit import AuditLog, Entry
from skin_lesion.labels import LABELS
from skin_lesion.prediction import Prediction, Versions

BEGIN = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)


class Ticking:
    """A clock that a test sets."""

    now = BEGIN

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Ticking:
    return Ticking()


@pytest.fixture
def log(tmp_path: Path, clock: Ticking) -> AuditLog:
    return AuditLog.open(f"sqlite:///{tmp_path / 'audit.db'}", clock=clock)


Read = Callable[..., int]


@pytest.fixture
def read(log: AuditLog) -> Read:
    def make(label: str | None = "nv", user: str = "me", version: str = "1") -> int:
        versions = Versions("b" * 64, "c" * 64, version)
        sha256 = hashlib.sha256(f"{label}{user}".encode()).hexdigest()
        if label is None:
            said = Prediction("cannot_assess", "blurred", image_sha256=sha256, versions=versions)
        else:
            shares = {one: 0.7 if one == label else 0.05 for one in LABELS}
            said = Prediction(
                "ok",
                probabilities=shares,
                prediction=label,
                verdicts={"melanoma_sensitivity_95": label == "mel"},
                image_sha256=sha256,
                versions=versions,
            )
        return log.record(Entry(user, "clinician", said)).id

    return make


def test_what_was_said_last_counts(log: AuditLog, read: Read) -> None:
    first = read("mel")
    assert said_of(log.readings(user="me")[0]) == "nothing"
    log.feedback(first, "me", "clinician", "nv")
    assert said_of(log.readings(user="me")[0]) == "corrected"
    log.feedback(first, "me", "clinician", "mel")
    assert said_of(log.readings(user="me")[0]) == "agreed"
    assert len(list(log.rows())) == 3  # nothing was written over


def test_a_diagnosis_for_what_was_not_assessed_is_no_agreement(log: AuditLog, read: Read) -> None:
    log.feedback(read(None), "me", "clinician", "other")
    [reading] = log.readings(user="me")
    assert said_of(reading) == "corrected"
    assert class_of(reading) == NO_CLASS
    assert ranked(reading) == []
    assert malignant_probability(reading) is None
    assert agreement([reading], class_of) == []


def test_malignant_classes_are_summed_and_classes_ranked(log: AuditLog, read: Read) -> None:
    read("mel")
    [reading] = log.readings(user="me")
    assert malignant_probability(reading) == pytest.approx(0.8)
    assert ranked(reading)[0] == ("mel", 0.7)
    assert [label for label, _ in ranked(reading)[1:]] == sorted(set(LABELS) - {"mel"})


def test_days_begin_and_end_where_the_reader_is(log: AuditLog, read: Read, clock: Ticking) -> None:
    read("nv")  # 23:30 in UTC is the next day in Madrid
    clock.now = BEGIN + timedelta(days=1)
    read("mel")
    readings = log.readings(user="me")

    def ids(zone: str, **wanted: date) -> list[int]:
        return [r.row.id for r in chosen(readings, Wanted(**wanted), ZoneInfo(zone))]

    assert ids("UTC", since=date(2026, 3, 1), until=date(2026, 3, 1)) == [1]
    assert ids("Europe/Madrid", since=date(2026, 3, 2), until=date(2026, 3, 2)) == [1]
    assert ids("Europe/Madrid", since=date(2026, 3, 3)) == [2]
    assert ids("UTC", until=date(2026, 2, 28)) == []
    assert ids("UTC") == [2, 1]


def test_class_and_feedback_filter_together(log: AuditLog, read: Read) -> None:
    first, second, third = read("mel"), read("mel"), read(None)
    log.feedback(first, "me", "clinician", "mel")
    log.feedback(third, "me", "clinician", "bcc")
    readings = log.readings(user="me")

    def ids(**wanted: object) -> list[int]:
        return [r.row.id for r in chosen(readings, Wanted(**wanted), UTC)]  # type: ignore[arg-type]

    assert ids(classes=frozenset({"mel"})) == [second, first]
    assert ids(classes=frozenset({"mel"}), said="nothing") == [second]
    assert ids(classes=frozenset({NO_CLASS}), said="corrected") == [third]
    assert ids(classes=frozenset({"vasc"})) == []


def test_agreement_is_counted_by_class_and_version_with_its_interval(
    log: AuditLog, read: Read
) -> None:
    for number in range(10):
        reading = read("nv", version="1" if number < 8 else "2")
        if number < 5:
            log.feedback(reading, "me", "clinician", "nv" if number < 4 else "mel")
    readings = log.readings(user="me")
    [naevi] = agreement(readings, class_of)
    assert (naevi.readings, naevi.judged, naevi.agreed, naevi.rate) == (10, 5, 4, 0.8)
    # Wilson's interval for 4 of 5, as SciPy's binomtest(4, 5).proportion_ci(method="wilson") has it.
    assert (naevi.low, naevi.high) == pytest.approx((0.37553, 0.96377), abs=1e-5)
    versions = {each.name: each for each in agreement(readings, lambda one: one.row.model_version)}
    assert (versions["1"].readings, versions["2"].readings) == (8, 2)
    assert versions["2"].rate is None
    assert (versions["2"].low, versions["2"].high) == (0.0, 1.0)


def test_agreement_with_nothing_is_nothing() -> None:
    assert agreement([], class_of) == []


def test_a_user_takes_away_what_they_wrote_and_nothing_else(log: AuditLog, read: Read) -> None:
    mine, theirs = read("mel"), read("bcc", user="you")
    log.feedback(mine, "me", "clinician", "nv", '=HYPERLINK("http://evil")\nnéo')
    log.feedback(theirs, "you", "clinician", "nv", "mine alone")
    data = as_csv(log, "me")
    assert data.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))
    assert [row["user"] for row in rows] == ["me", "me"]
    assert rows[1]["feedback_note"] == '\'=HYPERLINK("http://evil")\nnéo'
    assert b"mine alone" not in data


def test_the_name_of_another_user_is_not_a_pattern(log: AuditLog, read: Read) -> None:
    read("nv", user="me")
    assert as_csv(log, "m%").count(b"\n") == 1  # the header
    assert log.readings(user="' OR 1=1 --") == []
