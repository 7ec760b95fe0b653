"""From finished shards to the tables that a person wants; the summary comes last and vouches."""

import csv
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from skin_lesion.batch.files import checksum, write_text, write_whole
from skin_lesion.batch.page import summary_page
from skin_lesion.batch.result import (
    PAGE,
    PREDICTIONS,
    PREDICTIONS_CSV,
    QUARANTINE,
    SUMMARY,
    TABLES,
    BatchResult,
    BatchSummary,
)
from skin_lesion.batch.state import DETAIL, FILE, ROW, Job, State, schema
from skin_lesion.labels import LABELS
from skin_lesion.spreadsheets import no_formula

QUARANTINE_COLUMNS = (ROW, FILE, "status", "reason", DETAIL, "image_sha256")
# What comes from outside and could be a formula to a spreadsheet.
_FOREIGN = frozenset({FILE, DETAIL})
_ROWS_IN_MEMORY = 8192


def finished(state: State, job: Job) -> BatchResult | None:
    """The batch, where it was finished before and its tables are what they were then."""
    try:
        result = BatchResult.open(state.output)
    except (FileNotFoundError, ValueError):  # none, or no longer what was written
        return None
    summary = result.summary
    sound = set(summary.files) == set(TABLES) and all(
        checksum(state.output / name) == digest for name, digest in summary.files.items()
    )
    return result if summary.job == job.key and sound else None


def assemble(state: State, job: Job) -> BatchResult:
    """Join the shards of a job, none of which may be missing.

    Raises:
        ValueError: A part is missing or broken.
        OSError: The disk is full.
    """
    folder = state.output
    (folder / SUMMARY).unlink(missing_ok=True)  # vouches for older tables
    write_whole(folder / PREDICTIONS, partial(_write_parquet, state=state, job=job))
    counts = _Counts()
    write_whole(folder / PREDICTIONS_CSV, partial(_write_csv, folder=folder, counts=counts))
    write_whole(folder / QUARANTINE, partial(_write_quarantine, folder=folder))
    if counts.rows != job.inputs:
        raise ValueError(f"{counts.rows} rows for {job.inputs} inputs; start again")
    summary = BatchSummary(
        job=job.key,
        source=job.source,
        source_fingerprint=job.source_fingerprint,
        model=job.model,
        inputs=job.inputs,
        left_out=job.left_out,
        statuses=dict(counts.statuses.most_common()),
        reasons=dict(counts.reasons.most_common()),
        classes={label: counts.classes[label] for label in LABELS},
        suspicious={name: counts.suspicious[name] for name in job.model.operating_points},
        files={name: checksum(folder / name) for name in TABLES},
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    write_text(folder / PAGE, summary_page(summary, read_quarantine(folder)))
    write_text(folder / SUMMARY, summary.model_dump_json(indent=2) + "\n")
    return BatchResult(folder, summary)


def read_quarantine(folder: Path, most: int = 200) -> list[dict[str, str]]:
    """The first rows of the quarantine list of a batch."""
    rows: list[dict[str, str]] = []
    with (folder / QUARANTINE).open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if len(rows) == most:
                break
            rows.append(row)
    return rows


@dataclass
class _Counts:
    """What the summary says of the rows."""

    rows: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    classes: Counter[str] = field(default_factory=Counter)
    suspicious: Counter[str] = field(default_factory=Counter)

    def add(self, row: dict[str, Any]) -> None:
        self.rows += 1
        self.statuses[row["status"]] += 1
        if row["status"] != "ok":
            self.reasons[row["reason"]] += 1
            return
        self.classes[row["prediction"]] += 1
        verdicts = json.loads(row["verdicts"] or "{}")
        self.suspicious.update(name for name, positive in verdicts.items() if positive)


def _write_parquet(path: Path, state: State, job: Job) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetWriter(path, schema(job)) as writer:
        waiting: list[pa.Table] = []
        for part in state.read(job):
            waiting.append(part)
            if sum(len(table) for table in waiting) >= _ROWS_IN_MEMORY:
                writer.write_table(pa.concat_tables(waiting))
                waiting = []
        if waiting:
            writer.write_table(pa.concat_tables(waiting))


def _write_csv(path: Path, folder: Path, counts: _Counts) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        for number, row in enumerate(_rows(folder)):
            if number == 0:
                writer.writerow(row)
            counts.add(row)
            writer.writerow([_cell(name, value) for name, value in row.items()])


def _write_quarantine(path: Path, folder: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(QUARANTINE_COLUMNS)
        for row in _rows(folder):
            if row["status"] != "ok":
                writer.writerow([_cell(name, row[name]) for name in QUARANTINE_COLUMNS])


def _rows(folder: Path) -> Iterator[dict[str, Any]]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(folder / PREDICTIONS) as file:
        for batch in file.iter_batches(batch_size=_ROWS_IN_MEMORY):
            yield from batch.to_pylist()


def _cell(column: str, value: Any) -> Any:
    """What stands in a CSV: text from outside never starts like a formula."""
    return no_formula(value) if column in _FOREIGN and isinstance(value, str) else value
