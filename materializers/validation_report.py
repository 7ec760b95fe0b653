"""The checks of a data set as an artifact."""

from typing import Any, ClassVar

from zenml.enums import ArtifactType, VisualizationType
from zenml.metadata.metadata_types import MetadataType

from materializers._files import FileMaterializer, text_hash
from skin_lesion.data.checks import ValidationReport


class ValidationReportMaterializer(FileMaterializer):
    """A JSON file; shown as the report's own page."""

    ASSOCIATED_TYPES: ClassVar[tuple[type[Any], ...]] = (ValidationReport,)
    ASSOCIATED_ARTIFACT_TYPE: ClassVar[ArtifactType] = ArtifactType.DATA_ANALYSIS

    def save(self, data: ValidationReport) -> None:
        """Write the report."""
        self.write_text("validation.json", data.model_dump_json(indent=2))

    def load(self, data_type: type[Any]) -> ValidationReport:
        """Read the report."""
        return ValidationReport.model_validate_json(self.read_text("validation.json"))

    def compute_content_hash(self, data: ValidationReport) -> str:
        """Equal reports have equal hashes."""
        return text_hash(data.model_dump_json())

    def extract_metadata(self, data: ValidationReport) -> dict[str, MetadataType]:
        """Whether the data passed, and what failed."""
        return {
            "passed": data.passed,
            "checks": len(data.expectations),
            "critical_failures": [str(failure) for failure in data.critical_failures],
            "warnings": [str(warning) for warning in data.warnings],
        }

    def save_visualizations(self, data: ValidationReport) -> dict[str, VisualizationType]:
        """Write the page."""
        return {self.write_text("validation.html", data.to_html()): VisualizationType.HTML}
