"""Connections to the database of a chained log: one a transaction, and none kept in between.

A connection that nobody keeps can be shared by no two threads, survives no fork and goes stale with
no restart of a server.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from skin_lesion.chain.book import Book

_POSTGRES_LOCK_TIMEOUT = "55P03"
_WRITES = "chain_writes"


class ChainError(RuntimeError):
    """A log cannot be read or written; the message says whether anything was, and what to do."""


def log_url(book: Book, given: str | None, root: Path) -> str:
    """Where a log is.

    Args:
        book: Which kind of log.
        given: What the user said; None asks the environment's variable of the book.
        root: The project's root; where nobody said anything the log is in its folder `.work`.
    """
    default = URL.create("sqlite", database=str(root / ".work" / book.file))
    return given or os.environ.get(book.variable) or default.render_as_string(hide_password=False)


class Database:
    """Transactions on one database.

    Attributes:
        book: Which kind of log it holds.
        name: Its URL without the password, for messages.
        path: The file of an SQLite database; None for a server.
    """

    def __init__(self, url: str, book: Book, timeout_seconds: float) -> None:
        """Connect to nothing yet.

        Args:
            url: `sqlite:///PATH` or `postgresql://...`.
            book: Which kind of log it holds.
            timeout_seconds: How long to wait for other writers, and for a server to answer.

        Raises:
            ValueError: The URL is of no database that a log can be kept in.
        """
        parsed = _parse(url, book)
        self.book = book
        sqlite = parsed.get_backend_name() == "sqlite"
        self.name = parsed.render_as_string(hide_password=True)
        self.path = Path(parsed.database or "") if sqlite else None
        self._timeout = timeout_seconds
        engine = create_engine(
            parsed,
            poolclass=NullPool,
            # Parameters are whom the log tells of: not for the messages of errors.
            hide_parameters=True,
            connect_args={"timeout": self._timeout}
            if sqlite
            # Whatever encoding the server prefers: what it cannot keep, it has to refuse.
            else {"connect_timeout": max(2, round(self._timeout)), "client_encoding": "UTF8"},
        )
        if sqlite:
            event.listen(engine, "connect", _set_up_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
            self._reader, self._writer = engine, engine.execution_options(**{_WRITES: True})
        else:
            self._reader = engine.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
            # Whatever the server's default is: a snapshot taken while waiting for the lock would
            # not show the row of whoever held it.
            self._writer = engine.execution_options(isolation_level="READ COMMITTED")

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees the log as it is at one moment, and holds up no writer.

        Raises:
            ChainError: The database cannot be read; of the book's own kind.
        """
        try:
            with self._reader.connect() as connection, connection.begin():
                yield connection
        except SQLAlchemyError as error:
            raise self._failure("cannot be read", error) from error

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that holds the log's only lock: kept whole where the block ends, or not at all.

        Raises:
            ChainError: The database cannot be written, or somebody else kept the lock too long;
                of the book's own kind.
        """
        committing = False
        try:
            with self._writer.connect() as connection:
                connection.begin()
                if self.path is None:
                    milliseconds = max(1, round(self._timeout * 1000))
                    connection.execute(text(f"SET LOCAL lock_timeout = {milliseconds}"))
                    connection.execute(
                        text(f"SELECT pg_advisory_xact_lock({postgres_lock(self.book)})")
                    )
                yield connection
                committing = True
                connection.commit()
        except SQLAlchemyError as error:
            outcome = (
                f"Whether it was recorded is not known: see `{self.book.listing}` before you try "
                "again"
                if committing
                else "Nothing was recorded"
            )
            raise self._failure("cannot be written", error, f". {outcome}") from error

    def keep_readers_going(self) -> None:
        """Let SQLite keep its changes beside the file (WAL), so that readers wait for no writer."""
        if self.path is None:
            return
        # The file remembers it. Where it cannot be done, say since others have the file open just
        # now, nothing is lost: the next to open the log tries again, and a log that cannot be
        # written says so when it is written to.
        with suppress(sqlite3.OperationalError), closing(self._writer.raw_connection()) as raw:
            raw.cursor().execute("PRAGMA journal_mode = WAL")

    def refuse(self, why: str) -> RuntimeError:
        """The error for a log that can be reached, but must not be used."""
        return self.book.error(f"the {self.book.noun} at {self.name} cannot be used: {why}")

    def _failure(self, what: str, error: Exception, outcome: str = "") -> RuntimeError:
        cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
        # What PostgreSQL adds after this word may hold the values of a row.
        detail = " ".join(str(cause).partition("DETAIL:")[0].split())
        return self.book.error(
            f"the {self.book.noun} at {self.name} {what}: {detail}{outcome}. {self._advice(error)}"
        )

    def _advice(self, error: Exception) -> str:
        cause = error.orig if isinstance(error, DBAPIError) else None
        busy = "database is locked" in str(cause) or (
            getattr(cause, "sqlstate", None) == _POSTGRES_LOCK_TIMEOUT
        )
        if busy:
            return f"Another writer held it for more than {self._timeout:g} s; try again"
        if isinstance(error, IntegrityError):
            return (
                f"Run `{self.book.command} verify`: somebody may have tampered with it. Then keep "
                "it as evidence, and let the next log be another"
            )
        return (
            "Check that it can be reached and written from here, that the disk has room, and that "
            f"{self.book.variable} or the URL you gave is right"
        )


def postgres_lock(book: Book) -> int:
    """Number of the advisory lock that every writer of such a log holds in PostgreSQL."""
    return int.from_bytes(book.lock)


def _parse(url: str, book: Book) -> URL:
    noun = book.noun
    expected = (
        "expected sqlite:///PATH or postgresql://USER:PASSWORD@HOST/DATABASE, as an argument or in "
        f"{book.variable}"
    )
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ValueError(f"the URL of the {noun} cannot be understood; {expected}") from error
    if parsed.drivername in ("postgres", "postgresql", "postgresql+psycopg"):
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in ("sqlite", "sqlite+pysqlite"):
        raise ValueError(f"the {noun} cannot be kept in {parsed.drivername!r}; {expected}")
    if not parsed.database or parsed.database.startswith((":memory:", "file:")):
        raise ValueError(
            f"the {noun} has to outlive the program, and needs a file; got {url!r}; {expected}"
        )
    if "?" in url:
        # It would begin options, and quietly cut the path short.
        raise ValueError(f"a question mark has no place in the path of the {noun}; got {url!r}")
    # The folder that the program works in may change later.
    return parsed.set(database=str(Path(parsed.database).absolute()))


def _set_up_sqlite(connection: Any, _: object) -> None:
    # SQLAlchemy begins transactions below; the driver would begin them late and without the lock.
    connection.isolation_level = None
    # A text that is not UTF-8 was put there by somebody else: to be found, not to be choked on.
    connection.text_factory = _decode
    # A commit has reached the disk before it is told to have succeeded, at power failures too.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")


def _decode(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
