"""The augmentation policy and the class weights as an artifact."""

from typing import Any, ClassVar

import pandas as pd
from zenml.enums import ArtifactType, VisualizationType
from zenml.metadata.metadata_types import MetadataType

from materializers import _html
from materializers._files import FileMaterializer, text_hash
from skin_lesion.data.augment import AugmentationPlan
from skin_lesion.labels import LABELS


class AugmentationPlanMaterializer(FileMaterializer):
    """A JSON file; shown as a page of the policy and of the class weights."""

    ASSOCIATED_TYPES: ClassVar[tuple[type[Any], ...]] = (AugmentationPlan,)
    ASSOCIATED_ARTIFACT_TYPE: ClassVar[ArtifactType] = ArtifactType.DATA

    def save(self, data: AugmentationPlan) -> None:
        """Write the plan."""
        self.write_text("plan.json", data.model_dump_json(indent=2))

    def load(self, data_type: type[Any]) -> AugmentationPlan:
        """Read the plan."""
        return AugmentationPlan.model_validate_json(self.read_text("plan.json"))

    def compute_content_hash(self, data: AugmentationPlan) -> str:
        """Equal plans have equal hashes."""
        return text_hash(data.model_dump_json())

    def extract_metadata(self, data: AugmentationPlan) -> dict[str, MetadataType]:
        """Policy and class weights."""
        return {
            "policy": data.policy.model_dump(),
            "class_weights": data.class_weights,
            "train_counts": data.train_counts,
        }

    def save_visualizations(self, data: AugmentationPlan) -> dict[str, VisualizationType]:
        """Write the page."""
        classes = pd.DataFrame(
            [(label, data.train_counts[label], data.class_weights[label]) for label in LABELS],
            columns=["class", "training images", "weight in the loss"],
        )
        text = _html.page(
            "Augmentation",
            _html.paragraph(
                "Pixels are changed on the fly, in training alone; validation and test pictures "
                "stay as they are."
            ),
            _html.facts(data.policy.model_dump()),
            _html.heading("Classes"),
            _html.frame(classes),
        )
        return {self.write_text("plan.html", text): VisualizationType.HTML}
