"""What was measured on a registered version, as its MLflow run holds it."""

import tempfile
from pathlib import Path

from pydantic import ValidationError

from skin_lesion import tracking
from skin_lesion.data.looking import LookedAt
from skin_lesion.evaluation.report import EvaluationReport, sample_of_test
from skin_lesion.evaluation.sample import Sample
from skin_lesion.evaluation.summary import ReportSummary
from skin_lesion.registry.version import RegisteredVersion
from skin_lesion.tracking_evaluation import logged_predictions

# The run whose figures stand among the tags, where that is not the one that registered the version.
MEASURED_BY = "measured_run_id"
_REPORT = f"{tracking.EVALUATION}/report.json"


def measuring_run(version: RegisteredVersion) -> str:
    """Id of the MLflow run that measured a version last."""
    return version.tags.get(MEASURED_BY, version.run_id)


def looked_at(version: RegisteredVersion) -> LookedAt:
    """A version as the ledger of looks at the test split names it."""
    return LookedAt(version.bundle_hash, version.trained_hash, f"version {version.version}")


def run_name(version: RegisteredVersion) -> str:
    """Name of the run that registered a version, in MLflow and in ZenML alike.

    Raises:
        LookupError: The run is gone.
    """
    import mlflow
    from mlflow.exceptions import MlflowException

    try:
        return str(mlflow.get_run(version.run_id).info.run_name)
    except MlflowException as error:
        if not tracking.is_missing(error):
            raise
        raise LookupError(
            f"run {version.run_id}, which registered version {version.version}, is gone: "
            f"{error.message}"
        ) from error


def recorded_sample(version: RegisteredVersion) -> Sample:
    """The test images of a version with what it said of them.

    Raises:
        LookupError: They were not logged, or are gone.
    """
    try:
        return sample_of_test(logged_predictions(measuring_run(version)))
    except LookupError as error:
        raise LookupError(
            f"version {version.version} cannot be measured again, since what it said of its test "
            f"images is not to be had: {error}"
        ) from error


def recorded_report(version: RegisteredVersion) -> EvaluationReport:
    """The evaluation of a version, without pictures.

    Raises:
        LookupError: It was not logged, is gone, or was written by an incompatible library.
    """
    import mlflow
    from mlflow.exceptions import MlflowException

    run_id = measuring_run(version)
    with tempfile.TemporaryDirectory(prefix="skin-lesion-") as folder:
        try:
            path = mlflow.artifacts.download_artifacts(
                run_id=run_id, artifact_path=_REPORT, dst_path=folder
            )
            summary = ReportSummary.model_validate_json(Path(path).read_text(encoding="utf-8"))
        except (MlflowException, OSError) as error:
            if not tracking.is_missing(error):
                raise
            raise LookupError(f"run {run_id} holds no {_REPORT}: {error}") from error
        except ValidationError as error:
            raise LookupError(
                f"{_REPORT} of run {run_id} was written by another version of the library "
                f"({error.error_count()} fields differ); run the pipeline again to measure anew"
            ) from error
    predictions = logged_predictions(run_id)
    return EvaluationReport(summary, predictions, figures={}, reference=None)
