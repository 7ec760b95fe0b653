"""Many writers at once, writers that are killed, and logs that cannot be written."""

import contextlib
import os
import sqlite3
import threading
import tracemalloc
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import create_engine, event, make_url, text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.pool import NullPool

from skin_lesion.audit import AuditError, AuditLog, Scope, audit_url
from skin_lesion.audit.database import URL_VARIABLE
from skin_lesion.audit.schema import BOOK
from skin_lesion.chain.database import postgres_lock
from skin_lesion.settings import AuditConfig

WRITERS = 8
ROWS_EACH = 50


def run_together(start: Callable, url: str, count: int) -> list[int]:
    """Start writers, let them go at once, and gather the ids that they say they wrote."""
    writers = [start(url, f"writer {number}", count) for number in range(WRITERS)]
    for writer in writers:
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    ids = []
    for writer in writers:
        said, complaints = writer.communicate(timeout=300)
        assert writer.returncode == 0, complaints
        ids += map(int, said.split())
    return ids


@contextlib.contextmanager
def held(url: str) -> Iterator[None]:
    """Keep the log's lock, as a writer does that takes too long."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        connection = sqlite3.connect(parsed.database, isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.close()
        return
    engine = create_engine(parsed.set(drivername="postgresql+psycopg"), poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text(f"SELECT pg_advisory_xact_lock({postgres_lock(BOOK)})"))
        yield


@pytest.mark.slow
def test_processes_that_write_at_once_lose_nothing_and_fork_nothing(url: str, start) -> None:
    """The log is not there yet: they also make it at once."""
    ids = run_together(start, url, ROWS_EACH)
    assert sorted(ids) == list(range(1, WRITERS * ROWS_EACH + 1))
    log = AuditLog.open(url, create=False)
    found = log.verify()
    assert found.sound
    assert found.head.rows == WRITERS * ROWS_EACH
    pictures = {row.image_sha256 for row in log.rows()}
    assert len(pictures) == WRITERS * ROWS_EACH
    for number in range(WRITERS):
        assert len(list(log.rows(Scope(f"writer {number}")))) == ROWS_EACH


def test_threads_and_logs_opened_twice_share_one_chain(url: str, entry) -> None:
    logs = [AuditLog.open(url), AuditLog.open(url)]
    with ThreadPoolExecutor(8) as pool:
        rows = list(pool.map(lambda number: logs[number % 2].record(entry()), range(80)))
    assert sorted(row.id for row in rows) == list(range(1, 81))
    assert logs[0].verify().sound


def test_readers_hold_up_no_writer_and_see_one_moment(log: AuditLog, entry) -> None:
    log.record_all([entry(), entry()])
    rows = log.rows()
    first = next(rows)
    third = log.record(entry())
    assert [first.id, *(row.id for row in rows)] == [1, 2]
    assert third.id == 3
    assert log.verify().sound


def test_sqlite_keeps_its_changes_beside_the_file(sqlite_url: str) -> None:
    AuditLog.open(sqlite_url)
    with contextlib.closing(sqlite3.connect(make_url(sqlite_url).database)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_killed_writer_leaves_no_half_row_and_loses_no_safe_one(url: str, start) -> None:
    said: list[int] = []
    for attempt in range(2):
        writer = start(url, f"victim {attempt}", 10_000)
        writer.stdin.write("go\n")
        writer.stdin.flush()
        assert writer.stdout.readline() == "ready\n"
        lines = [writer.stdout.readline() for _ in range(5 + 3 * attempt)]
        writer.kill()
        rest, _ = writer.communicate()
        # The last line may have been cut off by the kill.
        said += [int(line) for line in [*lines, *rest.splitlines(keepends=True)] if "\n" in line]
        log = AuditLog.open(url)
        assert log.verify().sound
        assert {row.id for row in log.rows()} >= set(said)


def test_whoever_waits_too_long_for_another_writer_is_told(url: str, entry) -> None:
    AuditLog.open(url)
    log = AuditLog.open(url, config=AuditConfig(timeout_seconds=0.2))
    with held(url), pytest.raises(AuditError, match=r"held it for more than 0\.2 s; try again"):
        log.record(entry())
    assert log.head().rows == 0
    # With the usual patience: writers of other logs in the database may be at work.
    assert AuditLog.open(url).record(entry()).id == 1


def test_whoever_waits_for_another_writer_gets_his_turn(url: str, entry) -> None:
    log = AuditLog.open(url)
    written = []
    with held(url):
        writer = threading.Thread(target=lambda: written.append(log.record(entry())))
        writer.start()
        writer.join(timeout=0.3)
        assert not written
    writer.join()
    assert [row.id for row in written] == [1]


def test_a_fork_shares_no_connection(log: AuditLog, entry) -> None:
    """Parent and child write at once through the log that was opened before."""
    log.record(entry())
    child = os.fork()
    if child == 0:
        status = 1
        with contextlib.suppress(BaseException):
            for _ in range(20):
                log.record(entry())
            status = 0
        os._exit(status)
    for _ in range(20):
        log.record(entry())
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert log.verify().head.rows == 41
    assert log.verify().sound


def test_a_long_log_is_read_in_little_memory(sqlite_url: str, entry) -> None:
    log = AuditLog.open(sqlite_url, config=AuditConfig(rows_in_memory=100))
    log.record_all([entry() for _ in range(3000)])

    def peak(read: Callable[[], object]) -> int:
        read()  # whatever is made once is made
        tracemalloc.start()
        read()
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    everything = peak(lambda: list(log.rows()))
    assert peak(log.verify) < everything / 10
    assert peak(lambda: sum(1 for _ in log.rows())) < everything / 10


def test_a_log_that_cannot_be_written_says_so(sqlite_url: str, tmp_path: Path, entry) -> None:
    log = AuditLog.open(sqlite_url)
    log.record(entry())
    (tmp_path / "audit.db").write_bytes(b"this is no database" * 1000)
    for attempt in (lambda: log.record(entry()), log.verify, log.readings, log.agreement):
        with pytest.raises(AuditError, match="file is not a database"):
            attempt()
    with pytest.raises(AuditError, match="Nothing was recorded"):
        log.record(entry())


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_full_disk_is_told(url: str, log: AuditLog, entry) -> None:
    """A limit that the database keeps to stands for a full disk."""
    engine = log._database._reader
    event.listen(engine, "connect", lambda raw, _: raw.execute("PRAGMA max_page_count = 12"))
    with pytest.raises(AuditError, match=r"full.*Nothing was recorded.*disk has room"):
        log.record_all([entry() for _ in range(200)])
    assert AuditLog.open(url).verify().head.rows == 0


def test_a_server_that_is_not_there_is_told_without_the_password() -> None:
    with pytest.raises(AuditError, match=f"cannot be read.*{URL_VARIABLE}") as caught:
        AuditLog.open("postgresql://ada:secret@127.0.0.1:1/skin")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_a_role_that_owns_nothing_can_write_and_cannot_take_the_fences_down(
    url: str, log: AuditLog, entry
) -> None:
    """As `skin_lesion/chain/schema.py` recommends for PostgreSQL."""
    owner = make_url(url)
    role = f"audit_app_{uuid.uuid4().hex}"
    schema = owner.query["options"].removeprefix("-csearch_path=")
    engine = create_engine(owner.set(drivername="postgresql+psycopg"), poolclass=NullPool)
    with engine.begin() as connection:
        for statement in (
            f"CREATE ROLE {role} LOGIN PASSWORD 'app'",
            f"GRANT USAGE ON SCHEMA {schema} TO {role}",
            f"GRANT SELECT, INSERT ON audit_log TO {role}",
            f"GRANT SELECT, UPDATE (row_count, row_hash) ON audit_state TO {role}",
        ):
            connection.execute(text(statement))
    as_role = owner.set(username=role, password="app")
    try:
        app = AuditLog.open(as_role.render_as_string(hide_password=False))
        app.record(entry())
        app.feedback(1, "ada", "dermatologist", "nv")
        assert app.verify().sound
        weak = create_engine(as_role.set(drivername="postgresql+psycopg"), poolclass=NullPool)
        for statement in (
            "DELETE FROM audit_log",
            "UPDATE audit_log SET reason = 'x'",
            "TRUNCATE audit_log",
            "ALTER TABLE audit_log DISABLE TRIGGER ALL",
            "DROP TRIGGER audit_log_no_delete ON audit_log",
            "SET session_replication_role = replica",
        ):
            with pytest.raises(ProgrammingError), weak.begin() as connection:
                connection.execute(text(statement))
    finally:
        with engine.begin() as connection:
            connection.execute(text(f"DROP OWNED BY {role}"))
            connection.execute(text(f"DROP ROLE {role}"))


def test_a_folder_is_no_log(tmp_path: Path) -> None:
    with pytest.raises(AuditError, match="cannot be read"):
        AuditLog.open(f"sqlite:///{tmp_path}")
    (tmp_path / "file").write_text("")
    with pytest.raises(AuditError, match="cannot be used"):
        AuditLog.open(f"sqlite:///{tmp_path / 'file' / 'audit.db'}")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sqlite://", "has to outlive the program"),
        ("sqlite:///:memory:", "has to outlive the program"),
        ("mysql://host/base", "cannot be kept in 'mysql'"),
        ("audit.db", "cannot be understood"),
        ("", "cannot be understood"),
    ],
)  # fmt: skip
def test_a_url_of_something_else_is_refused(url: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"{message}.*expected sqlite:///PATH or postgresql://"):
        AuditLog.open(url)


def test_a_path_is_never_cut_short(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="question mark has no place in the path"):
        AuditLog.open(f"sqlite:///{tmp_path / 'what?.db'}")
    assert not list(tmp_path.iterdir())


def test_a_relative_path_means_the_same_file_later(tmp_path: Path, monkeypatch, entry) -> None:
    monkeypatch.chdir(tmp_path)
    log = AuditLog.open("sqlite:///made/on/the/way/audit.db")
    monkeypatch.chdir("/")
    log.record(entry())
    assert (tmp_path / "made/on/the/way/audit.db").exists()
    assert log.verify().head.rows == 1


def test_the_log_is_where_the_user_the_environment_or_the_project_says(
    monkeypatch, tmp_path: Path
) -> None:
    root = tmp_path / "a %20 #project"
    monkeypatch.delenv(URL_VARIABLE, raising=False)
    AuditLog.open(audit_url(None, root))
    assert (root / ".work" / "audit.db").exists()
    monkeypatch.setenv(URL_VARIABLE, "sqlite:///from/the/environment.db")
    assert audit_url(None, root) == "sqlite:///from/the/environment.db"
    assert audit_url("sqlite:///said.db", root) == "sqlite:///said.db"
