"""What a batch came to."""

from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ConfigDict

PREDICTIONS = "predictions.parquet"
PREDICTIONS_CSV = "predictions.csv"
QUARANTINE = "quarantine.csv"
SUMMARY = "summary.json"
PAGE = "summary.html"
# What a finished batch consists of, besides its summary and page.
TABLES = (PREDICTIONS, PREDICTIONS_CSV, QUARANTINE)


class ModelIdentity(BaseModel):
    """Which model scored, found out once at the start.

    Attributes:
        asked: What was asked for: a version, an alias or a folder.
        version: Number in the registry; None for a folder.
        bundle_hash: Hash of the bundle.
        synthetic_only: True where the model has seen drawn pictures only.
        operating_points: Names of its operating points.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    asked: str
    version: str | None
    bundle_hash: str
    synthetic_only: bool
    operating_points: tuple[str, ...] = ()

    def __str__(self) -> str:
        number = f"version {self.version}, " if self.version else ""
        return f"{self.asked!r} ({number}bundle {self.bundle_hash[:12]})"


class BatchSummary(BaseModel):
    """A batch in figures.

    Attributes:
        job: Known by model and listing; the same job gives the same table.
        source: Where the pictures came from.
        source_fingerprint: Changes when one of them does.
        model: Which model scored.
        inputs: Pictures, each of them one row.
        left_out: Files of the source that do not count as pictures.
        statuses: Rows by status.
        reasons: Rows that are not `ok`, by reason.
        classes: Rows that are `ok`, by predicted class.
        suspicious: Rows that are `ok` and positive, by operating point.
        files: SHA-256 of each table, by name.
        finished: When the tables were written, in UTC.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    job: str
    source: str
    source_fingerprint: str
    model: ModelIdentity
    inputs: int
    left_out: int
    statuses: dict[str, int]
    reasons: dict[str, int]
    classes: dict[str, int]
    suspicious: dict[str, int]
    files: dict[str, str]
    finished: str

    @property
    def put_aside(self) -> int:
        """Rows without an answer."""
        return self.inputs - self.statuses.get("ok", 0)


@dataclass(frozen=True)
class BatchResult:
    """A finished batch: a folder with its tables, and its figures.

    Attributes:
        path: The folder. Two results are equal by what they say, wherever they lie.
        summary: The figures, and the checksums of the tables.
    """

    path: Path = field(compare=False)
    summary: BatchSummary

    @classmethod
    def open(cls, path: Path) -> "BatchResult":
        """Read a finished batch.

        Raises:
            FileNotFoundError: It is none, or not finished.
            ValueError: Its summary is none.
        """
        text = (path / SUMMARY).read_text(encoding="utf-8")
        return cls(path, BatchSummary.model_validate_json(text))
