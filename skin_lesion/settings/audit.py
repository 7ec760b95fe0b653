"""The log of predictions."""

from pydantic import Field

from skin_lesion.settings.base import Settings


class AuditConfig(Settings):
    """The log of predictions.

    Attributes:
        timeout_seconds: How long a writer waits for other writers, and for a database server to
            answer, before it gives up with an error.
        max_name_characters: Longest user, role, model version and reason.
        max_note_characters: Longest note of a feedback.
        listed: Readings listed where nobody says how many.
        max_listed: Most readings listed at once.
        rows_in_memory: Rows fetched at a time where the whole log is read; it bounds memory.
    """

    timeout_seconds: float = Field(default=30.0, gt=0.0)
    max_name_characters: int = Field(default=200, ge=1)
    max_note_characters: int = Field(default=4000, ge=1)
    listed: int = Field(default=50, ge=1)
    max_listed: int = Field(default=10_000, ge=1)
    rows_in_memory: int = Field(default=1000, ge=1)
