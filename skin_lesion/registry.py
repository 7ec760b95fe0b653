"""Versions of the model in the MLflow registry."""

import importlib.metadata
import io
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

import skin_lesion
from skin_lesion import tracking
from skin_lesion.evaluation.gate_report import GateReport
from skin_lesion.evaluation.report import sample_of_test
from skin_lesion.evaluation.summary import ReportSummary
from skin_lesion.evaluation.verdict import ProductionModel
from skin_lesion.labels import LABELS
from skin_lesion.modeling.bundle import ModelBundle

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.models import ModelSignature

log = logging.getLogger(__name__)

# In MLflow and in ZenML alike; `pipelines/training.py` declares ZenML's when it is imported.
MODEL_NAME = "skin-lesion-classifier"
# What `skin_lesion.pyfunc` imports, directly or not; no training framework is among it.
SERVING_PACKAGES = ("mlflow", "numpy", "openvino", "pandas", "pillow", "pydantic")
TAGGED_FIGURES = (
    "accuracy",
    "balanced_accuracy",
    "macro_f1",
    "macro_auc",
    "melanoma_auc",
    "malignant_auc",
    "ece",
)
_FIGURE = "test."
_GATE = "gate"
PRODUCTION_ALIAS = "champion"


class RegisteredVersion(BaseModel):
    """One version of a registered model.

    Attributes:
        name: Name of the registered model.
        version: MLflow's number.
        uri: Address of the logged model, `models:/m-…`; it stays valid whatever happens to aliases.
        bundle_hash: Hash of the bundle inside.
        run_id: MLflow run that registered it.
        created: True where this call made it; False where it was there before.
        tags: The tags of the version.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    version: int
    uri: str
    bundle_hash: str
    run_id: str
    created: bool
    tags: dict[str, str]

    def link(self) -> dict[str, str | int]:
        """What a record elsewhere needs to find this version again."""
        return {"mlflow_model": self.name, "mlflow_version": self.version, "mlflow_uri": self.uri}


def register_bundle(
    bundle: ModelBundle, summary: ReportSummary, gate: GateReport, name: str = MODEL_NAME
) -> RegisteredVersion:
    """Register a bundle with its figures, unless the very same bundle is registered already.

    A version that is there already takes over the figures, which may have been measured anew. The
    active MLflow run is tagged with the version either way.

    Args:
        bundle: The model with its final contract.
        summary: What was measured on it.
        gate: The verdict of the gates.
        name: Registered model.
    """
    import mlflow

    tags = _tags(bundle, summary) | gate.to_tags()
    found = find_bundle(name, bundle.bundle_hash)
    version = _with_figures(found, tags) if found else _create(bundle, tags, name)
    mlflow.set_tags({"registered_version": str(version.version), "model_uri": version.uri})
    return version


def _create(bundle: ModelBundle, tags: dict[str, str], name: str) -> RegisteredVersion:
    """Log a bundle to the active run and make a version of it.

    It is a pyfunc written as models from code: nothing in it is pickled, and the library travels
    with it.
    """
    import mlflow

    logged = mlflow.pyfunc.log_model(
        name="model",
        python_model=str(Path(skin_lesion.__file__).with_name("pyfunc.py")),
        artifacts={"bundle": str(bundle.path)},
        code_paths=[str(Path(skin_lesion.__file__).parent)],
        pip_requirements=serving_requirements(),
        signature=signature(),
        input_example=input_example(bundle),
    )
    version = mlflow.register_model(f"models:/{logged.model_id}", name, tags=tags)
    return _record(version, created=True)


def find_bundle(name: str, bundle_hash: str) -> RegisteredVersion | None:
    """The newest usable version that holds a bundle of this hash."""
    import mlflow

    versions = mlflow.MlflowClient().search_model_versions(
        f"name = '{name}' and tags.bundle_hash = '{bundle_hash}'"
    )
    usable = [version for version in versions if version.status == "READY"]
    if not usable:
        return None
    return _record(max(usable, key=lambda version: int(version.version)), created=False)


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
    import mlflow
    from mlflow.exceptions import MlflowException

    client = mlflow.MlflowClient()
    try:
        version = client.get_model_version_by_alias(name, PRODUCTION_ALIAS)
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        return None
    try:
        sample = sample_of_test(tracking.logged_predictions(version.run_id or "none"))
    except LookupError as error:
        log.warning("production version %s cannot be compared: %s", version.version, error)
        sample = None
    return ProductionModel(
        version=str(version.version),
        bundle_hash=version.tags.get("bundle_hash", ""),
        split_hash=version.tags.get("split_hash", ""),
        data_fingerprint=version.tags.get("data_fingerprint", ""),
        sample=sample,
    )


def signature() -> "ModelSignature":
    """What the pyfunc takes and gives."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

    return ModelSignature(
        inputs=Schema([ColSpec(DataType.binary, "image")]),
        outputs=Schema(
            [
                *(ColSpec(DataType.double, label, required=False) for label in LABELS),
                ColSpec(DataType.string, "prediction", required=False),
                ColSpec(DataType.double, "malignant_probability", required=False),
                ColSpec(DataType.string, "status"),
                ColSpec(DataType.string, "reason", required=False),
            ]
        ),
    )


