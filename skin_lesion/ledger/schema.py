"""The tables of the ledger."""

from sqlalchemy import Column, Index, MetaData, Table, Text

from skin_lesion.chain.book import Book, Number, state_table
from skin_lesion.chain.database import ChainError

URL_VARIABLE = "SKIN_LESION_LEDGER_URL"
SCHEMA_VERSION = 1

metadata = MetaData()

test_looks = Table(
    "test_looks",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=False),
    Column("at", Text, nullable=False),
    Column("user", Text, nullable=False),
    Column("tool", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("run", Text),
    Column("model", Text),
    Column("bundle_hash", Text, nullable=False),
    Column("trained_hash", Text, nullable=False),
    Column("against_hash", Text),
    Column("split_hash", Text, nullable=False),
    Column("test_hash", Text, nullable=False),
    Column("images", Number, nullable=False),
    Column("previous_hash", Text, nullable=False),
    Column("row_hash", Text, nullable=False),
    sqlite_strict=True,
)
Index("test_looks_test_hash", test_looks.c.test_hash, test_looks.c.id)


class LedgerError(ChainError):
    """The ledger cannot be read or written; the message says whether anything was, and what to do."""


BOOK = Book(
    noun="ledger of test looks",
    command="skin-lesion ledger",
    listing="skin-lesion ledger",
    variable=URL_VARIABLE,
    file="test-looks.db",
    lock=b"skinlook",
    error=LedgerError,
    schema_version=SCHEMA_VERSION,
    rows=test_looks,
    state=state_table("test_looks_state", metadata),
)
