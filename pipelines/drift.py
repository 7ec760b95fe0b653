"""Holds a scored batch, or the audit log, against the model's validation pictures."""

import os
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from skin_lesion.audit.log import AuditLog
from skin_lesion.audit.queries import Scope
from skin_lesion.batch.files import write_text
from skin_lesion.batch.model import choose_model
from skin_lesion.drift.compare import DriftReport, compare
from skin_lesion.drift.lookup import bundle_that_answered, reference_in
from skin_lesion.drift.page import render
from skin_lesion.drift.tables import from_audit, read_predictions
from skin_lesion.modeling.bundle import ModelBundle
from skin_lesion.registry import PRODUCTION_ALIAS
from skin_lesion.settings import DriftConfig

_FIGURES = ".json"


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
        FileExistsError: The page exists, or the figures beside it.
        LookupError: No such model, or nothing of it was logged.
        ValueError: The table is none, another model answered, the model has no reference, or the
            page would be called as its figures are.
        AuditError: The log cannot be read.
    """
    page = request.output
    if page is not None:
        _refuse_taken(page)
    with tempfile.TemporaryDirectory(prefix="skin-lesion-") as folder:
        if request.audit is not None:
            name = f"audit log, {_period(request.since, request.until)}"
            _, local = choose_model(request.model or PRODUCTION_ALIAS, Path(folder))
            scope = Scope(since=request.since, until=request.until)
            rows = AuditLog.open(request.audit, create=False).rows(scope)
            batch = from_audit(rows, local.versions, log=name)
            bundle = ModelBundle.open(local.path)
        else:
            assert request.predictions is not None  # one of the two
            # A folder may be named by dots alone.
            name = Path(os.path.abspath(request.predictions)).name
            batch = read_predictions(request.predictions)
            bundle = bundle_that_answered(batch, request.model, Path(folder))
        report = compare(reference_in(bundle).table, batch, limits, data=name)
    if page is None:
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        stem = (
            "audit"
            if request.predictions is None
            else name.removesuffix(".parquet").removesuffix(".csv")
        )
        page = shelf / f"{stem}-{stamp}.html"
        _refuse_taken(page)
    page.parent.mkdir(parents=True, exist_ok=True)
    # The page last: where it is, its figures are.
    write_text(page.with_suffix(_FIGURES), report.model_dump_json(indent=2) + "\n")
    write_text(page, render(report))
    return DriftAnswer(report, page)


def _period(since: datetime | None, until: datetime | None) -> str:
    """Such as `from 2026-01-01 00:00 to now (UTC)`."""
    start, end = (
        default if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}"
        for moment, default in ((since, "the first reading"), (until, "now"))
    )
    return f"from {start} to {end} (UTC)"


def _refuse_taken(page: Path) -> None:
    figures = page.with_suffix(_FIGURES)
    if page == figures:
        raise ValueError(
            f"--output is {page}, and the figures are written under that name; name the page, such "
            f"as {page.with_suffix('.html')}"
        )
    for path in (page, figures):
        if path.exists():
            raise FileExistsError(f"{path} exists; name another page with --output")
