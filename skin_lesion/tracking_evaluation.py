"""What an MLflow run holds of the evaluation, the test split included."""

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from skin_lesion import tracking
from skin_lesion.evaluation.report import EvaluationReport
from skin_lesion.evaluation.summary import ReportSummary

if TYPE_CHECKING:
    import pandas as pd

PREDICTIONS = "predictions.parquet"


def log_evaluation(report: EvaluationReport) -> None:
    """Log the figures of validation and test, every picture, and the whole report."""
    import mlflow

    summary = report.summary
    figures = {
        name: split.model_dump(exclude={"intervals"})
        for name, split in (("val", summary.val), ("test", summary.test))
    }
    numbers = {
        name: float(value)
        for name, value in tracking.flatten(
            {**figures, "temperature": summary.decisions.calibrator.temperature}
        )
        if isinstance(value, int | float)
    }
    mlflow.log_metrics(numbers)
    with tempfile.TemporaryDirectory(prefix="skin-lesion-") as name:
        folder = Path(name)
        (folder / "report.json").write_text(summary.model_dump_json(indent=2))
        schema = json.dumps(ReportSummary.model_json_schema(), indent=2)
        (folder / "report.schema.json").write_text(schema)
        (folder / "report.html").write_text(report.to_html())
        report.predictions.to_parquet(folder / PREDICTIONS, index=False)
        for figure, png in report.figures.items():
            (folder / f"{figure}.png").write_bytes(png)
        mlflow.log_artifacts(str(folder), tracking.EVALUATION)


def logged_predictions(run_id: str) -> "pd.DataFrame":
    """What a model said of the validation and test images, as its run logged it.

    Raises:
        LookupError: The run is gone, or logged none.
    """
    import mlflow
    import pandas as pd
    from mlflow.exceptions import MlflowException

    with tempfile.TemporaryDirectory(prefix="skin-lesion-") as folder:
        try:
            path = mlflow.artifacts.download_artifacts(
                run_id=run_id, artifact_path=f"{tracking.EVALUATION}/{PREDICTIONS}", dst_path=folder
            )
        except (MlflowException, OSError) as error:
            if not tracking.is_missing(error):
                raise
            raise LookupError(
                f"run {run_id} holds no {tracking.EVALUATION}/{PREDICTIONS}: {error}"
            ) from error
        return pd.read_parquet(path)
