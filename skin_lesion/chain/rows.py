"""How a row of a chained log is written down and hashed."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

# What the first row follows.
GENESIS = "0" * 64
ROW_HASH = "row_hash"

_SHA256 = re.compile(r"[0-9a-f]{64}")
# NUL, escape sequences and the like have no place in a log.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")

# What a database keeps: text and whole numbers alone, so that nothing is lost in conversions.
Stored = dict[str, str | int | None]


class DamagedRowError(ValueError):
    """A row holds what its log never writes."""


def canonical_json(value: Mapping[str, Any]) -> str:
    """A JSON object in the canonical form of RFC 8785: sorted keys, no blanks, Unicode as it is.

    Raises:
        ValueError: A number is not finite.
    """
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def row_hash(values: Mapping[str, str | int | None]) -> str:
    """SHA-256 of a row, as 64 hexadecimal digits.

    What is hashed is the UTF-8 text of `canonical_json` of an object whose members are the columns
    but `row_hash`, just as the database keeps them: text, whole numbers and null; times are text, and
    so is JSON.

    Args:
        values: A cell for each column of the log and nothing else; `row_hash` may be missing.

    Raises:
        ValueError: A text holds what UTF-8 cannot express.
        TypeError: A cell is neither text, nor a whole number, nor None.
    """
    hashed = {name: value for name, value in values.items() if name != ROW_HASH}
    return hashlib.sha256(canonical_json(hashed).encode()).hexdigest()


def timestamp(moment: datetime) -> str:
    """A moment as a log writes it: `2026-01-31T08:05:09.000123Z`, so that text order is time order.

    Raises:
        ValueError: The moment has no time zone.
    """
    if moment.tzinfo is None:
        raise ValueError(f"{moment.isoformat()} has no time zone; expected one, such as +00:00")
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def chained(
    values: Stored, columns: Sequence[str], row_id: int, at: datetime, previous_hash: str
) -> Stored:
    """A whole row: cells that are not given are None, and its hash is computed."""
    row: Stored = dict.fromkeys(columns) | values
    row |= {"id": row_id, "at": timestamp(at), "previous_hash": previous_hash}
    row[ROW_HASH] = row_hash(row)
    return row


def checked_sha256(name: str, value: str) -> str:
    """A hash as it was given.

    Raises:
        ValueError: It is none.
    """
    if not _SHA256.fullmatch(value):
        raise ValueError(f"{name} is {value!r}; expected 64 lower-case hexadecimal digits")
    return value


def checked_text(name: str, value: str, limit: int) -> str:
    """A text as it was given.

    Args:
        name: What the text is, for messages.
        value: The text.
        limit: Characters that are kept of it.

    Raises:
        ValueError: It is blank, too long, or holds control characters.
    """
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{name} is {value!r}; expected a text that is not blank")
    if len(value) > limit:
        raise ValueError(f"{name} has {len(value)} characters; at most {limit} are kept")
    if found := _CONTROL.search(value):
        raise ValueError(f"{name} holds the control character {found.group()!r}; leave it out")
    return value
