"""The classifier between the two training phases as an artifact."""

import hashlib
import json
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

from zenml.enums import ArtifactType, VisualizationType
from zenml.metadata.metadata_types import MetadataType

from materializers import _html
from materializers._files import FileMaterializer
from skin_lesion.modeling.train import WarmupModel
from skin_lesion.modeling.trained import UNKNOWN_CODE
from skin_lesion.settings import BackboneConfig

_MODEL = "model.keras"
_GRAPH = "config.json"


class WarmupModelMaterializer(FileMaterializer):
    """The `.keras` file and a JSON file; loading opens neither Keras nor TensorFlow."""

    ASSOCIATED_TYPES: ClassVar[tuple[type[Any], ...]] = (WarmupModel,)
    ASSOCIATED_ARTIFACT_TYPE: ClassVar[ArtifactType] = ArtifactType.MODEL

    def save(self, data: WarmupModel) -> None:
        """Write the model."""
        self.upload(data.path, _MODEL)
        self.write_text("model.json", json.dumps(_facts(data), indent=2))

    def load(self, data_type: type[Any]) -> WarmupModel:
        """Return a handle; the file of a local store stays where it is."""
        facts = json.loads(self.read_text("model.json"))
        facts["backbone"] = BackboneConfig.model_validate(facts["backbone"])
        # Models of earlier versions do not say which code trained them.
        facts["trained_by"] = tuple(facts.get("trained_by", UNKNOWN_CODE))
        if self.local_folder:
            return WarmupModel(path=self.local_folder / _MODEL, **facts)
        workspace = TemporaryDirectory(prefix="skin-lesion-")
        path = self.download(_MODEL, Path(workspace.name) / _MODEL)
        return WarmupModel(path=path, workspace=workspace, **facts)

    def compute_content_hash(self, data: WarmupModel) -> str:
        """Equal weights in an equal graph have equal hashes, whenever they were saved."""
        digest = hashlib.sha256(json.dumps(_facts(data), sort_keys=True).encode())
        with zipfile.ZipFile(data.path) as archive:
            # `metadata.json` holds the time of saving.
            for name in sorted(set(archive.namelist()) - {"metadata.json"}):
                with archive.open(name) as file:
                    if name == _GRAPH:
                        digest.update(_without_addresses(file.read()))
                    else:
                        digest.update(hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()

    def extract_metadata(self, data: WarmupModel) -> dict[str, MetadataType]:
        """What was trained, and from which weights."""
        return {
            "backbone": data.backbone.name,
            "pretrained_on": data.pretrained_on,
            "epochs": data.epochs,
            "training_code": ", ".join(code or "unknown" for code in data.trained_by),
        }

    def save_visualizations(self, data: WarmupModel) -> dict[str, VisualizationType]:
        """Write a page of what was trained."""
        facts = {
            "Epochs so far": data.epochs,
            "Started from": data.pretrained_on,
            **{f"Backbone {key}": value for key, value in data.backbone.model_dump().items()},
        }
        text = _html.page("Model after the first phase", _html.facts(facts))
        return {self.write_text("model.html", text): VisualizationType.HTML}


def _facts(data: WarmupModel) -> dict[str, Any]:
    return {
        "backbone": data.backbone.model_dump(),
        "pretrained_on": data.pretrained_on,
        "epochs": data.epochs,
        "trained_by": list(data.trained_by),
    }


def _without_addresses(graph: bytes) -> bytes:
    """The graph with shared objects numbered as they come.

    Keras numbers them by their address in memory, which is another one in every process.
    """
    order: dict[Any, int] = {}

    def numbered(values: dict[str, Any]) -> dict[str, Any]:
        if (address := values.get("shared_object_id")) is not None:
            values["shared_object_id"] = order.setdefault(address, len(order))
        return values

    return json.dumps(json.loads(graph, object_hook=numbered), sort_keys=True).encode()
