"""A log that was tampered with is found out, in every database."""

import json

import pytest
from sqlalchemy import create_engine, text

from skin_lesion.audit import AuditError, AuditLog, Head
from skin_lesion.audit.schema import BOOK
from skin_lesion.chain.rows import GENESIS, row_hash


@pytest.fixture
def rows(log: AuditLog, entry) -> list[dict[str, object]]:
    """Six readings; their cells as the database keeps them."""
    log.record_all([entry(picture=bytes([number])) for number in range(6)])
    return read(log)


def read(log: AuditLog) -> list[dict[str, object]]:
    database = log._database
    with database.reading() as connection:
        return [
            dict(row._mapping)
            for row in connection.execute(text("SELECT * FROM audit_log ORDER BY id"))
        ]


def literal(value: object) -> str:
    if value is None:
        return "NULL"
    return str(value) if isinstance(value, int) else "'" + str(value).replace("'", "''") + "'"


def insertion(row: dict[str, object]) -> str:
    names = ", ".join(f'"{name}"' for name in BOOK.columns)
    values = ", ".join(literal(row[name]).replace(":", r"\:") for name in BOOK.columns)
    return f"INSERT INTO audit_log ({names}) VALUES ({values})"


def rehashed(row: dict[str, object], previous: str) -> dict[str, object]:
    changed = row | {"previous_hash": previous}
    return changed | {"row_hash": row_hash(changed)}


def fault_of(log: AuditLog, noted: Head | None = None) -> tuple[int | None, str]:
    fault = log.verify(noted).fault
    assert fault is not None
    return fault.id, fault.what


def test_an_untouched_log_is_sound(log: AuditLog, rows) -> None:
    found = log.verify()
    assert found.sound
    assert found.head == log.head() == Head(rows[-1]["row_hash"], 6)
    assert log.verify(log.head()).sound


def test_an_empty_log_is_sound(log: AuditLog) -> None:
    assert str(log.head()) == f"{GENESIS}:0"
    assert log.verify(log.head()).sound


@pytest.mark.parametrize(
    "column", [name for name in BOOK.columns if name not in {"id", "corrects_id"}]
)
def test_a_changed_value_of_any_column_is_found_in_its_row(
    log: AuditLog, rows, meddle, column: str
) -> None:
    meddle(f"""UPDATE audit_log SET "{column}" = '2020-01-01T00\\:00\\:00.000000Z' WHERE id = 3""")
    found_id, what = fault_of(log)
    assert found_id == 3
    assert "its values do not give its row_hash" in what


def test_a_reading_that_was_turned_into_feedback_is_found(log: AuditLog, rows, meddle) -> None:
    meddle("UPDATE audit_log SET corrects_id = 1 WHERE id = 3")
    assert fault_of(log)[0] == 3


def test_a_value_that_was_changed_with_its_hash_is_found_in_the_next_row(
    log: AuditLog, rows, meddle
) -> None:
    forged = rehashed(rows[2] | {"prediction": "mel"}, rows[1]["row_hash"])
    meddle(
        f"UPDATE audit_log SET prediction = 'mel', row_hash = '{forged['row_hash']}' WHERE id = 3"
    )
    found_id, what = fault_of(log)
    assert found_id == 4
    assert "does not follow row 3" in what


@pytest.mark.parametrize("gone", [1, 3, 5])
def test_a_removed_row_is_found(log: AuditLog, rows, meddle, gone: int) -> None:
    meddle(f"DELETE FROM audit_log WHERE id = {gone}")
    assert fault_of(log) == (gone, f"missing; the next row there is has the id {gone + 1}")


def test_a_removed_row_whose_gap_was_closed_is_found(log: AuditLog, rows, meddle) -> None:
    meddle(
        "DELETE FROM audit_log WHERE id = 3",
        *(f"UPDATE audit_log SET id = {each - 1} WHERE id = {each}" for each in (4, 5, 6)),
    )
    found_id, what = fault_of(log)
    assert found_id == 3
    assert "does not follow row 2" in what


