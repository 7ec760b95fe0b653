"""Logs on a terminal and in files."""

import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO


def export(write: Callable[[TextIO], int], file: Path | None) -> str | None:
    """Write a table to a file, whole or not at all, or to standard output.

    Args:
        write: Writes to an open file, and says how many rows.
        file: Is its owner's alone, since it has names in it; None takes standard output.

    Returns:
        What was done, in words; None where it went to standard output.

    Raises:
        OSError: The file cannot be written.
    """
    if file is None:
        try:
            write(sys.stdout)
            sys.stdout.flush()
        except BrokenPipeError:
            # Whoever reads had enough, as `head` has; Python would complain of it at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return None
    handle, draft = tempfile.mkstemp(dir=file.parent, prefix=".", suffix=".partial")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as opened:
            count = write(opened)
        os.replace(draft, file)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
    return f"{count} rows in {file}"


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of a table as lines, each column as wide as its widest cell."""
    shown = [tuple(map(visible, row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in shown]


def visible(text: str) -> str:
    """Text that moves no cursor and hides nothing: what cannot be printed is spelt out."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
