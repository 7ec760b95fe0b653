"""The audit log as a table for spreadsheets."""

import csv
from collections.abc import Iterable
from datetime import datetime
from typing import TextIO

from skin_lesion.audit.records import COLUMNS, AuditRow
from skin_lesion.chain.rows import canonical_json, timestamp
from skin_lesion.spreadsheets import no_formula


def write_csv(rows: Iterable[AuditRow], file: TextIO) -> int:
    """Write rows as they come; memory does not grow with them.

    Cells are what the database keeps, so that `row_hash` can be computed from them, but for one
    thing: a cell that a spreadsheet would take for a formula has an apostrophe in front, and so has
    one that begins with an apostrophe itself.

    Args:
        rows: In the order of the file.
        file: Open for text with `newline=""`.

    Returns:
        How many rows were written, the header not counted.
    """
    writer = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(COLUMNS)
    count = 0
    for row in rows:
        writer.writerow([_cell(getattr(row, name)) for name in COLUMNS])
        count += 1
    return count


def _cell(value: object) -> str:
    return no_formula(_text(value))


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return timestamp(value)
    return canonical_json(value) if isinstance(value, dict) else str(value)
