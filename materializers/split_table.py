"""The split as an artifact."""

from typing import Any, ClassVar

from zenml.enums import ArtifactType, VisualizationType
from zenml.metadata.metadata_types import MetadataType

from materializers._files import FileMaterializer, frame_hash, text_hash
from skin_lesion.data.splits import SPLITS, LeakReport, SplitTable
from skin_lesion.data.splits_views import split_page


class SplitTableMaterializer(FileMaterializer):
    """A Parquet table and the leak report; shown as a page of counts and of what was checked."""

    ASSOCIATED_TYPES: ClassVar[tuple[type[Any], ...]] = (SplitTable,)
    ASSOCIATED_ARTIFACT_TYPE: ClassVar[ArtifactType] = ArtifactType.DATA

    def save(self, data: SplitTable) -> None:
        """Write the split."""
        self.write_frame("split.parquet", data.rows)
        self.write_text("leak_report.json", data.leak_report.model_dump_json(indent=2))

    def load(self, data_type: type[Any]) -> SplitTable:
        """Read the split."""
        return SplitTable(
            rows=self.read_frame("split.parquet"),
            leak_report=LeakReport.model_validate_json(self.read_text("leak_report.json")),
        )

    def compute_content_hash(self, data: SplitTable) -> str:
        """Equal splits have equal hashes."""
        return text_hash(frame_hash(data.rows), data.leak_report.model_dump_json())

    def extract_metadata(self, data: SplitTable) -> dict[str, MetadataType]:
        """Sizes and what was checked."""
        report = data.leak_report
        return {
            "images": {split: report.images[split] for split in SPLITS},
            "lesion_groups": {split: report.groups[split] for split in SPLITS},
            "groups_crossing_splits": report.groups_crossing,
            "duplicates_crossing_splits": report.duplicates_crossing,
            "duplicate_pairs_merged": report.merged_pairs,
            "duplicate_pairs_left_apart": report.unmerged_pairs,
            "split_hash": data.split_hash,
        }

    def save_visualizations(self, data: SplitTable) -> dict[str, VisualizationType]:
        """Write the page."""
        return {self.write_text("split.html", split_page(data)): VisualizationType.HTML}
