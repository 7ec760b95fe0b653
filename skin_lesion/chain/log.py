"""A log whose rows are chained by their hashes: opening, appending, reading, verifying."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from sqlalchemy import Connection, Row, Select, select

from skin_lesion.chain.book import Book
from skin_lesion.chain.database import Database
from skin_lesion.chain.rows import GENESIS, DamagedRowError, Stored, chained
from skin_lesion.chain.schema import (
    State,
    append,
    create,
    fallen_fences,
    is_there,
    read_state,
)
from skin_lesion.chain.verification import Head, Verification, check_chain

RowT = TypeVar("RowT")


def utc_now() -> datetime:
    """The time by this machine's clock."""
    return datetime.now(UTC)


class ChainedLog(ABC, Generic[RowT]):
    """An append-only log; may be shared by threads, and by processes through its URL.

    Nothing is kept open between two calls. Whatever goes wrong is an error of the book's kind: what
    was not recorded must not pass for what was.

    Attributes:
        book: Which kind of log it is.
    """

    book: ClassVar[Book]

    def __init__(
        self,
        url: str,
        *,
        timeout_seconds: float,
        rows_in_memory: int,
        clock: Callable[[], datetime],
    ) -> None:
        """Connect to nothing yet; a log is opened by its class.

        Args:
            url: `sqlite:///PATH` or `postgresql://...`. SQLite wants a local disk; for writers on
                several machines there is PostgreSQL.
            timeout_seconds: How long to wait for other writers, and for a server to answer.
            rows_in_memory: Rows fetched at a time where the whole log is read.
            clock: Tells the time, with its time zone.

        Raises:
            ValueError: The URL is of no database that a log can be kept in.
        """
        self._database = Database(url, self.book, timeout_seconds)
        self._rows_in_memory = rows_in_memory
        self._clock = clock

    @staticmethod
    @abstractmethod
    def as_row(cells: Mapping[str, Any]) -> RowT:
        """A row of the log from what the database keeps of it.

        Raises:
            DamagedRowError: Somebody wrote into it what this log never writes.
        """

    @property
    def name(self) -> str:
        """The log's URL without the password."""
        return self._database.name

    def head(self) -> Head:
        """Where the log ends, to be noted elsewhere.

        Raises:
            ChainError: The log cannot be read, or does not end where the database says.
        """
        columns = self.book.rows.c
        last = select(columns.id, columns.row_hash).order_by(columns.id.desc()).limit(1)
        with self._database.reading() as connection:
            state = self._state(connection)
            row = connection.execute(last).one_or_none()
        rows, row_hash = (0, GENESIS) if row is None else row
        if (rows, row_hash) != (state.row_count, state.row_hash):
            raise self._database.refuse(
                f"it does not end where the database says; run `{self.book.command} verify`"
            )
        return Head(row_hash, rows)

    def verify(self, noted: Head | None = None) -> Verification:
        """Look at every row.

        Args:
            noted: A head noted elsewhere; without one, rows cut off the end together with the note
                that the database keeps of them, and a chain computed anew, cannot be found.

        Raises:
            ChainError: The log cannot be read.
        """
        table = self.book.rows
        with self._database.reading() as connection:
            state = self._state(connection)
            rows = self._streamed(connection, select(table).order_by(table.c.id))
            return check_chain(
                (row._asdict() for row in rows),
                self.book.columns,
                state.row_count,
                state.row_hash,
                noted=noted,
                fallen_fences=fallen_fences(connection, self.book),
            )

    def _prepare(self, *, may_create: bool) -> None:
        """Make the log where there is none and it may be made.

        Raises:
            LookupError: There is none, and none may be made.
            ChainError: The database cannot be used, or a newer version of this program wrote it.
        """
        path = self._database.path
        if path is not None and not path.exists():
            if not may_create:
                raise LookupError(f"there is no {self.book.noun} at {self.name}")
            try:
                _make_private_file(path)
            except OSError as error:
                raise self._database.refuse(f"{error}") from error
        with self._database.reading() as connection:
            there = self._checked(connection)
        if there:
            return
        if not may_create:
            raise LookupError(f"there is no {self.book.noun} at {self.name}")
        with self._database.writing() as connection:
            # Somebody else may have made it in the meantime.
            if not self._checked(connection):
                create(connection, self.book)
        self._database.keep_readers_going()

    def _checked(self, connection: Connection) -> bool:
        try:
            there = is_there(connection, self.book)
        except ValueError as error:
            raise self._database.refuse(str(error)) from error
        if there:
            self._state(connection)
        return there

    def _state(self, connection: Connection) -> State:
        try:
            return read_state(connection, self.book)
        except ValueError as error:
            raise self._database.refuse(str(error)) from error

    def _append(self, connection: Connection, values: Sequence[Stored]) -> list[RowT]:
        """Write rows in the caller's transaction; they are safe once it has ended."""
        state = self._state(connection)
        row_id, previous = state.row_count, state.row_hash
        rows = []
        for cells in values:
            row_id += 1
            rows.append(chained(cells, self.book.columns, row_id, self._clock(), previous))
            previous = str(rows[-1]["row_hash"])
        append(connection, self.book, rows)
        return [self.as_row(row) for row in rows]

    def _stream(self, query: Select[Any]) -> Iterator[RowT]:
        with self._database.reading() as connection, self._damage_told():
            for row in self._streamed(connection, query):
                yield self.as_row(row._asdict())

    def _streamed(self, connection: Connection, query: Select[Any]) -> Iterable[Row[Any]]:
        return connection.execute(query, execution_options={"yield_per": self._rows_in_memory})

    @contextmanager
    def _damage_told(self) -> Iterator[None]:
        try:
            yield
        except DamagedRowError as error:
            raise self._database.refuse(f"{error}; run `{self.book.command} verify`") from error


def _make_private_file(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # It tells who did what: SQLite itself would let everybody read it.
    path.touch(mode=0o600)
