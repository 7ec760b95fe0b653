"""What a row of the ledger holds, and how it is checked."""

import getpass
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, get_args

from skin_lesion.chain.rows import (
    DamagedRowError,
    Stored,
    checked_sha256,
    checked_text,
    row_hash,
    timestamp,
)
from skin_lesion.data.looking import Kind, Look, LookedAt, Purpose
from skin_lesion.settings import LedgerConfig


@dataclass(frozen=True)
class LookRow:
    """A row of the ledger: one look at a test split.

    Attributes:
        id: 1 for the first row, one more for each further one, without gaps.
        at: When it was written, UTC, by the clock of the writer: before there were figures. A look
            that was entered from another ledger tells in its reason when it was written there.
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


def stored(row: LookRow) -> Stored:
    """A row as the database keeps it, so that `row_hash` can be computed from it."""
    return asdict(row) | {"at": timestamp(row.at)}


def mark_of_entry(row: LookRow) -> str:
    """How the reason of a look ends that was entered from another ledger."""
    return f" [entered from row {row.id} of another ledger, {row.row_hash}]"


def entered(row: LookRow, config: LedgerConfig) -> Look:
    """The look that a row of another ledger tells of, with where it comes from as part of its reason.

    Raises:
        ValueError: The row's values do not give its hash.
    """
    if row_hash(stored(row)) != row.row_hash:
        raise ValueError(
            f"row {row.id} of the other ledger is not as it was written: its values do not give its hash"
        )
    end = f" (written {timestamp(row.at)}){mark_of_entry(row)}"
    reason = row.reason[: max(0, config.max_reason_characters - len(end))] + end
    return Look(
        row.kind,
        Purpose(row.tool, reason, row.run, row.user),
        LookedAt(row.bundle_hash, row.trained_hash, row.model),
        row.against_hash,
        row.split_hash,
        row.test_hash,
        row.images,
    )
