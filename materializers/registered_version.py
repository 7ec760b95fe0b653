"""The registered model version as an artifact."""

from typing import Any, ClassVar

from zenml.enums import ArtifactType, VisualizationType
from zenml.metadata.metadata_types import MetadataType

from materializers import _html
from materializers._files import FileMaterializer, text_hash
from skin_lesion.registry import RegisteredVersion


class RegisteredVersionMaterializer(FileMaterializer):
    """A JSON file; shown as a page that says how to load the model."""

    ASSOCIATED_TYPES: ClassVar[tuple[type[Any], ...]] = (RegisteredVersion,)
    ASSOCIATED_ARTIFACT_TYPE: ClassVar[ArtifactType] = ArtifactType.SERVICE

    def save(self, data: RegisteredVersion) -> None:
        """Write the record."""
        self.write_text("version.json", data.model_dump_json(indent=2))

    def load(self, data_type: type[Any]) -> RegisteredVersion:
        """Read the record."""
        return RegisteredVersion.model_validate_json(self.read_text("version.json"))

    def compute_content_hash(self, data: RegisteredVersion) -> str:
        """Equal records have equal hashes."""
        return text_hash(data.model_dump_json())

    def extract_metadata(self, data: RegisteredVersion) -> dict[str, MetadataType]:
        """Which version of which model."""
        return {**data.model_dump(exclude={"tags"}), **data.tags}

    def save_visualizations(self, data: RegisteredVersion) -> dict[str, VisualizationType]:
        """Write the page."""
        text = _html.page(
            f"{data.name}, version {data.version}",
            _html.paragraph(
                "Registered now." if data.created else "The same model was registered before."
            ),
            _html.facts({"Load with": f"mlflow.pyfunc.load_model('{data.uri}')", **data.tags}),
        )
        return {self.write_text("version.html", text): VisualizationType.HTML}
