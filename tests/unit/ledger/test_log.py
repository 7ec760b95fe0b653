"""What the ledger keeps, counts and finds out, in every database."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

from skin_lesion.chain import Head
from skin_lesion.data.looking import LookedAt, Purpose
from skin_lesion.ledger import (
    URL_VARIABLE,
    LedgerError,
    LookLedger,
    environments_ledger,
    ledger_url,
)

WRITER = """
import sys
from tests.unit.ledger.conftest import make_look
from skin_lesion.ledger import LookLedger
for _ in range(20):
    print(LookLedger.open(sys.argv[1]).record(make_look()).row)
"""


def test_a_look_is_kept_as_it_was_declared(ledger: LookLedger, look) -> None:
    note = ledger.record(look(against="b" * 64, kind="answers"))
    (row,) = ledger.rows()
    assert (row.id, row.user, row.tool, row.reason, row.run) == (
        1, "ada", "evaluate", "a test wants the figures", "run 1",
    )  # fmt: skip
    assert (row.kind, row.model, row.images) == ("answers", "version 97", 210)
    assert (row.bundle_hash, row.against_hash) == ("a" * 64, "b" * 64)
    assert (row.split_hash, row.test_hash) == ("5" * 64, "7" * 64)
    assert ledger.row(1) == row
    assert ledger.row(2) is None
    assert note.since == row.at
    assert note.head == f"{row.row_hash}:1" == str(ledger.head())


def test_earlier_looks_at_the_same_test_pictures_are_counted_and_no_others(url: str, look) -> None:
    clock = datetime(2026, 1, 1, 12, tzinfo=UTC)
    ledger = LookLedger.open(url, clock=lambda: clock)
    assert ledger.record(look()).before == 0
    clock += timedelta(days=1)
    # `e` is `a` with other decisions: the same weights.
    notes = [ledger.record(look(model)) for model in "bba"] + [ledger.record(look("e"))]
    assert [(n.before, n.models_before, n.same_model_before) for n in notes] == [
        (1, 1, 0), (2, 1, 1), (3, 1, 1), (4, 1, 2),
    ]  # fmt: skip
    assert {note.since for note in notes} == {datetime(2026, 1, 1, 12, tzinfo=UTC)}
    other = ledger.record(look("c", test="8"))
    assert (other.before, other.models_before, other.row) == (0, 0, 6)
    # The same test pictures behind another share of training and validation.
    assert ledger.record(look("c", split_hash="6" * 64)).before == 5


def test_who_looks_is_the_login_where_nobody_says(ledger: LookLedger, look, monkeypatch) -> None:
    monkeypatch.setenv("LOGNAME", "grace")
    ledger.record(look(purpose=Purpose("verify", "why not")))
    assert next(ledger.rows()).user == "grace"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"purpose": Purpose("evaluate", " ")}, "reason is ' '"),
        ({"purpose": Purpose("", "why")}, "tool is ''"),
        ({"purpose": Purpose("evaluate", "two\nlines")}, "control character"),
        ({"purpose": Purpose("evaluate", "x" * 1001)}, "reason has 1001 characters"),
        ({"subject": LookedAt("B" * 64, "a" * 64)}, "bundle_hash is"),
        ({"subject": LookedAt("a" * 64, "")}, "trained_hash is ''"),
        ({"split_hash": "abc"}, "split_hash is 'abc'"),
    ],
)  # fmt: skip
def test_a_look_without_a_reason_or_a_model_is_none(
    ledger: LookLedger, look, change, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        ledger.record(look(**change))
    assert ledger.head().rows == 0


def test_any_letters_are_kept(ledger: LookLedger, look) -> None:
    ledger.record(look(purpose=Purpose("evaluate", "¿por qué? 为什么", user="Ann Ünal")))
    assert next(ledger.rows()).reason == "¿por qué? 为什么"
    assert ledger.verify().sound


def test_processes_that_look_at_once_lose_nothing(url: str, root: Path) -> None:
    """The ledger is not there yet: they also make it at once."""
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, url], cwd=root, stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    rows = [int(row) for writer in writers for row in writer.communicate(timeout=120)[0].split()]
    assert sorted(rows) == list(range(1, 61))
    assert LookLedger.open(url).verify().head.rows == 60


def test_threads_that_look_at_once_are_each_told_another_count(ledger: LookLedger, look) -> None:
    with ThreadPoolExecutor(4) as pool:
        notes = list(pool.map(lambda _: ledger.record(look()), range(24)))
    assert sorted(note.before for note in notes) == list(range(24))


def test_a_look_that_was_changed_or_removed_is_found(tmp_path: Path, look) -> None:
    ledger = LookLedger.open(f"sqlite:///{tmp_path / 'looks.db'}")
    notes = [ledger.record(look(model)) for model in "abc"]
    assert ledger.verify(Head.parse(notes[0].head)).sound
    with create_engine(f"sqlite:///{tmp_path / 'looks.db'}").begin() as connection:
        connection.execute(text("DROP TRIGGER test_looks_no_update"))
        connection.execute(text("DROP TRIGGER test_looks_no_delete"))
        connection.execute(text("UPDATE test_looks SET reason = 'none' WHERE id = 2"))
    fault = ledger.verify().fault
    assert fault is not None
    assert fault.id == 2


def test_the_database_itself_refuses_to_forget_a_look(ledger: LookLedger, url: str, look) -> None:
    ledger.record(look())
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        parsed = parsed.set(drivername="postgresql+psycopg")
    for statement in ("DELETE FROM test_looks", "UPDATE test_looks SET reason = 'x'"):
        with (
            create_engine(parsed).begin() as connection,
            pytest.raises(Exception, match="ledger of test looks is append-only"),
        ):
            connection.execute(text(statement))
    assert ledger.verify().sound


def test_a_ledger_and_an_audit_log_share_a_database(url: str, look) -> None:
    from skin_lesion.audit import AuditLog

    log, ledger = AuditLog.open(url), LookLedger.open(url)
    ledger.record(look())
    assert log.verify().head.rows == 0
    assert ledger.verify().head.rows == 1
    assert log.verify().sound


def test_a_ledger_that_cannot_be_written_says_that_nothing_was(tmp_path: Path, look) -> None:
    ledger = LookLedger.open(f"sqlite:///{tmp_path / 'looks.db'}")
    (tmp_path / "looks.db").write_bytes(b"this is no database" * 1000)
    with pytest.raises(LedgerError, match=f"ledger of test looks.*Nothing.*{URL_VARIABLE}"):
        ledger.record(look())


@pytest.mark.parametrize("url", ["sqlite:////proc/none/looks.db", "nonsense", "mysql://host/db"])
def test_a_ledger_that_the_environment_names_and_that_cannot_be_is_an_error_of_the_ledger(
    monkeypatch, url: str
) -> None:
    monkeypatch.setenv(URL_VARIABLE, url)
    with pytest.raises(LedgerError, match="ledger of test looks"):
        environments_ledger()


def test_the_ledger_is_where_the_user_the_environment_or_the_project_says(
    monkeypatch, tmp_path: Path
) -> None:
    monkeypatch.delenv(URL_VARIABLE)
    assert ledger_url(None, tmp_path) == f"sqlite:///{tmp_path}/.work/test-looks.db"
    monkeypatch.setenv(URL_VARIABLE, "sqlite:///environment.db")
    assert ledger_url(None) == "sqlite:///environment.db"
    assert ledger_url("sqlite:///said.db") == "sqlite:///said.db"


def test_a_ledger_that_is_not_there_is_made_only_where_it_may_be(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match="there is no ledger of test looks at"):
        LookLedger.open(f"sqlite:///{tmp_path / 'looks.db'}", create=False)
    assert not list(tmp_path.iterdir())


def test_a_look_of_another_ledger_is_entered_once_and_says_where_it_is_from(
    ledger: LookLedger, look, tmp_path: Path
) -> None:
    then = datetime(2026, 1, 1, 12, tzinfo=UTC)
    other = LookLedger.open(f"sqlite:///{tmp_path / 'other.db'}", clock=lambda: then)
    other.record(look("b"))
    ledger.record(look("a"))
    (row,) = other.rows()
    note = ledger.enter(row)
    assert (note.row, note.before, note.models_before) == (2, 1, 1)
    entry = ledger.row(2)
    assert entry.reason == (
        "a test wants the figures (written 2026-01-01T12:00:00.000000Z) [entered from row 1 of another "
        f"ledger, {row.row_hash}]"
    )
    assert (entry.user, entry.tool, entry.run, entry.model) == (
        row.user, row.tool, row.run, row.model,
    )  # fmt: skip
    assert (entry.bundle_hash, entry.trained_hash) == (row.bundle_hash, row.trained_hash)
    assert (entry.split_hash, entry.test_hash) == (row.split_hash, row.test_hash)
    assert entry.at > then
    assert ledger.enter(row) is None
    assert ledger.enter(ledger.row(1)) is None, "its own row is no other look"
    assert ledger.head().rows == 2
    assert ledger.verify(Head.parse(note.head)).sound


def test_two_who_enter_the_same_look_at_once_enter_it_once(
    ledger: LookLedger, look, tmp_path: Path
) -> None:
    other = LookLedger.open(f"sqlite:///{tmp_path / 'other.db'}")
    other.record(look())
    (row,) = other.rows()
    with ThreadPoolExecutor(4) as pool:
        notes = list(pool.map(lambda _: ledger.enter(row), range(8)))
    assert sum(note is not None for note in notes) == 1
    assert ledger.head().rows == 1


def test_a_long_reason_makes_room_for_where_the_look_is_from(
    ledger: LookLedger, look, tmp_path: Path
) -> None:
    other = LookLedger.open(f"sqlite:///{tmp_path / 'other.db'}")
    other.record(look(purpose=Purpose("evaluate", "x" * 1000)))
    (row,) = other.rows()
    ledger.enter(row)
    reason = ledger.row(1).reason
    assert len(reason) == 1000
    assert reason.startswith("xxx")
    assert reason.endswith(f"{row.row_hash}]")
    assert ledger.enter(row) is None


def test_a_row_of_another_ledger_that_was_changed_is_not_entered(
    ledger: LookLedger, look, tmp_path: Path
) -> None:
    other = LookLedger.open(f"sqlite:///{tmp_path / 'other.db'}")
    other.record(look())
    (row,) = other.rows()
    with pytest.raises(ValueError, match="row 1 of the other ledger is not as it was written"):
        ledger.enter(replace(row, images=row.images + 1))
    assert ledger.head().rows == 0
