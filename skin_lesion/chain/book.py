"""What tells one chained log from another."""

from dataclasses import dataclass

from sqlalchemy import BigInteger, CheckConstraint, Column, Integer, MetaData, Table, Text

# SQLite numbers rows by INTEGER alone.
Number = BigInteger().with_variant(Integer(), "sqlite")


def state_table(name: str, metadata: MetaData) -> Table:
    """The table of one row that says which layout a log has, and where it ends."""
    return Table(
        name,
        metadata,
        Column("one", Integer, CheckConstraint("one = 1"), primary_key=True, autoincrement=False),
        Column("schema_version", Integer, nullable=False),
        Column("row_count", Number, nullable=False),
        Column("row_hash", Text, nullable=False),
        sqlite_strict=True,
    )


@dataclass(frozen=True)
class Book:
    """One kind of log.

    Attributes:
        noun: What messages call it, such as `audit log`.
        command: What a user types to look at it, such as `skin-lesion audit`.
        listing: The same, to see whether something was recorded.
        variable: Environment variable that may hold its URL.
        file: Name of its SQLite file where nobody says otherwise.
        lock: Eight bytes; whoever writes to such a log in PostgreSQL holds the advisory lock of this
            number.
        error: What is raised where it cannot be read or written; a kind of `ChainError`.
        schema_version: Version of the layout of its table.
        rows: Its table: `id` (1, 2, … without gaps), `at` (text), then whatever the log keeps, as text
            and whole numbers, `previous_hash` and `row_hash`.
        state: Made by `state_table` beside it.
    """

    noun: str
    command: str
    listing: str
    variable: str
    file: str
    lock: bytes
    error: type[RuntimeError]
    schema_version: int
    rows: Table
    state: Table

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns of `rows`, in order."""
        return tuple(column.name for column in self.rows.columns)
