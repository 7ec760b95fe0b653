"""The ledger of looks at the test split."""

from pydantic import Field

from skin_lesion.settings.base import Settings


class LedgerConfig(Settings):
    """The ledger of looks at the test split.

    Attributes:
        timeout_seconds: How long a writer waits for other writers, and for a database server to
            answer, before it gives up with an error.
        max_name_characters: Longest name of a user, a tool, a run and a model.
        max_reason_characters: Longest reason of a look.
        rows_in_memory: Rows fetched at a time where the whole ledger is read; it bounds memory.
    """

    timeout_seconds: float = Field(default=30.0, gt=0.0)
    max_name_characters: int = Field(default=200, ge=1)
    max_reason_characters: int = Field(default=1000, ge=1)
    rows_in_memory: int = Field(default=1000, ge=1)
