"""What was measured on a model, as an artifact."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from zenml.enums import ArtifactType, VisualizationType
from zenml.metadata.metadata_types import MetadataType

from materializers._files import FileMaterializer, frame_hash, text_hash
from skin_lesion.data.seen import SeenPictures
from skin_lesion.drift.reference import DriftReference
from skin_lesion.evaluation.report import EvaluationReport
from skin_lesion.evaluation.summary import ReportSummary
from skin_lesion.ood import OodReference

Content = TypeVar("Content")
# What goes along with the model, each where there is such a thing.
REFERENCE, SEEN, DRIFT = "ood.npz", "seen.npz", "drift.npz"


class EvaluationReportMaterializer(FileMaterializer):
    """`report.json`, predictions as Parquet, figures, reference; shown as the report's own page."""

    ASSOCIATED_TYPES: ClassVar[tuple[type[Any], ...]] = (EvaluationReport,)
    ASSOCIATED_ARTIFACT_TYPE: ClassVar[ArtifactType] = ArtifactType.DATA_ANALYSIS

    def save(self, data: EvaluationReport) -> None:
        """Write the report."""
        self.write_text("report.json", data.summary.model_dump_json(indent=2))
        self.write_frame("predictions.parquet", data.predictions)
        self.write_text("figures.json", json.dumps(list(data.figures)))
        for name, content in ((REFERENCE, data.reference), (SEEN, data.seen), (DRIFT, data.drift)):
            if content is not None:
                with tempfile.TemporaryDirectory(prefix="skin-lesion-") as folder:
                    content.save(Path(folder) / name)
                    self.upload(Path(folder) / name, name)
        for name, png in data.figures.items():
            self.write_bytes(f"{name}.png", png)

    def load(self, data_type: type[Any]) -> EvaluationReport:
        """Read the report."""
        names = json.loads(self.read_text("figures.json"))
        return EvaluationReport(
            summary=ReportSummary.model_validate_json(self.read_text("report.json")),
            predictions=self.read_frame("predictions.parquet"),
            figures={name: self.read_bytes(f"{name}.png") for name in names},
            reference=self._read(REFERENCE, OodReference.load),
            seen=self._read(SEEN, SeenPictures.load),
            drift=self._read(DRIFT, DriftReference.load),
        )

    def _read(self, name: str, load: Callable[[Path], Content]) -> Content | None:
        if not self.artifact_store.exists(self.address(name)):
            return None
        with tempfile.TemporaryDirectory(prefix="skin-lesion-") as folder:
            return load(self.download(name, Path(folder) / name))

    def compute_content_hash(self, data: EvaluationReport) -> str:
        """Equal figures and predictions have equal hashes; the drawings follow from them.

        Where the look stands in the ledger is left out: measured anew, it is another look.
        """
        summary = data.summary.model_dump_json(exclude={"looks"})
        return text_hash(summary, frame_hash(data.predictions))

    def extract_metadata(self, data: EvaluationReport) -> dict[str, MetadataType]:
        """The figures of the test split."""
        test = data.summary.test.model_dump(exclude={"confusion", "absent_classes", "intervals"})
        per_class = test.pop("per_class")
        return {
            "test": {name: value for name, value in test.items() if value is not None},
            "test_recall": {label: figures["recall"] for label, figures in per_class.items()},
            "calibration": data.summary.decisions.calibrator.method,
            "synthetic_only": data.summary.synthetic_only,
        }

    def save_visualizations(self, data: EvaluationReport) -> dict[str, VisualizationType]:
        """Write the page; the figures show themselves too."""
        figures = {self.address(f"{name}.png"): VisualizationType.IMAGE for name in data.figures}
        page = self.write_text("report.html", data.to_html())
        return {page: VisualizationType.HTML, **figures}
