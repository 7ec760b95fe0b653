"""What a training phase recorded as an artifact."""

from typing import Any, ClassVar

from zenml.enums import ArtifactType, VisualizationType
from zenml.metadata.metadata_types import MetadataType

from materializers._files import FileMaterializer, text_hash
from skin_lesion.evaluation.curves import training_curves
from skin_lesion.modeling.history import History


class HistoryMaterializer(FileMaterializer):
    """A JSON file; shown as curves of loss, accuracy and learning rate."""

    ASSOCIATED_TYPES: ClassVar[tuple[type[Any], ...]] = (History,)
    ASSOCIATED_ARTIFACT_TYPE: ClassVar[ArtifactType] = ArtifactType.DATA_ANALYSIS

    def save(self, data: History) -> None:
        """Write the history."""
        self.write_text("history.json", data.model_dump_json(indent=2))

    def load(self, data_type: type[Any]) -> History:
        """Read the history."""
        return History.model_validate_json(self.read_text("history.json"))

    def compute_content_hash(self, data: History) -> str:
        """Equal histories have equal hashes."""
        return text_hash(data.model_dump_json())

    def extract_metadata(self, data: History) -> dict[str, MetadataType]:
        """What the phase was and how it ended."""
        best = next(record for record in data.records if record.epoch == data.best_epoch)
        return {
            "description": data.description,
            "epochs": len(data.records),
            "best_epoch": data.best_epoch,
            "stopped_early": data.stopped_early,
            "trainable_parameters": data.trainable_parameters,
            "minutes": round(sum(record.seconds for record in data.records) / 60, 1),
            "best": best.metrics,
            "mlflow_run_id": data.mlflow_run_id or "none",
        }

    def save_visualizations(self, data: History) -> dict[str, VisualizationType]:
        """Draw the curves."""
        return {
            self.write_bytes(f"{name}.png", png): VisualizationType.IMAGE
            for name, png in training_curves([data]).items()
        }
