"""Holds a scored batch, or the audit log, against the model's validation pictures."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from skin_lesion.audit.log import AuditLog
from skin_lesion.audit.queries import Scope
from skin_lesion.drift.compare import DriftReport, compare
from skin_lesion.drift.lookup import bundle_that_answered, reference_in
from skin_lesion.drift.page import render
from skin_lesion.drift.tables import from_audit, read_predictions
from skin_lesion.registry import PRODUCTION_ALIAS, find_version, open_bundle
from skin_lesion.settings import DriftConfig


@dataclass(frozen=True)
class DriftRequest:
    """What is asked for.

    Attributes:
        predictions: Table or folder of a batch; None where `audit` is meant.
        audit: URL of an audit log; None where `predictions` are meant.
        since: Readings from this time on.
        until: Readings before this time.
        model: Version, alias or folder of a bundle; None takes the one that answered, and of an
            audit log the one in production.
        output: Page to be written; None names one.
    """

    predictions: Path | None = None
    audit: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    model: str | None = None
    output: Path | None = None


@dataclass(frozen=True)
class DriftAnswer:
    """What came of it.

    Attributes:
        report: The comparison.
        page: Where its page is; its figures lie beside it as JSON.
    """

    report: DriftReport
    page: Path


def run_drift(request: DriftRequest, limits: DriftConfig, shelf: Path) -> DriftAnswer:
    """Compare, and write the page.

    Args:
        request: What is asked for.
        limits: What counts as a change.
        shelf: Folder for pages that were not given a name.

    Raises:
        FileNotFoundError: No such table.
        FileExistsError: The page exists.
        LookupError: No such model, or nothing of it was logged.
        ValueError: The table is none, another model answered, or the model has no reference.
        AuditError: The log cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="skin-lesion-") as folder:
        if request.audit is not None:
            name = f"audit log, {_period(request.since, request.until)}"
            version = str(find_version(request.model or PRODUCTION_ALIAS).version)
            scope = Scope(since=request.since, until=request.until)
            rows = AuditLog.open(request.audit, create=False).rows(scope)
            batch = from_audit(rows, version)
            bundle = open_bundle(version, Path(folder))
        else:
            assert request.predictions is not None  # one of the two
            name, batch = request.predictions.name, read_predictions(request.predictions)
            bundle = bundle_that_answered(batch, request.model, Path(folder))
        report = compare(reference_in(bundle).table, batch, limits, data=name)
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    stem = "audit" if request.predictions is None else request.predictions.stem
    page = request.output or shelf / f"{stem}-{stamp}.html"
    _write(report, page)
    return DriftAnswer(report, page)


def _period(since: datetime | None, until: datetime | None) -> str:
    """Such as `from 2026-01-01 to now`."""
    start = "the first reading" if since is None else f"{since:%Y-%m-%d %H:%M}"
    return f"from {start} to {'now' if until is None else f'{until:%Y-%m-%d %H:%M}'}"


def _write(report: DriftReport, page: Path) -> None:
    if page.exists():
        raise FileExistsError(f"{page} exists; name another page with --output")
    page.parent.mkdir(parents=True, exist_ok=True)
    figures = page.with_suffix(".json")
    for path, text in ((figures, report.model_dump_json(indent=2) + "\n"), (page, render(report))):
        with _draft(path) as draft:
            draft.write_text(text, encoding="utf-8")


@contextmanager
def _draft(path: Path) -> Iterator[Path]:
    """A file that becomes `path` when it is whole, and is gone where it does not get so far."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield draft
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
