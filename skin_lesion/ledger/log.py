"""The ledger: every look at a test split, written before there is anything to see."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, case, func, select

import skin_lesion
from skin_lesion.chain.database import log_url
from skin_lesion.chain.log import ChainedLog, utc_now
from skin_lesion.chain.rows import Stored
from skin_lesion.chain.verification import Head
from skin_lesion.data.looking import Look, LookNote
from skin_lesion.ledger.records import LookRow, entered, from_stored, look_values, mark_of_entry
from skin_lesion.ledger.schema import BOOK, LedgerError, test_looks
from skin_lesion.settings import LedgerConfig


class LookLedger(ChainedLog[LookRow]):
    """An append-only ledger; may be shared by threads, and by processes through its URL.

    Nothing is kept open between two calls. Whatever goes wrong is a `LedgerError`: where a look cannot
    be written down, there is none.
    """

    book = BOOK

    def __init__(self, url: str, config: LedgerConfig, clock: Callable[[], datetime]) -> None:
        """Use `open`."""
        super().__init__(
            url,
            timeout_seconds=config.timeout_seconds,
            rows_in_memory=config.rows_in_memory,
            clock=clock,
        )
        self._config = config

    @classmethod
    def open(
        cls,
        url: str,
        *,
        create: bool = True,
        config: LedgerConfig | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> "LookLedger":
        """Open a ledger.

        Args:
            url: `sqlite:///PATH` or `postgresql://...`. SQLite wants a local disk; for writers on
                several machines there is PostgreSQL.
            create: Whether to make the ledger where there is none.
            config: None takes the defaults.
            clock: Tells the time, with its time zone.

        Raises:
            ValueError: The URL is of no database that a ledger can be kept in.
            LookupError: There is no ledger, and none may be made.
            LedgerError: The database cannot be used, or a newer version of this program wrote it.
        """
        ledger = cls(url, config or LedgerConfig(), clock)
        ledger._prepare(may_create=create)
        return ledger

    @staticmethod
    def as_row(cells: Mapping[str, Any]) -> LookRow:
        """A row of the ledger from what the database keeps of it.

        Raises:
            DamagedRowError: Somebody wrote into it what this ledger never writes.
        """
        return from_stored(cells)

    def record(self, look: Look) -> LookNote:
        """Write a look down.

        Returns:
            Where it stands and what came before it, once it is safe on the disk.

        Raises:
            ValueError: The look holds what has no place in the ledger.
            LedgerError: It was not written: do not look.
        """
        values = look_values(look, self._config)
        # Counted under the lock that it is written under: nobody else's look comes between.
        with self._database.writing() as connection:
            return self._written(connection, look, values)

    def enter(self, row: LookRow) -> LookNote | None:
        """Write down a look that another ledger has, such as that of a machine that was borrowed.

        It becomes a row of today, since nothing can be put between the rows of a chain: its reason
        ends with when it was written and the hash of its row there.

        Returns:
            Where it stands and what came before it; None where this ledger has the look already, be
            it as the very row or as one that was entered.

        Raises:
            ValueError: The row is not as it was written.
            LedgerError: It was not entered.
        """
        look = entered(row, self._config)
        values = look_values(look, self._config)
        with self._database.writing() as connection:
            if _has(connection, row):
                return None
            return self._written(connection, look, values)

    def _written(self, connection: Connection, look: Look, values: Stored) -> LookNote:
        before = _earlier(connection, look)
        row = self._append(connection, [values])[0]
        return LookNote(
            row=row.id,
            head=str(Head(row.row_hash, row.id)),
            before=before.looks,
            models_before=before.others,
            same_model_before=before.same,
            since=datetime.fromisoformat(before.since) if before.since else row.at,
        )

    def rows(self) -> Iterator[LookRow]:
        """Every look in the order of writing, as they come from the database.

        Raises:
            LedgerError: The ledger cannot be read.
        """
        return self._stream(select(test_looks).order_by(test_looks.c.id))

    def row(self, number: int) -> LookRow | None:
        """One look; None where there is none of this number.

        Raises:
            LedgerError: The ledger cannot be read.
        """
        return next(self._stream(select(test_looks).where(test_looks.c.id == number)), None)


def _earlier(connection: Connection, look: Look) -> Any:
    """What the ledger holds of the same test pictures."""
    column = test_looks.c
    weights = look.subject.trained_hash
    other = case((column.trained_hash != weights, column.trained_hash))
    counts = select(
        func.count().label("looks"),
        func.count(other.distinct()).label("others"),
        func.count(case((column.trained_hash == weights, 1))).label("same"),
        func.min(column.at).label("since"),
    ).where(column.test_hash == look.test_hash)
    return connection.execute(counts).one()


def _has(connection: Connection, row: LookRow) -> bool:
    """Whether a look of another ledger is in this one."""
    column = test_looks.c
    itself = column.row_hash == row.row_hash
    as_entry = column.reason.endswith(mark_of_entry(row), autoescape=True)
    found = select(column.id).where(column.test_hash == row.test_hash, itself | as_entry).limit(1)
    return connection.execute(found).first() is not None


def ledger_url(given: str | None, root: Path | None = None) -> str:
    """Where the ledger is.

    Args:
        given: What the user said; None asks the environment's `SKIN_LESION_LEDGER_URL`.
        root: The project's root; None takes the folder that holds the library. Where nobody said
            anything the ledger is `.work/test-looks.db` in it.
    """
    return log_url(BOOK, given, root or Path(skin_lesion.__file__).parents[1])


def environments_ledger() -> LookLedger:
    """The ledger of this environment, made where there is none yet.

    Raises:
        LedgerError: The database cannot be used, or the environment names none that a ledger can be
            kept in: whoever wants a look gave no address that could be wrong.
    """
    try:
        return LookLedger.open(ledger_url(None))
    except ValueError as error:
        raise LedgerError(str(error)) from error
