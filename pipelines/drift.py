"""Holds a scored batch, or the audit log, against the model's validation pictures."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from skin_lesion.audit.log import AuditLog
from skin_lesion.audit.queries import Scope
from skin_lesion.drift.compare import DriftReport, compare
from skin_lesion.drift.page import render
from skin_lesion.drift.reference import DriftReference
from skin_lesion.drift.tables import from_audit, read_predictions
from skin_lesion.modeling.bundle import ModelBundle
from skin_lesion.registry import (
    MODEL_NAME,
    PRODUCTION_ALIAS,
    find_bundle,
    find_version,
    open_bundle,
)
from skin_lesion.settings import DriftConfig

if TYPE_CHECKING:
    import pandas as pd


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
        seed: Of the permutations.
    """

    predictions: Path | None = None
    audit: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    model: str | None = None
    output: Path | None = None
    seed: int = 0


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
            bundle = _bundle_of(batch, request.model, Path(folder))
        report = compare(reference_in(bundle).table, batch, limits, data=name, seed=request.seed)
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    stem = "audit" if request.predictions is None else request.predictions.stem
    page = request.output or shelf / f"{stem}-{stamp}.html"
    _write(report, page)
    return DriftAnswer(report, page)


def reference_in(bundle: ModelBundle) -> DriftReference:
    """What a model said of its validation pictures.

    Raises:
        ValueError: It was registered before that was kept.
    """
    if bundle.drift_path is None:
        raise ValueError(
            f"{bundle.path.name} was registered without its validation pictures' answers, so there "
            "is nothing to compare with; run the pipeline again, and use the version it registers"
        )
    return DriftReference.load(bundle.drift_path)


def _bundle_of(batch: "pd.DataFrame", model: str | None, work: Path) -> ModelBundle:
    """The model that answered, checked by its hash where the table names one."""
    hashes = set(batch["bundle_hash"].dropna()) if "bundle_hash" in batch else set()
    if model is not None:
        path = Path(model)
        bundle = ModelBundle.open(path) if path.is_dir() else open_bundle(model, work)
    elif len(hashes) == 1:
        [bundle_hash] = hashes
        found = find_bundle(MODEL_NAME, bundle_hash)
        if found is None:
            raise LookupError(
                f"no registered version holds the bundle {bundle_hash[:12]} that answered; name it "
                "with --model FOLDER"
            )
        bundle = open_bundle(str(found.version), work)
    else:
        bundle = open_bundle(PRODUCTION_ALIAS, work)
    if hashes and bundle.bundle_hash not in hashes:
        raise ValueError(
            f"the table was answered by bundle {', '.join(sorted(h[:12] for h in hashes))} and the "
            f"model named is {bundle.bundle_hash[:12]}; compare it with the model that answered"
        )
    return bundle


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
