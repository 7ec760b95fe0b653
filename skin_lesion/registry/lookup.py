"""Finding versions in the registry; nothing here changes it."""

import logging
from pathlib import Path

from skin_lesion import tracking
from skin_lesion.evaluation.report import sample_of_test
from skin_lesion.evaluation.verdict import ProductionModel
from skin_lesion.modeling.bundle import ModelBundle
from skin_lesion.registry.version import (
    MODEL_NAME,
    PRODUCTION_ALIAS,
    RegisteredVersion,
    as_registered,
)

log = logging.getLogger(__name__)


def aliased(alias: str, name: str = MODEL_NAME) -> RegisteredVersion | None:
    """The version that an alias points to.

    One question to the registry; no file is fetched.

    Args:
        alias: Such as `champion`.
        name: Registered model.

    Returns:
        None where there is no such alias or no such model.
    """
    import mlflow
    from mlflow.exceptions import MlflowException

    try:
        version = mlflow.MlflowClient().get_model_version_by_alias(name, alias)
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        return None
    return as_registered(version)


def champion(name: str = MODEL_NAME) -> RegisteredVersion | None:
    """The version in production: what the alias `champion` points to.

    Cheap enough to be asked every few seconds.

    Returns:
        None where nothing is in production.
    """
    return aliased(PRODUCTION_ALIAS, name)


def find_bundle(name: str, bundle_hash: str) -> RegisteredVersion | None:
    """The newest usable version that holds a bundle of this hash."""
    import mlflow

    versions = mlflow.MlflowClient().search_model_versions(
        f"name = '{name}' and tags.bundle_hash = '{bundle_hash}'"
    )
    usable = [version for version in versions if version.status == "READY"]
    if not usable:
        return None
    return as_registered(max(usable, key=lambda version: int(version.version)))


def open_bundle(model: str, target: Path, name: str = MODEL_NAME) -> ModelBundle:
    """Fetch the bundle of a registered model.

    Args:
        model: Number of a version, or an alias such as `champion`.
        target: Folder that it is downloaded into.
        name: Registered model.

    Raises:
        LookupError: There is no such version or alias.
    """
    import mlflow
    from mlflow.exceptions import MlflowException

    uri = f"models:/{name}/{model}" if model.isdigit() else f"models:/{name}@{model}"
    try:
        folder = mlflow.artifacts.download_artifacts(uri, dst_path=str(target))
    except MlflowException as error:
        raise LookupError(
            f"no model {name!r} has the version or alias {model!r} in {mlflow.get_tracking_uri()}: "
            f"{error.message}"
        ) from error
    return ModelBundle.open(Path(folder) / "artifacts" / "bundle")


def production(name: str = MODEL_NAME) -> ProductionModel | None:
    """The model that the alias says is in production, with what it said of its test images.

    Returns:
        None where the alias points nowhere.
    """
    version = champion(name)
    if version is None:
        return None
    try:
        sample = sample_of_test(tracking.logged_predictions(version.run_id))
    except LookupError as error:
        log.warning("production version %s cannot be compared: %s", version.version, error)
        sample = None
    return ProductionModel(
        version=str(version.version),
        bundle_hash=version.bundle_hash,
        split_hash=version.tags.get("split_hash", ""),
        data_fingerprint=version.tags.get("data_fingerprint", ""),
        sample=sample,
    )
