"""Whether the pictures of a batch look like those that the model was validated on."""

import tempfile
from pathlib import Path
from typing import Annotated

from zenml import log_metadata, step
from zenml.logger import get_logger
from zenml.types import HTMLString

from skin_lesion.batch.model import names_folder
from skin_lesion.batch.result import BatchResult
from skin_lesion.drift.compare import DriftReport, compare, without_reference
from skin_lesion.drift.lookup import bundle_that_answered, reference_in
from skin_lesion.drift.page import render
from skin_lesion.drift.tables import read_predictions
from skin_lesion.settings import DriftConfig
from steps._run import use_registry

log = get_logger(__name__)


@step(enable_cache=False)  # as the step before it
def drift(
    batch: BatchResult, model: str, config: DriftConfig = DriftConfig()
) -> tuple[Annotated[DriftReport, "drift"], Annotated[HTMLString, "drift_page"]]:
    """Hold a scored batch against the model's own validation pictures."""
    use_registry()
    predictions = read_predictions(batch.path)
    with tempfile.TemporaryDirectory(prefix="skin-lesion-") as folder:
        named = model if names_folder(model) else None  # else the table names the version
        bundle = bundle_that_answered(predictions, named, Path(folder))
        source = batch.summary.source
        # Scoring is done by now: an older model is no reason to call the run failed.
        if bundle.drift_path is None:
            report = without_reference(predictions, config, data=source)
        else:
            report = compare(reference_in(bundle).table, predictions, config, data=source)
    log_metadata({"drift": report.verdict, "changes": report.to_lines()})
    for line in report.to_lines():
        log.warning(line) if report.verdict == "drift" else log.info(line)
    return report, HTMLString(render(report))
