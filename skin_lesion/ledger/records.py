"""What a row of the ledger holds, and how it is checked."""

import getpass
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, get_args

from skin_lesion.chain.rows import DamagedRowError, Stored, checked_sha256, checked_text
from skin_lesion.data.looking import Kind, Look
from skin_lesion.settings import LedgerConfig


@dataclass(frozen=True)
class LookRow:
    """A row of the ledger: one look at a test split.

    Attributes:
        id: 1 for the first row, one more for each further one, without gaps.
        at: When it was written, UTC, by the clock of the writer: before there were figures.
        user: Who looked.
        tool: What looked.
        kind: Whether a model was shown pictures, or figures were computed from recorded answers.
        reason: Why.
        run: Pipeline run that it belongs to; None outside one.
        model: What people called the model; None before it was registered.
        bundle_hash: The model's bundle with its decisions.
        trained_hash: The same as it was trained.
        against_hash: Bundle that it was compared with; None where it was compared with none.
        split_hash: Hash of the whole split.
        test_hash: Hash of the test pictures alone.
        images: How many test pictures.
        previous_hash: `row_hash` of the row before, `GENESIS` in the first row.
        row_hash: SHA-256 of all of the above.
    """

    id: int
    at: datetime
    user: str
    tool: str
    kind: Kind
    reason: str
    run: str | None
    model: str | None
    bundle_hash: str
    trained_hash: str
    against_hash: str | None
    split_hash: str
    test_hash: str
    images: int
    previous_hash: str
    row_hash: str


def look_values(look: Look, config: LedgerConfig) -> Stored:
    """The cells that a look fills.

    Raises:
        ValueError: A value has no place in the ledger; nothing of it is written.
    """
    purpose, subject, limit = look.purpose, look.subject, config.max_name_characters
    return {
        "user": checked_text("user", purpose.user or login(), limit),
        "tool": checked_text("tool", purpose.tool, limit),
        "kind": look.kind,
        "reason": checked_text("reason", purpose.reason, config.max_reason_characters),
        "run": None if purpose.run is None else checked_text("run", purpose.run, limit),
        "model": None if subject.name is None else checked_text("model", subject.name, limit),
        "bundle_hash": checked_sha256("bundle_hash", subject.bundle_hash),
        "trained_hash": checked_sha256("trained_hash", subject.trained_hash),
        "against_hash": None
        if look.against is None
        else checked_sha256("against_hash", look.against),
        "split_hash": checked_sha256("split_hash", look.split_hash),
        "test_hash": checked_sha256("test_hash", look.test_hash),
        "images": int(look.images),
    }


def login() -> str:
    """Name of the login; its number where the system knows no name, as in some containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def from_stored(values: Mapping[str, Any]) -> LookRow:
    """A row as the database keeps it.

    Raises:
        DamagedRowError: Somebody wrote into it what this ledger never writes.
    """
    cells = dict(values)
    try:
        cells["at"] = datetime.fromisoformat(cells["at"]).astimezone(UTC)
    except (TypeError, ValueError) as error:
        raise DamagedRowError(f"row {cells['id']!r} is damaged: {error}") from error
    if cells["kind"] not in get_args(Kind):
        raise DamagedRowError(f"row {cells['id']!r} is damaged: its kind is {cells['kind']!r}")
    return LookRow(**cells)
