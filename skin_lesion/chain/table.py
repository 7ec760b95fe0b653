"""A log as a table for spreadsheets."""

import csv
from collections.abc import Iterable
from datetime import datetime
from typing import TextIO

from skin_lesion.chain.book import Book
from skin_lesion.chain.rows import canonical_json, timestamp
from skin_lesion.spreadsheets import no_formula


def write_csv(book: Book, rows: Iterable[object], file: TextIO) -> int:
    """Write rows as they come; memory does not grow with them.

    Cells are what the database keeps, so that `row_hash` can be computed from them, but for one
    thing: a cell that a spreadsheet would take for a formula has an apostrophe in front, and so has
    one that begins with an apostrophe itself.

    Args:
        book: Names the columns.
        rows: Of that log, in the order of the file.
        file: Open for text with `newline=""`.

    Returns:
        How many rows were written, the header not counted.
    """
    writer = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(book.columns)
    count = 0
    for row in rows:
        writer.writerow([no_formula(_text(getattr(row, name))) for name in book.columns])
        count += 1
    return count


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return timestamp(value)
    return canonical_json(value) if isinstance(value, dict) else str(value)
