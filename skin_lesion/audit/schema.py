"""The tables of the audit log."""

from sqlalchemy import Column, ForeignKey, Index, MetaData, Table, Text

from skin_lesion.chain.book import Book, Number, state_table
from skin_lesion.chain.database import ChainError

URL_VARIABLE = "SKIN_LESION_AUDIT_URL"
SCHEMA_VERSION = 1

metadata = MetaData()

# Times and JSON are text, so that what is hashed is what is kept, to the byte, in every database.
audit_log = Table(
    "audit_log",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=False),
    Column("at", Text, nullable=False),
    Column("user", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("image_sha256", Text),
    Column("model_version", Text, nullable=False),
    Column("contract_hash", Text, nullable=False),
    Column("probabilities", Text),
    Column("prediction", Text),
    Column("verdicts", Text),
    Column("status", Text),
    Column("reason", Text),
    Column("feedback_label", Text),
    Column("feedback_note", Text),
    Column("corrects_id", Number, ForeignKey("audit_log.id")),
    Column("previous_hash", Text, nullable=False),
    Column("row_hash", Text, nullable=False),
    sqlite_strict=True,
)
Index("audit_log_corrects_id", audit_log.c.corrects_id)
Index("audit_log_user", audit_log.c.user, audit_log.c.id)


class AuditError(ChainError):
    """The log cannot be read or written; the message says whether anything was, and what to do."""


BOOK = Book(
    noun="audit log",
    command="skin-lesion audit",
    listing="skin-lesion audit list",
    variable=URL_VARIABLE,
    file="audit.db",
    lock=b"skinaudt",
    error=AuditError,
    schema_version=SCHEMA_VERSION,
    rows=audit_log,
    state=state_table("audit_state", metadata),
)
