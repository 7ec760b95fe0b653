"""The ledger as a table for spreadsheets."""

import csv
from collections.abc import Iterable
from datetime import datetime
from typing import TextIO

from skin_lesion.chain.rows import timestamp
from skin_lesion.ledger.records import LookRow
from skin_lesion.ledger.schema import BOOK
from skin_lesion.spreadsheets import no_formula


def write_csv(rows: Iterable[LookRow], file: TextIO) -> int:
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
    writer.writerow(BOOK.columns)
    count = 0
    for row in rows:
        writer.writerow([no_formula(_text(getattr(row, name))) for name in BOOK.columns])
        count += 1
    return count


def _text(value: object) -> str:
    if value is None:
        return ""
    return timestamp(value) if isinstance(value, datetime) else str(value)
