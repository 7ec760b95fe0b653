"""The audit log: what was predicted for whom by which model, and what people said of it."""

import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, Select

from skin_lesion.audit import pictures as kept_pictures
from skin_lesion.audit import queries
from skin_lesion.audit.database import AuditError, Database
from skin_lesion.audit.queries import Agreement, Reading, Scope
from skin_lesion.audit.records import (
    GENESIS,
    AuditRow,
    DamagedRowError,
    Entry,
    Stored,
    chained,
    feedback_values,
    from_stored,
    reading_values,
)
from skin_lesion.audit.schema import (
    State,
    append,
    create,
    fallen_fences,
    is_there,
    read_state,
)
from skin_lesion.audit.verification import Head, Verification, check_chain
from skin_lesion.settings import AuditConfig

# What 64 bits hold.
_MAX_ID = 2**63 - 1


def _now() -> datetime:
    return datetime.now(UTC)


class AuditLog:
    """An append-only log of predictions; may be shared by threads, and by processes through its URL.

    Nothing is kept open between two calls. Whatever goes wrong is an `AuditError`: a reading that
    was not recorded must not pass for one that was.
    """

    def __init__(
        self,
        database: Database,
        config: AuditConfig,
        pictures: Path | None,
        clock: Callable[[], datetime],
    ) -> None:
        """Use `open`."""
        self._database = database
        self._config = config
        self._pictures = pictures
        self._clock = clock

    @classmethod
    def open(
        cls,
        url: str,
        *,
        create: bool = True,
        pictures: Path | None = None,
        config: AuditConfig | None = None,
        clock: Callable[[], datetime] = _now,
    ) -> "AuditLog":
        """Open a log.

        Args:
            url: `sqlite:///PATH` or `postgresql://...`. SQLite wants a local disk; for writers on
                several machines there is PostgreSQL.
            create: Whether to make the log where there is none.
            pictures: Folder that the pixels of what is read are kept in, see
                `skin_lesion.audit.pictures`; None keeps no picture.
            config: None takes the defaults.
            clock: Tells the time, with its time zone.

        Raises:
            ValueError: The URL is of no database that a log can be kept in.
            LookupError: There is no log, and none may be made.
            AuditError: The database cannot be used, or a newer version of this program wrote it.
        """
        config = config or AuditConfig()
        log = cls(Database(url, config), config, pictures, clock)
        log._prepare(may_create=create)
        return log

    @property
    def name(self) -> str:
        """The log's URL without the password."""
        return self._database.name

    def record(self, entry: Entry) -> AuditRow:
        """Write down a reading.

        Returns:
            What was written, once it is safe on the disk.

        Raises:
            ValueError: The entry holds what has no place in the log.
            AuditError: It was not written.
        """
        return self.record_all([entry])[0]

    def record_all(self, entries: Sequence[Entry]) -> list[AuditRow]:
        """Write down several readings: all of them or, where anything goes wrong, none.

        Returns:
            What was written, in order.

        Raises:
            ValueError: An entry holds what has no place in the log.
            AuditError: They were not written.
        """
        values = [reading_values(entry, self._config) for entry in entries]
        if not values:
            return []
        # Before the rows: where this ends half-way, the log promises nothing that is not there.
        self._keep_pictures(entries)
        with self._database.writing() as connection:
            return self._append(connection, values)

    def feedback(
        self, of_id: int, user: str, role: str, label: str, note: str | None = None
    ) -> AuditRow:
        """Write down what somebody says of a reading: a new row, the reading stays as it is.

        Args:
            of_id: The reading.
            user: Who says it.
            role: In what role.
            label: His diagnosis, one of `FEEDBACK_LABELS`: the predicted class where he agrees.
            note: What else he says.

        Raises:
            ValueError: A value has no place in the log, or `of_id` is feedback itself.
            LookupError: There is no such reading.
            AuditError: It was not written.
        """
        row_id = operator.index(of_id)
        with self._database.writing() as connection:
            found = None
            if 0 < row_id <= _MAX_ID:
                found = connection.execute(queries.by_id(row_id)).one_or_none()
            if found is None:
                raise LookupError(f"the audit log at {self.name} has no row {row_id}")
            with self._damage_told():
                reading = from_stored(found._asdict())
            values = feedback_values(reading, user, role, label, note, self._config)
            return self._append(connection, [values])[0]

    def rows(self, scope: Scope | None = None) -> Iterator[AuditRow]:
        """Rows in the order of writing, as they come from the database.

        Args:
            scope: Which ones; None means all.

        Raises:
            ValueError: A time has no time zone.
            AuditError: The log cannot be read.
        """
        # Built here and not when the first row is wanted, so that a wrong argument is told at once.
        query = queries.in_order(scope or Scope())
        return self._stream(query)

    def readings(self, *, user: str | None = None, limit: int | None = None) -> list[Reading]:
        """The latest readings with what was said of them, the newest first.

        Args:
            user: Only readings of this user.
            limit: At most so many; None takes `AuditConfig.listed`.

        Raises:
            ValueError: `limit` is below 1 or above `AuditConfig.max_listed`.
            AuditError: The log cannot be read.
        """
        limit = self._config.listed if limit is None else limit
        if not 1 <= limit <= self._config.max_listed:
            raise ValueError(
                f"limit is {limit}; expected 1 to {self._config.max_listed}, which are held in "
                "memory; `rows` and `skin-lesion audit export` give any number"
            )
        with self._database.reading() as connection, self._damage_told():
            return queries.latest_readings(connection, user, limit)

    def agreement(
        self, scope: Scope | None = None, *, model_version: str | None = None
    ) -> Agreement:
        """How often the latest feedback on a reading names the predicted class.

        Args:
            scope: Which readings, whoever gave the feedback and whenever; None means all.
            model_version: Only readings by this model.

        Raises:
            ValueError: A time has no time zone.
            AuditError: The log cannot be read.
        """
        with self._database.reading() as connection:
            return queries.count_agreement(connection, scope or Scope(), model_version)

    def head(self) -> Head:
        """Where the log ends, to be noted elsewhere.

        Raises:
            AuditError: The log cannot be read, or does not end where the database says.
        """
        with self._database.reading() as connection:
            state = self._state(connection)
            row = connection.execute(queries.last()).one_or_none()
        rows, row_hash = (0, GENESIS) if row is None else row
        if (rows, row_hash) != (state.row_count, state.row_hash):
            raise self._database.refuse(
                "it does not end where the database says; run `skin-lesion audit verify`"
            )
        return Head(row_hash, rows)

    def verify(self, noted: Head | None = None) -> Verification:
        """Look at every row.

        Args:
            noted: A head noted elsewhere; without one, rows cut off the end together with the note
                that the database keeps of them, and a chain computed anew, cannot be found.

        Raises:
            AuditError: The log cannot be read.
        """
        with self._database.reading() as connection:
            state = self._state(connection)
            rows = self._streamed(connection, queries.in_order(Scope()))
            return check_chain(
                (row._asdict() for row in rows),
                state.row_count,
                state.row_hash,
                noted=noted,
                fallen_fences=fallen_fences(connection),
            )

    def _prepare(self, *, may_create: bool) -> None:
        path = self._database.path
        if path is not None and not path.exists():
            if not may_create:
                raise LookupError(f"there is no audit log at {self.name}")
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                # It tells who read what: SQLite itself would let everybody read it.
                path.touch(mode=0o600)
            except OSError as error:
                raise self._database.refuse(f"{error}") from error
        with self._database.reading() as connection:
            there = self._checked(connection)
        if there:
            return
        if not may_create:
            raise LookupError(f"there is no audit log at {self.name}")
        with self._database.writing() as connection:
            # Somebody else may have made it in the meantime.
            if not self._checked(connection):
                create(connection)
        self._database.keep_readers_going()

    def _checked(self, connection: Connection) -> bool:
        try:
            there = is_there(connection)
        except ValueError as error:
            raise self._database.refuse(str(error)) from error
        if there:
            self._state(connection)
        return there

    def _state(self, connection: Connection) -> State:
        try:
            return read_state(connection)
        except ValueError as error:
            raise self._database.refuse(str(error)) from error

    def _append(self, connection: Connection, values: Sequence[Stored]) -> list[AuditRow]:
        state = self._state(connection)
        row_id, previous = state.row_count, state.row_hash
        rows = []
        for cells in values:
            row_id += 1
            rows.append(chained(cells, row_id, self._clock(), previous))
            previous = str(rows[-1]["row_hash"])
        append(connection, rows)
        return [from_stored(row) for row in rows]

    def _keep_pictures(self, entries: Sequence[Entry]) -> None:
        if self._pictures is None:
            return
        for entry in entries:
            sha256 = entry.prediction.image_sha256
            if entry.picture is None or sha256 is None:
                continue
            try:
                kept_pictures.keep(self._pictures, entry.picture, sha256)
            except OSError as error:
                raise AuditError(
                    f"the picture cannot be kept in {self._pictures}: {error}. Nothing was "
                    "recorded. Check that the folder can be written and that its disk has room"
                ) from error

    def _stream(self, query: Select[Any]) -> Iterator[AuditRow]:
        with self._database.reading() as connection, self._damage_told():
            for row in self._streamed(connection, query):
                yield from_stored(row._asdict())

    def _streamed(self, connection: Connection, query: Select[Any]) -> Iterable[Row[Any]]:
        return connection.execute(
            query, execution_options={"yield_per": self._config.rows_in_memory}
        )

    @contextmanager
    def _damage_told(self) -> Iterator[None]:
        try:
            yield
        except DamagedRowError as error:
            raise self._database.refuse(f"{error}; run `skin-lesion audit verify`") from error