def test_swapped_rows_are_found(log: AuditLog, rows, meddle) -> None:
    meddle(
        "UPDATE audit_log SET id = 99 WHERE id = 3",
        "UPDATE audit_log SET id = 3 WHERE id = 4",
        "UPDATE audit_log SET id = 4 WHERE id = 99",
    )
    found_id, what = fault_of(log)
    assert found_id == 3
    assert "does not follow row 2" in what


def test_an_inserted_row_is_found_even_with_a_hash_that_fits(log: AuditLog, rows, meddle) -> None:
    forged = rehashed(rows[2] | {"id": 4, "user": "mallory"}, rows[2]["row_hash"])
    meddle(
        *(f"UPDATE audit_log SET id = {each + 1} WHERE id = {each}" for each in (6, 5, 4)),
        insertion(forged),
    )
    found_id, what = fault_of(log)
    assert found_id == 5  # nothing tells the forged row from a true one; what follows it does
    assert "a row was inserted, removed, moved or replaced here or just before" in what


@pytest.mark.parametrize("row_id", [0, -1])
def test_a_row_before_the_first_is_found(log: AuditLog, rows, meddle, row_id: int) -> None:
    meddle(insertion(rehashed(rows[2] | {"id": row_id}, GENESIS)))
    assert fault_of(log) == (1, f"in its place is a row with the id {row_id}")


def test_rows_cut_off_the_end_are_found_by_the_databases_own_note(
    log: AuditLog, rows, meddle, entry
) -> None:
    meddle("DELETE FROM audit_log WHERE id > 4")
    assert fault_of(log) == (5, "missing, and so is every row behind it: the log held 6 rows")
    with pytest.raises(AuditError, match="does not end where the database says"):
        log.head()
    with pytest.raises(AuditError, match=r"Nothing was recorded. Run `skin-lesion audit verify`"):
        log.record(entry())


def cut_end_and_mend_note(rows) -> list[str]:
    return [
        "DELETE FROM audit_log WHERE id > 4",
        f"UPDATE audit_state SET row_count = 4, row_hash = '{rows[3]['row_hash']}'",
    ]


def test_rows_cut_off_the_end_with_the_note_are_found_by_a_head_noted_elsewhere(
    log: AuditLog, rows, meddle
) -> None:
    noted = Head.parse(str(log.head()))
    meddle(*cut_end_and_mend_note(rows))
    assert log.verify().sound  # what a chain alone cannot find
    found_id, what = fault_of(log, noted)
    assert found_id == 5
    assert "the noted head is of 6 rows" in what
    found_id, what = fault_of(log, Head(noted.hash))
    assert found_id is None
    assert "no row has the hash of the noted head" in what


def test_a_chain_that_was_computed_anew_is_found_by_a_head_noted_elsewhere(
    log: AuditLog, rows, meddle
) -> None:
    noted = log.head()
    forged, previous = [], rows[1]["row_hash"]
    for row in [rows[2] | {"prediction": "mel"}, *rows[3:]]:
        forged.append(rehashed(row, previous))
        previous = forged[-1]["row_hash"]
    meddle(
        "DELETE FROM audit_log WHERE id > 2",
        *map(insertion, forged),
        f"UPDATE audit_state SET row_count = 6, row_hash = '{previous}'",
    )
    assert log.verify().sound  # what a chain alone cannot find
    found_id, what = fault_of(log, noted)
    assert found_id == 6
    assert "this row or one before it was written anew" in what
    assert fault_of(log, Head(noted.hash))[0] is None


def test_a_head_stays_true_while_the_log_grows(log: AuditLog, rows, entry) -> None:
    noted = log.head()
    log.record(entry())
    assert log.verify(noted).sound
    assert log.verify(Head(noted.hash)).sound
    assert log.verify(Head(GENESIS)).sound
    assert log.verify(Head(noted.hash, 5)).fault is not None


