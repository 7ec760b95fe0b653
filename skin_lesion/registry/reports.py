"""Reports on pictures from elsewhere, kept with the MLflow run that registered the version."""

import itertools
import re
from pathlib import Path

from skin_lesion.registry.lookup import find_version
from skin_lesion.registry.version import MODEL_NAME, RegisteredVersion

EXTERNAL = "external"
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]+")


def version_to_measure(model: str, *, log: bool, name: str = MODEL_NAME) -> RegisteredVersion:
    """The version that a report will be of.

    Args:
        model: Number of a version, or an alias.
        log: Whether its run is to take the report.
        name: Registered model.

    Raises:
        LookupError: There is no such version, or its run is gone.
    """
    import mlflow
    from mlflow.exceptions import MlflowException

    try:
        version = find_version(model, name)
        if log:
            _require_run(version)
    except MlflowException as error:
        raise LookupError(
            f"{mlflow.get_tracking_uri()} does not tell what version {model!r} of {name!r} is: "
            f"{error}"
        ) from error
    return version


def log_external(version: RegisteredVersion, folder: Path, data: str) -> str:
    """Log a report to the run that registered a version; no run has to be active.

    What was logged under this name before stays: the new report is numbered.

    Args:
        version: What was measured.
        folder: The report's files.
        data: Name of the pictures; characters that not every store takes are replaced.

    Returns:
        Where the report is among the run's artifacts, such as `external/isic`.

    Raises:
        RuntimeError: MLflow did not take it.
    """
    import mlflow
    from mlflow.exceptions import MlflowException

    client = mlflow.MlflowClient()
    stem = _NOT_IN_NAMES.sub("-", data).strip(".-") or "pictures"
    try:
        taken = {file.path for file in client.list_artifacts(version.run_id, EXTERNAL)}
        paths = (f"{EXTERNAL}/{stem}{f'-{n}' if n > 1 else ''}" for n in itertools.count(1))
        path = next(path for path in paths if path not in taken)
        client.log_artifacts(version.run_id, str(folder), path)
    except (MlflowException, OSError) as error:
        raise RuntimeError(
            f"MLflow's run {version.run_id} did not take the report, which lies in {folder}: {error}"
        ) from error
    return path


def _require_run(version: RegisteredVersion) -> None:
    import mlflow
    from mlflow.exceptions import MlflowException

    try:
        stage = mlflow.MlflowClient().get_run(version.run_id).info.lifecycle_stage
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        stage = "gone"
    if stage != "active":
        raise LookupError(
            f"run {version.run_id}, which registered version {version.version} of {version.name}, is "
            f"{stage} and cannot take the report; say --no-log to measure all the same"
        )
