"""A finished batch of predictions as an artifact."""

from typing import Any, ClassVar

from zenml.enums import ArtifactType, VisualizationType
from zenml.metadata.metadata_types import MetadataType

from materializers._files import FileMaterializer, text_hash, workspace
from skin_lesion.batch.result import PAGE, SUMMARY, TABLES, BatchResult

_FILES = (*TABLES, PAGE, SUMMARY)


class BatchResultMaterializer(FileMaterializer):
    """The tables as they are; shown as the batch's own page."""

    ASSOCIATED_TYPES: ClassVar[tuple[type[Any], ...]] = (BatchResult,)
    ASSOCIATED_ARTIFACT_TYPE: ClassVar[ArtifactType] = ArtifactType.DATA

    def save(self, data: BatchResult) -> None:
        """Copy the tables."""
        for name in _FILES:
            self.upload(data.path / name, name)

    def load(self, data_type: type[Any]) -> BatchResult:
        """Return a handle; the files of a local store stay where they are."""
        if self.local_folder:
            return BatchResult.open(self.local_folder)
        with workspace() as space:
            for name in _FILES:
                self.download(name, space.path / name)
            result = BatchResult.open(space.path)
            space.belongs_to(result)
            return result

    def compute_content_hash(self, data: BatchResult) -> str:
        """Equal tables by the same model have equal hashes, whenever they were made."""
        return text_hash(data.summary.model_dump_json(exclude={"finished"}))

    def extract_metadata(self, data: BatchResult) -> dict[str, MetadataType]:
        """How many pictures came to what."""
        summary = data.summary
        return {
            "pictures": summary.inputs,
            "statuses": dict(summary.statuses),
            "reasons": dict(summary.reasons),
            "classes": dict(summary.classes),
            "suspicious": dict(summary.suspicious),
            "model": str(summary.model),
            "synthetic_only": summary.model.synthetic_only,
            "source": summary.source,
            "source_fingerprint": summary.source_fingerprint,
        }

    def save_visualizations(self, data: BatchResult) -> dict[str, VisualizationType]:
        """Show the page that was copied."""
        return {self.address(PAGE): VisualizationType.HTML}