def test_a_note_of_the_end_that_was_changed_is_found(log: AuditLog, rows, meddle, entry) -> None:
    meddle("UPDATE audit_state SET row_count = 5")
    found_id, what = fault_of(log)
    assert found_id is None
    assert "the database notes 5 rows" in what
    with pytest.raises(AuditError, match=r"Nothing was recorded. Run `skin-lesion audit verify`"):
        log.record(entry())
    meddle("DELETE FROM audit_state")
    with pytest.raises(AuditError, match="audit_state is empty"):
        log.verify()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_log SET prediction = 'mel' WHERE id = 3",
        "DELETE FROM audit_log WHERE id = 6",
        'INSERT INTO audit_log (id, at, "user", role, model_version, contract_hash, previous_hash,'
        " row_hash) VALUES (9, 'x', 'x', 'x', 'x', 'x', 'x', 'x')",
    ],
)
def test_the_database_itself_refuses_changes(log: AuditLog, rows, meddle, statement: str) -> None:
    with pytest.raises(Exception, match="append-only"):
        meddle(statement, past_fences=False)
    assert read(log) == rows


def test_sqlite_refuses_to_replace_a_row(sqlite_url: str, entry) -> None:
    log = AuditLog.open(sqlite_url)
    log.record_all([entry(), entry()])
    before = read(log)
    for how in ("INSERT OR REPLACE", "REPLACE", "INSERT OR IGNORE"):
        statement = insertion(before[0] | {"user": "mallory"}).replace("INSERT", how, 1)
        with (
            create_engine(sqlite_url).begin() as connection,
            pytest.raises(Exception, match="append-only"),
        ):
            connection.execute(text(statement))
    assert read(log) == before


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_postgresql_refuses_to_empty_the_log(url: str, log: AuditLog, rows, meddle) -> None:
    with pytest.raises(Exception, match="append-only: TRUNCATE is refused"):
        meddle("TRUNCATE audit_log", past_fences=False)
    assert read(log) == rows


def test_a_fence_that_was_taken_down_is_told(log: AuditLog, rows, meddle) -> None:
    on = " ON audit_log" if log._database.path is None else ""
    meddle(f"DROP TRIGGER audit_log_no_delete{on}", past_fences=False)
    found_id, what = fault_of(log)
    assert found_id is None
    assert "there is no active trigger audit_log_no_delete" in what


def test_a_damaged_row_is_told_and_not_guessed(log: AuditLog, rows, meddle) -> None:
    meddle("UPDATE audit_log SET probabilities = '{' WHERE id = 3")
    for reading in (lambda: list(log.rows()), log.readings):
        with pytest.raises(AuditError, match=r"row 3 is damaged.*run `skin-lesion audit verify`"):
            reading()


def test_a_text_that_is_none_is_found(sqlite_url: str, entry) -> None:
    log = AuditLog.open(sqlite_url)
    log.record_all([entry(), entry()])
    with create_engine(sqlite_url).begin() as connection:
        connection.execute(text("DROP TRIGGER audit_log_no_update"))
        connection.execute(text("UPDATE audit_log SET role = CAST(x'ff' AS TEXT) WHERE id = 2"))
    assert fault_of(log)[0] == 2


def test_a_cell_of_another_type_is_found(sqlite_url: str, entry) -> None:
    """SQLite can be talked into forgetting what a column holds."""
    log = AuditLog.open(sqlite_url)
    log.record_all([entry(), entry()])
    with create_engine(sqlite_url).begin() as connection:
        connection.execute(text("ALTER TABLE audit_log RENAME TO old"))
        connection.execute(text("CREATE TABLE audit_log AS SELECT * FROM old"))
        connection.execute(text("UPDATE audit_log SET role = x'00ff' WHERE id = 2"))
    assert fault_of(log)[0] == 2


@pytest.mark.parametrize(
    "value", ["", "abc", "A" * 64, f"{'a' * 64}:", f"{'a' * 64}:-1", f"{'a' * 64}:0", f"{GENESIS}:1"]
)  # fmt: skip
def test_a_head_that_is_none_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="the head is"):
        Head.parse(value)


def test_a_head_reads_what_it_prints() -> None:
    for head in (Head("a" * 64, 12), Head("a" * 64), Head(GENESIS, 0)):
        assert Head.parse(f" {head}\n") == head
    assert json.dumps(str(Head("a" * 64, 12))) == f'"{"a" * 64}:12"'
