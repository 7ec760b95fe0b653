"""Finding versions in the registry; nothing here changes it."""

import logging
from pathlib import Path

from skin_lesion import tracking
from skin_lesion.evaluation.report import sample_of_test
from skin_lesion.evaluation.verdict import ProductionModel
from skin_lesion.modeling.bundle import ModelBundle
from skin_lesion.registry.measurements import measuring_run
from skin_lesion.registry.version import (
    MODEL_NAME,
    PRODUCTION_ALIAS,
    RegisteredVersion,
    as_registered,
)
from skin_lesion.tracking_evaluation import logged_predictions

# Where `mlflow.pyfunc.log_model` puts the artifact named `bundle`.
_BUNDLE = "artifacts/bundle"
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
        if not (tracking.is_missing(error) or _no_alias(error)):
            raise
        return None
    return as_registered(version)


def _no_alias(error: Exception) -> bool:
    """MLflow calls an alias that is not there, or cannot be, a wrong parameter."""
    return getattr(error, "error_code", None) == "INVALID_PARAMETER_VALUE"


def find_version(version: int | str, name: str = MODEL_NAME) -> RegisteredVersion:
    """A version by its number or by an alias.

    Raises:
        LookupError: There is none; says which there are.
    """
    import mlflow
    from mlflow.exceptions import MlflowException

    wanted = str(version)
    if not wanted.isdecimal():
        found = aliased(wanted, name)
        if found is not None:
            return found
    else:
        try:
            return as_registered(mlflow.MlflowClient().get_model_version(name, wanted))
        except MlflowException as error:
            if not tracking.is_missing(error):
                raise
    versions = all_versions(name)
    there = ", ".join(str(one.version) for one in versions) or "none: run the pipeline first"
    raise LookupError(
        f"{name!r} has no version or alias {wanted!r} in {tracking.address()}; its versions "
        f"are {there}"
    )


def all_versions(name: str = MODEL_NAME) -> list[RegisteredVersion]:
    """Every version, the oldest first."""
    import mlflow

    client = mlflow.MlflowClient()
    found = []
    token = None
    while True:
        page = client.search_model_versions(f"name = '{name}'", page_token=token)
        found += [as_registered(version) for version in page]
        token = page.token
        if not token:
            return sorted(found, key=lambda version: version.version)


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


def fetch_bundle(model: str, target: Path, name: str = MODEL_NAME) -> Path:
    """Fetch the files of a registered model's bundle as they are, whatever they hold.

    Args:
        model: Number of a version, or an alias such as `champion`.
        target: Folder that they are downloaded into.
        name: Registered model.

    Returns:
        The bundle's folder.

    Raises:
        LookupError: There is no such version or alias, or it holds no bundle.
    """
    import mlflow
    from mlflow.exceptions import MlflowException

    uri = f"models:/{name}/{model}" if model.isdecimal() else f"models:/{name}@{model}"
    try:
        folder = mlflow.artifacts.download_artifacts(f"{uri}/{_BUNDLE}", dst_path=str(target))
    except (MlflowException, FileNotFoundError) as error:
        if not (tracking.is_missing(error) or _no_alias(error)):
            raise
        raise LookupError(
            f"no model {name!r} has the version or alias {model!r} with a bundle in "
            f"{tracking.address()}: {error}"
        ) from error
    return Path(folder)


def open_bundle(model: str, target: Path, name: str = MODEL_NAME) -> ModelBundle:
    """Fetch the bundle of a registered model.

    Args:
        model: Number of a version, or an alias such as `champion`.
        target: Folder that it is downloaded into.
        name: Registered model.

    Raises:
        LookupError: There is no such version or alias.
        FileNotFoundError: A file of the bundle is missing.
    """
    return ModelBundle.open(fetch_bundle(model, target, name))


def production(name: str = MODEL_NAME) -> ProductionModel | None:
    """The model that the alias says is in production, with what it said of its test images.

    Returns:
        None where the alias points nowhere.
    """
    version = champion(name)
    if version is None:
        return None
    try:
        sample = sample_of_test(logged_predictions(measuring_run(version)))
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
