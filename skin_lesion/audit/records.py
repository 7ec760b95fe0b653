"""What a row of the audit log holds, how it is checked, and how it is hashed."""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from skin_lesion.labels import LABELS
from skin_lesion.settings import AuditConfig

if TYPE_CHECKING:
    from skin_lesion.prediction import Prediction, Versions

# A clinician's diagnosis need not be one of the seven classes.
OTHER = "other"
FEEDBACK_LABELS: tuple[str, ...] = (*LABELS, OTHER)

# What the first row follows.
GENESIS = "0" * 64

COLUMNS: tuple[str, ...] = (
    "id", "at", "user", "role", "image_sha256", "model_version", "contract_hash", "probabilities",
    "prediction", "verdicts", "status", "reason", "feedback_label", "feedback_note", "corrects_id",
    "previous_hash", "row_hash",
)  # fmt: skip

_SHA256 = re.compile(r"[0-9a-f]{64}")
# NUL, escape sequences and the like have no place in a log; a note may have lines.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_CONTROL_IN_NOTES = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")

# What a database keeps: text and whole numbers alone, so that nothing is lost in conversions.
Stored = dict[str, str | int | None]


class DamagedRowError(ValueError):
    """A row holds what this log never writes."""


@dataclass(frozen=True)
class Entry:
    """A reading that is to be recorded.

    Attributes:
        user: Who asked for it.
        role: In what role.
        prediction: The answer that was given; it names its picture and its model.
        picture: The bytes that were given. Left alone unless the log was told to keep pictures.
    """

    user: str
    role: str
    prediction: "Prediction"
    picture: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class AuditRow:
    """A row of the log: a reading, or feedback on one.

    Attributes:
        id: 1 for the first row, one more for each further one, without gaps.
        at: When it was written, UTC, by the clock of the writer.
        user: Who wrote it.
        role: In what role.
        image_sha256: SHA-256 of the encoded picture; None where there were no bytes.
        model_version: Version of the model in the registry, or `bundle:` and its hash.
        contract_hash: SHA-256 of the model's `contract.json`, which holds every threshold.
        probabilities: Calibrated probability of each class; None in feedback, and where the picture
            was not judged.
        prediction: Code of the most probable class; None where `probabilities` is.
        verdicts: Whether the picture counts as suspicious at each operating point; None where
            `probabilities` is.
        status: Status of the reading; None in feedback.
        reason: Why the picture was not judged.
        feedback_label: Diagnosis of whoever gave feedback, one of `FEEDBACK_LABELS`.
        feedback_note: Remark of the same.
        corrects_id: Reading that this is feedback on; None in readings.
        previous_hash: `row_hash` of the row before, `GENESIS` in the first row.
        row_hash: SHA-256 of all of the above, as `row_hash` computes it.
    """

    id: int
    at: datetime
    user: str
    role: str
    image_sha256: str | None
    model_version: str
    contract_hash: str
    probabilities: Mapping[str, float] | None
    prediction: str | None
    verdicts: Mapping[str, bool] | None
    status: str | None
    reason: str | None
    feedback_label: str | None
    feedback_note: str | None
    corrects_id: int | None
    previous_hash: str
    row_hash: str

    @property
    def is_feedback(self) -> bool:
        """Whether this is feedback on a reading, and no reading itself."""
        return self.corrects_id is not None


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
    but `row_hash`, just as the database keeps them: text, whole numbers and null; `at` is text, and
    `probabilities` and `verdicts` are the text of their JSON.

    Args:
        values: A cell for each column; `row_hash` may be missing.

    Raises:
        ValueError: A text holds what UTF-8 cannot express.
        TypeError: A cell is neither text, nor a whole number, nor None.
    """
    hashed = {name: values[name] for name in COLUMNS if name != "row_hash"}
    return hashlib.sha256(canonical_json(hashed).encode()).hexdigest()


def timestamp(moment: datetime) -> str:
    """A moment as the log writes it: `2026-01-31T08:05:09.000123Z`, so that text order is time order.

    Raises:
        ValueError: The moment has no time zone.
    """
    if moment.tzinfo is None:
        raise ValueError(f"{moment.isoformat()} has no time zone; expected one, such as +00:00")
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def model_name(versions: "Versions") -> str:
    """What the log calls a model: its version in the registry, or `bundle:` and its hash."""
    return versions.model or f"bundle:{versions.bundle}"


def reading_values(entry: Entry, config: AuditConfig) -> Stored:
    """The cells that an entry fills.

    Raises:
        ValueError: A value has no place in the log; nothing of it is written.
    """
    answer = entry.prediction
    if answer.versions is None:
        raise ValueError("the prediction does not say which model spoke; expected its versions")
    judged = {answer.prediction is not None, answer.probabilities is not None}
    if judged != {answer.status == "ok"}:
        raise ValueError(
            f"the prediction's status is {answer.status!r}, its class {answer.prediction!r} and its "
            f"probabilities {answer.probabilities!r}; expected both where the status is 'ok', and "
            "only there"
        )
    sha256, versions, limit = answer.image_sha256, answer.versions, config.max_name_characters
    if sha256 is None and answer.status != "unreadable":
        raise ValueError("the prediction does not say which picture it is of; expected its SHA-256")
    if entry.picture is not None and sha256 is not None:
        _check_picture(entry.picture, sha256)
    return {
        "user": _text("user", entry.user, limit),
        "role": _text("role", entry.role, limit),
        "image_sha256": sha256 if sha256 is None else _sha256("image_sha256", sha256),
        "model_version": _text("model version", model_name(versions), limit),
        "contract_hash": _sha256("contract_hash", versions.contract),
        "probabilities": _probabilities(answer.probabilities),
        "prediction": answer.prediction if answer.prediction is None else _label(answer.prediction),
        "verdicts": None if answer.verdicts is None else canonical_json(
            {name: bool(positive) for name, positive in answer.verdicts.items()}
        ),
        "status": answer.status,
        "reason": None if answer.reason is None else _text("reason", answer.reason, limit),
    }  # fmt: skip


def feedback_values(
    reading: AuditRow, user: str, role: str, label: str, note: str | None, config: AuditConfig
) -> Stored:
    """The cells that feedback on a reading fills; picture and model are those of the reading.

    Raises:
        ValueError: A value has no place in the log, or `reading` is feedback itself.
    """
    if reading.is_feedback:
        raise ValueError(
            f"row {reading.id} is feedback on reading {reading.corrects_id}; give feedback on that "
            "reading again, the latest counts"
        )
    return {
        "user": _text("user", user, config.max_name_characters),
        "role": _text("role", role, config.max_name_characters),
        "image_sha256": reading.image_sha256,
        "model_version": reading.model_version,
        "contract_hash": reading.contract_hash,
        "feedback_label": _label(label, FEEDBACK_LABELS),
        "feedback_note": _note(note, config.max_note_characters),
        "corrects_id": reading.id,
    }


def chained(values: Stored, row_id: int, at: datetime, previous_hash: str) -> Stored:
    """A whole row: cells that are not given are None, and its hash is computed."""
    row: Stored = dict.fromkeys(COLUMNS) | values
    row |= {"id": row_id, "at": timestamp(at), "previous_hash": previous_hash}
    row["row_hash"] = row_hash(row)
    return row


def from_stored(values: Mapping[str, Any]) -> AuditRow:
    """A row as the database keeps it.

    Raises:
        DamagedRowError: Somebody wrote into it what this log never writes.
    """
    cells = dict(values)
    try:
        cells["at"] = datetime.fromisoformat(cells["at"]).astimezone(UTC)
        for name in ("probabilities", "verdicts"):
            cells[name] = None if cells[name] is None else json.loads(cells[name])
    except (TypeError, ValueError) as error:
        raise DamagedRowError(f"row {cells['id']!r} is damaged: {error}") from error
    return AuditRow(**cells)


def _check_picture(picture: bytes, expected: str) -> None:
    found = hashlib.sha256(picture).hexdigest()
    if found != expected:
        raise ValueError(
            f"the picture's SHA-256 is {found}, that of the prediction {expected}; expected the "
            "very bytes that were predicted on"
        )


def _sha256(name: str, value: str) -> str:
    if not _SHA256.fullmatch(value):
        raise ValueError(f"{name} is {value!r}; expected 64 lower-case hexadecimal digits")
    return value


def _text(name: str, value: str, limit: int) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{name} is {value!r}; expected a text that is not blank")
    if len(value) > limit:
        raise ValueError(f"{name} has {len(value)} characters; at most {limit} are kept")
    if found := _CONTROL.search(value):
        raise ValueError(f"{name} holds the control character {found.group()!r}; leave it out")
    return value


def _note(value: str | None, limit: int) -> str | None:
    if value is None or not value.strip():
        return None
    if len(value) > limit:
        raise ValueError(f"the note has {len(value)} characters; at most {limit} are kept")
    if found := _CONTROL_IN_NOTES.search(value):
        raise ValueError(f"the note holds the control character {found.group()!r}; leave it out")
    return value


def _label(value: str, labels: tuple[str, ...] = LABELS) -> str:
    if value not in labels:
        raise ValueError(f"no class is called {value!r}; expected one of {', '.join(labels)}")
    return value


def _probabilities(values: Mapping[str, float] | None) -> str | None:
    if values is None:
        return None
    plain = {str(label): float(value) for label, value in values.items()}
    if not all(math.isfinite(value) for value in plain.values()):
        raise ValueError(f"the probabilities are {plain}; expected finite numbers")
    return canonical_json(plain)
