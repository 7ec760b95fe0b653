"""One version of the registered model, and the names that everybody agrees on."""

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from skin_lesion.settings import RegistryConfig

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

# In MLflow and in ZenML alike; `pipelines/training.py` declares ZenML's when it is imported.
MODEL_NAME = "skin-lesion-classifier"
PRODUCTION_ALIAS = "champion"
PREVIOUS_ALIAS = "previous"
DEFAULTS = RegistryConfig()


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

    @property
    def trained_hash(self) -> str:
        """Hash of its bundle as it was trained, before anything was frozen."""
        return self.tags.get("evaluated_bundle_hash", self.bundle_hash)

    def link(self) -> dict[str, str | int]:
        """What a record elsewhere needs to find this version again."""
        return {"mlflow_model": self.name, "mlflow_version": self.version, "mlflow_uri": self.uri}


def as_registered(version: "ModelVersion", *, created: bool = False) -> RegisteredVersion:
    """What MLflow says of a version; one that other tools registered has no bundle hash."""
    return RegisteredVersion(
        name=version.name,
        version=int(version.version),
        uri=str(version.source),
        bundle_hash=version.tags.get("bundle_hash", ""),
        run_id=version.run_id or "none",
        created=created,
        tags=dict(version.tags),
    )
