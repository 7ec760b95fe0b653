"""Tables of a chained log, and the fences that the database itself keeps around them.

One table holds the rows. Another holds one row: the version of the layout, and where the log ends.
Triggers refuse whatever would change or remove a row of the log, and every new row that does not
follow the last one. That stops mistakes and careless tools. It does not stop who may drop a trigger:
what he does is for `verification.py` to find.

In PostgreSQL, let the owner open the log once, and let the programs that write to it be another role,
to which the triggers are no choice of its own. Of the audit log, for example:

    GRANT SELECT, INSERT ON audit_log TO app;
    GRANT SELECT, UPDATE (row_count, row_hash) ON audit_state TO app;
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, inspect, select, text

from skin_lesion.chain.book import Book
from skin_lesion.chain.rows import GENESIS, ROW_HASH, Stored


def _sqlite_fences(book: Book) -> dict[str, str]:
    table, noun = book.rows.name, book.noun
    return {
        f"{table}_no_update": f"""
        CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} BEGIN
          SELECT RAISE(ABORT, 'the {noun} is append-only: a row must not be changed');
        END""",
        f"{table}_no_delete": f"""
        CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} BEGIN
          SELECT RAISE(ABORT, 'the {noun} is append-only: a row must not be removed');
        END""",
        # INSERT OR REPLACE deletes without asking the trigger above; this one comes before it.
        f"{table}_in_order": f"""
        CREATE TRIGGER {table}_in_order BEFORE INSERT ON {table} BEGIN
          SELECT RAISE(ABORT, 'the {noun} is append-only: a row must follow the last one')
          WHERE (NEW.id, NEW.previous_hash) IS NOT (
            SELECT 1 + ifnull(max(id), 0), ifnull(row_hash, '{GENESIS}') FROM {table});
        END""",
    }


def _postgres_functions(book: Book) -> tuple[str, ...]:
    table, noun = book.rows.name, book.noun
    return (
        f"""
    CREATE FUNCTION {table}_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      RAISE EXCEPTION 'the {noun} is append-only: % is refused', TG_OP
        USING ERRCODE = 'integrity_constraint_violation';
    END $$""",
        # The table is named by its identity: a search path of the caller's must not lead elsewhere.
        f"""
    CREATE FUNCTION {table}_follow() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE last record;
    BEGIN
      EXECUTE 'SELECT id, row_hash FROM ' || TG_RELID::regclass || ' ORDER BY id DESC LIMIT 1'
        INTO last;
      IF NEW.id <> coalesce(last.id, 0) + 1
        OR NEW.previous_hash <> coalesce(last.row_hash, '{GENESIS}')
      THEN
        RAISE EXCEPTION 'the {noun} is append-only: a row must follow the last one'
          USING ERRCODE = 'integrity_constraint_violation';
      END IF;
      RETURN NEW;
    END $$""",
    )


def _postgres_fences(book: Book) -> dict[str, str]:
    table = book.rows.name
    return {
        f"{table}_no_update": f"""
        CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table}
        FOR EACH ROW EXECUTE FUNCTION {table}_refuse()""",
        f"{table}_no_delete": f"""
        CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table}
        FOR EACH ROW EXECUTE FUNCTION {table}_refuse()""",
        f"{table}_no_truncate": f"""
        CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table}
        FOR EACH STATEMENT EXECUTE FUNCTION {table}_refuse()""",
        f"{table}_in_order": f"""
        CREATE TRIGGER {table}_in_order BEFORE INSERT ON {table}
        FOR EACH ROW EXECUTE FUNCTION {table}_follow()""",
    }


_STANDING_FENCES = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = '{table}'",
    "postgresql": "SELECT tgname FROM pg_trigger WHERE tgrelid = '{table}'::regclass "
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


def is_there(connection: Connection, book: Book) -> bool:
    """Whether the database holds a log.

    Raises:
        ValueError: It holds half of one.
    """
    names = {book.rows.name, book.state.name} & set(inspect(connection).get_table_names())
    if len(names) == 1:
        raise ValueError(f"there is a table {names.pop()}, but not the other one of the log")
    return bool(names)


def create(connection: Connection, book: Book) -> None:
    """Make an empty log; part of the caller's transaction."""
    book.rows.metadata.create_all(connection, tables=[book.rows, book.state], checkfirst=False)
    connection.execute(
        book.state.insert(),
        {"one": 1, "schema_version": book.schema_version, "row_count": 0, ROW_HASH: GENESIS},
    )
    if connection.dialect.name == "sqlite":
        statements = [*_sqlite_fences(book).values()]
    else:
        statements = [*_postgres_functions(book), *_postgres_fences(book).values()]
    for statement in statements:
        connection.exec_driver_sql(statement, execution_options={"no_parameters": True})


def read_state(connection: Connection, book: Book) -> State:
    """What the database says of its log.

    Raises:
        ValueError: It says nothing, or the log was written by a newer version of this program.
    """
    columns = book.state.c
    row = connection.execute(
        select(columns.schema_version, columns.row_count, columns.row_hash)
    ).one_or_none()
    if row is None:
        raise ValueError(f"the table {book.state.name} is empty; it was tampered with")
    state = State(*row)
    if state.schema_version != book.schema_version:
        raise ValueError(
            f"it has version {state.schema_version} of the layout, and this program knows version "
            f"{book.schema_version}; use the version of skin-lesion that wrote it, or a newer one"
        )
    return state


def append(connection: Connection, book: Book, rows: Sequence[Stored]) -> None:
    """Write rows, and note where the log ends now; part of the transaction.

    Raises:
        IntegrityError: They do not follow the last row.
    """
    connection.execute(book.rows.insert(), rows)
    connection.execute(
        book.state.update(), {"row_count": rows[-1]["id"], ROW_HASH: rows[-1][ROW_HASH]}
    )


def fallen_fences(connection: Connection, book: Book) -> list[str]:
    """Names of the triggers that should stand around the log, and do not, in order."""
    dialect = connection.dialect.name
    fences = _sqlite_fences(book) if dialect == "sqlite" else _postgres_fences(book)
    statement = _STANDING_FENCES[dialect].format(table=book.rows.name)
    return sorted(fences.keys() - set(connection.execute(text(statement)).scalars()))