def input_example(bundle: ModelBundle) -> "pd.DataFrame":
    """One row with an encoded picture of the model's input size: a smooth skin-coloured square."""
    import pandas as pd
    from PIL import Image

    contract = bundle.contract
    buffer = io.BytesIO()
    size = (contract.input_width, contract.input_height)
    Image.new("RGB", size, (214, 170, 150)).save(buffer, format="PNG")
    return pd.DataFrame({"image": [buffer.getvalue()]})


def serving_requirements() -> list[str]:
    """Packages that the pyfunc needs, at the versions it was made with."""
    return [f"{name}=={importlib.metadata.version(name)}" for name in SERVING_PACKAGES]


def _with_figures(version: RegisteredVersion, tags: dict[str, str]) -> RegisteredVersion:
    """Bring the figures and the verdict among the tags of a version up to date."""
    import mlflow

    new, old = _measured(tags), _measured(version.tags)
    if new == old:
        return version
    client, number = mlflow.MlflowClient(), str(version.version)
    for name in old.keys() - new.keys():
        client.delete_model_version_tag(version.name, number, name)
    for name, value in new.items() - old.items():
        client.set_model_version_tag(version.name, number, name, value)
    others = {name: value for name, value in version.tags.items() if name not in old}
    return version.model_copy(update={"tags": others | new})


def _measured(tags: dict[str, str]) -> dict[str, str]:
    """The tags that another evaluation of the same bundle may change."""
    return {name: value for name, value in tags.items() if name.startswith((_FIGURE, _GATE))}


def _figure_tags(summary: ReportSummary) -> dict[str, str]:
    figures = {name: getattr(summary.test, name) for name in TAGGED_FIGURES}
    return {
        f"{_FIGURE}{name}": f"{value:.4f}" for name, value in figures.items() if value is not None
    }


def _tags(bundle: ModelBundle, summary: ReportSummary) -> dict[str, str]:
    contract = bundle.contract
    return {
        "bundle_hash": bundle.bundle_hash,
        # Before the temperature that was found in measuring entered the contract.
        "evaluated_bundle_hash": summary.bundle_hash,
        "data_fingerprint": contract.data_fingerprint,
        "split_hash": contract.split_hash,
        "code_version": contract.code_version,
        "training_run_id": contract.training_run_id or "none",
        "synthetic_only": str(contract.synthetic_only).lower(),
        "licence": contract.licence,
        "backbone": contract.backbone,
        **_figure_tags(summary),
    }


def _record(version: "ModelVersion", *, created: bool) -> RegisteredVersion:
    return RegisteredVersion(
        name=version.name,
        version=int(version.version),
        uri=str(version.source),
        bundle_hash=version.tags["bundle_hash"],
        run_id=version.run_id or "none",
        created=created,
        tags=dict(version.tags),
    )
