"""The audit log: what was predicted for whom by which model, and what people said of it."""

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from skin_lesion.audit import pictures as kept_pictures
from skin_lesion.audit import queries
from skin_lesion.audit.database import AuditError
from skin_lesion.audit.queries import Agreement, Reading, Scope
from skin_lesion.audit.records import (
    AuditRow,
    Entry,
    feedback_values,
    from_stored,
    reading_values,
)
from skin_lesion.audit.schema import BOOK
from skin_lesion.chain.log import ChainedLog, utc_now
from skin_lesion.settings import AuditConfig

# What 64 bits hold.
_MAX_ID = 2**63 - 1


class AuditLog(ChainedLog[AuditRow]):
    """An append-only log of predictions; may be shared by threads, and by processes through its URL.

    Nothing is kept open between two calls. Whatever goes wrong is an `AuditError`: a reading that
    was not recorded must not pass for one that was.
    """

    book = BOOK

    def __init__(
        self,
        url: str,
        config: AuditConfig,
        pictures: Path | None,
        clock: Callable[[], datetime],
    ) -> None:
        """Use `open`."""
        super().__init__(
            url,
            timeout_seconds=config.timeout_seconds,
            rows_in_memory=config.rows_in_memory,
            clock=clock,
        )
        self._config = config
        self._pictures = pictures

    @classmethod
    def open(
        cls,
        url: str,
        *,
        create: bool = True,
        pictures: Path | None = None,
        config: AuditConfig | None = None,
        clock: Callable[[], datetime] = utc_now,
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
        log = cls(url, config or AuditConfig(), pictures, clock)
        log._prepare(may_create=create)
        return log

    @staticmethod
    def as_row(cells: Mapping[str, Any]) -> AuditRow:
        """A row of the log from what the database keeps of it.

        Raises:
            DamagedRowError: Somebody wrote into it what this log never writes.
        """
        return from_stored(cells)

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
