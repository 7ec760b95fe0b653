"""Tables of the audit log, and the fences that the database itself keeps around them.

`audit_log` holds the rows. `audit_state` holds one row: the version of this layout, and where the
log ends. Triggers refuse whatever would change or remove a row of the log, and every new row that
does not follow the last one. That stops mistakes and careless tools. It does not stop who may drop a
trigger: what he does is for `verification.py` to find.

In PostgreSQL, let the owner open the log once, and let the programs that write to it be another role,
to which the triggers are no choice of its own:

    GRANT SELECT, INSERT ON audit_log TO app;
    GRANT SELECT, UPDATE (row_count, row_hash) ON audit_state TO app;
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    inspect,
    select,
    text,
)

from skin_lesion.audit.records import GENESIS, Stored

SCHEMA_VERSION = 1

metadata = MetaData()
_Number = BigInteger().with_variant(Integer(), "sqlite")

# Times and JSON are text, so that what is hashed is what is kept, to the byte, in every database.
audit_log = Table(
    "audit_log",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=False),
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
    Column("corrects_id", _Number, ForeignKey("audit_log.id")),
    Column("previous_hash", Text, nullable=False),
    Column("row_hash", Text, nullable=False),
    sqlite_strict=True,
)
Index("audit_log_corrects_id", audit_log.c.corrects_id)
Index("audit_log_user", audit_log.c.user, audit_log.c.id)

audit_state = Table(
    "audit_state",
    metadata,
    Column("one", Integer, CheckConstraint("one = 1"), primary_key=True, autoincrement=False),
    Column("schema_version", Integer, nullable=False),
    Column("row_count", _Number, nullable=False),
    Column("row_hash", Text, nullable=False),
    sqlite_strict=True,
)

_SQLITE_FENCES = {
    "audit_log_no_update": """
        CREATE TRIGGER audit_log_no_update BEFORE UPDATE ON audit_log BEGIN
          SELECT RAISE(ABORT, 'the audit log is append-only: a row must not be changed');
        END""",
    "audit_log_no_delete": """
        CREATE TRIGGER audit_log_no_delete BEFORE DELETE ON audit_log BEGIN
          SELECT RAISE(ABORT, 'the audit log is append-only: a row must not be removed');
        END""",
    # INSERT OR REPLACE deletes without asking the trigger above; this one comes before it.
    "audit_log_in_order": f"""
        CREATE TRIGGER audit_log_in_order BEFORE INSERT ON audit_log BEGIN
          SELECT RAISE(ABORT, 'the audit log is append-only: a row must follow the last one')
          WHERE (NEW.id, NEW.previous_hash) IS NOT (
            SELECT 1 + ifnull(max(id), 0), ifnull(row_hash, '{GENESIS}') FROM audit_log);
        END""",
}
_POSTGRES_FUNCTIONS = (
    """
    CREATE FUNCTION audit_log_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      RAISE EXCEPTION 'the audit log is append-only: % is refused', TG_OP
        USING ERRCODE = 'integrity_constraint_violation';
    END $$""",
    # The table is named by its identity: a search path of the caller's must not lead elsewhere.
    f"""
    CREATE FUNCTION audit_log_follow() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE last record;
    BEGIN
      EXECUTE 'SELECT id, row_hash FROM ' || TG_RELID::regclass || ' ORDER BY id DESC LIMIT 1'
        INTO last;
      IF NEW.id <> coalesce(last.id, 0) + 1
        OR NEW.previous_hash <> coalesce(last.row_hash, '{GENESIS}')
      THEN
        RAISE EXCEPTION 'the audit log is append-only: a row must follow the last one'
          USING ERRCODE = 'integrity_constraint_violation';
      END IF;
      RETURN NEW;
    END $$""",
)
_POSTGRES_FENCES = {
    "audit_log_no_update": """
        CREATE TRIGGER audit_log_no_update BEFORE UPDATE ON audit_log
        FOR EACH ROW EXECUTE FUNCTION audit_log_refuse()""",
    "audit_log_no_delete": """
        CREATE TRIGGER audit_log_no_delete BEFORE DELETE ON audit_log
        FOR EACH ROW EXECUTE FUNCTION audit_log_refuse()""",
    "audit_log_no_truncate": """
        CREATE TRIGGER audit_log_no_truncate BEFORE TRUNCATE ON audit_log
        FOR EACH STATEMENT EXECUTE FUNCTION audit_log_refuse()""",
    "audit_log_in_order": """
        CREATE TRIGGER audit_log_in_order BEFORE INSERT ON audit_log
        FOR EACH ROW EXECUTE FUNCTION audit_log_follow()""",
}
_STANDING_FENCES = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit_log'",
    "postgresql": "SELECT tgname FROM pg_trigger WHERE tgrelid = 'audit_log'::regclass "
    "AND tgenabled IN ('O', 'A') AND NOT tgisinternal",
}


@dataclass(frozen=True)
class State:
    """What the database says of its log.

    Attributes:
        schema_version: Version of the layout.
        row_count: Rows there should be.
        row_hash: Hash of the last one, `GENESIS` in an empty log.
    """

    schema_version: int
    row_count: int
    row_hash: str


def is_there(connection: Connection) -> bool:
    """Whether the database holds a log.

    Raises:
        ValueError: It holds half of one.
    """
    names = {"audit_log", "audit_state"} & set(inspect(connection).get_table_names())
    if len(names) == 1:
        raise ValueError(f"there is a table {names.pop()}, but not the other one of the log")
    return bool(names)


def create(connection: Connection) -> None:
    """Make an empty log; part of the caller's transaction."""
    metadata.create_all(connection, checkfirst=False)
    connection.execute(
        audit_state.insert(),
        {"one": 1, "schema_version": SCHEMA_VERSION, "row_count": 0, "row_hash": GENESIS},
    )
    if connection.dialect.name == "sqlite":
        statements = [*_SQLITE_FENCES.values()]
    else:
        statements = [*_POSTGRES_FUNCTIONS, *_POSTGRES_FENCES.values()]
    for statement in statements:
        connection.exec_driver_sql(statement, execution_options={"no_parameters": True})


def read_state(connection: Connection) -> State:
    """What the database says of its log.

    Raises:
        ValueError: It says nothing, or the log was written by a newer version of this program.
    """
    row = connection.execute(
        select(audit_state.c.schema_version, audit_state.c.row_count, audit_state.c.row_hash)
    ).one_or_none()
    if row is None:
        raise ValueError("the table audit_state is empty; it was tampered with")
    state = State(*row)
    if state.schema_version != SCHEMA_VERSION:
        raise ValueError(
            f"it has version {state.schema_version} of the layout, and this program knows version "
            f"{SCHEMA_VERSION}; use the version of skin-lesion that wrote it, or a newer one"
        )
    return state


def append(connection: Connection, rows: Sequence[Stored]) -> None:
    """Write rows, and note where the log ends now; part of the transaction.

    Raises:
        IntegrityError: They do not follow the last row.
    """
    connection.execute(audit_log.insert(), rows)
    connection.execute(
        audit_state.update(), {"row_count": rows[-1]["id"], "row_hash": rows[-1]["row_hash"]}
    )


def fallen_fences(connection: Connection) -> list[str]:
    """Names of the triggers that should stand around the log, and do not, in order."""
    dialect = connection.dialect.name
    fences = _SQLITE_FENCES if dialect == "sqlite" else _POSTGRES_FENCES
    standing = set(connection.execute(text(_STANDING_FENCES[dialect])).scalars())
    return sorted(fences.keys() - standing)
