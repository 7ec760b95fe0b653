"""What a row of the audit log holds, and how it is checked."""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from skin_lesion.chain.rows import (
    DamagedRowError,
    Stored,
    canonical_json,
    checked_sha256,
    checked_text,
)
from skin_lesion.labels import LABELS
from skin_lesion.settings import AuditConfig

if TYPE_CHECKING:
    from skin_lesion.prediction import Prediction, Versions

# A clinician's diagnosis need not be one of the seven classes.
OTHER = "other"
FEEDBACK_LABELS: tuple[str, ...] = (*LABELS, OTHER)

# As everywhere in a log, but that a note may have lines.
_CONTROL_IN_NOTES = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


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
        "user": checked_text("user", entry.user, limit),
        "role": checked_text("role", entry.role, limit),
        "image_sha256": sha256 if sha256 is None else checked_sha256("image_sha256", sha256),
        "model_version": checked_text("model version", model_name(versions), limit),
        "contract_hash": checked_sha256("contract_hash", versions.contract),
        "probabilities": _probabilities(answer.probabilities),
        "prediction": answer.prediction if answer.prediction is None else _label(answer.prediction),
        "verdicts": None if answer.verdicts is None else canonical_json(
            {name: bool(positive) for name, positive in answer.verdicts.items()}
        ),
        "status": answer.status,
        "reason": None if answer.reason is None else checked_text("reason", answer.reason, limit),
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
        "user": checked_text("user", user, config.max_name_characters),
        "role": checked_text("role", role, config.max_name_characters),
        "image_sha256": reading.image_sha256,
        "model_version": reading.model_version,
        "contract_hash": reading.contract_hash,
        "feedback_label": _label(label, FEEDBACK_LABELS),
        "feedback_note": _note(note, config.max_note_characters),
        "corrects_id": reading.id,
    }


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
