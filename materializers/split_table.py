"""The split as an artifact."""

from typing import Any, ClassVar

from zenml.enums import ArtifactType, VisualizationType
from zenml.metadata.metadata_types import MetadataType

from materializers import _html
from materializers._files import FileMaterializer, frame_hash, text_hash
from skin_lesion.data.pages import cards, mark, page, table
from skin_lesion.data.split_table import SPLITS, LeakReport, SplitTable
from skin_lesion.labels import LABELS


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
            "duplicate_pairs_in_separate_groups": report.unmerged_pairs,
            "split_hash": data.split_hash,
        }

    def save_visualizations(self, data: SplitTable) -> dict[str, VisualizationType]:
        """Write the page."""
        return {self.write_text("split.html", _page(data)): VisualizationType.HTML}


def _page(data: SplitTable) -> str:
    report = data.leak_report
    leaks = report.groups_crossing + report.lesions_crossing + report.duplicates_crossing
    total = sum(report.images.values())
    deviations = report.class_share_deviation
    rows = [
        [
            label,
            *(f"{report.class_counts[name][label]:,}" for name in SPLITS),
            *(f"{100 * deviations[name][label]:+.2f}" for name in SPLITS),
        ]
        for label in LABELS
    ]
    worst = max(abs(share) for shares in deviations.values() for share in shares.values())
    sizes = [
        (
            f"{report.images[name]:,}",
            f"{name} images ({report.images[name] / total:.1%}), {report.groups[name]:,} groups",
        )
        for name in SPLITS
    ]
    return page(
        "Split by lesion",
        [
            mark("bad", f"{leaks} leaks between splits")
            if leaks
            else mark("good", "No lesion, lesion group or confirmed duplicate crosses splits"),
            cards([*sizes, (f"{100 * worst:.2f}", "largest deviation of a class, in points")]),
            _html.heading(
                "Images of each class, and its share in the split less that in the whole"
            ),
            table(
                ["Class", *SPLITS, *(f"{name}, points" for name in SPLITS)],
                rows,
                numbers=frozenset(range(1, 7)),
            ),
            _html.heading("Near-duplicates across lesion ids"),
            _html.paragraph(
                f"{report.merged_pairs} pairs were merged into one group before splitting; "
                f"{report.unmerged_pairs} lie in one split, though in separate groups, by the bound on "
                "group size."
            ),
            _html.facts({"Split hash": data.split_hash}),
        ],
    )
