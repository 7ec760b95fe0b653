"""Everything a served model is, as an artifact."""

from typing import Any, ClassVar

from zenml.enums import ArtifactType, VisualizationType
from zenml.metadata.metadata_types import MetadataType

from materializers import _html
from materializers._files import FileMaterializer, workspace
from skin_lesion.modeling.bundle import SERVING_FILES, ModelBundle

_FILES = ("contract.json", "model.keras", *SERVING_FILES)


class ModelBundleMaterializer(FileMaterializer):
    """The bundle's files as they are; shown as a page of its contract."""

    ASSOCIATED_TYPES: ClassVar[tuple[type[Any], ...]] = (ModelBundle,)
    ASSOCIATED_ARTIFACT_TYPE: ClassVar[ArtifactType] = ArtifactType.MODEL

    def save(self, data: ModelBundle) -> None:
        """Write the bundle."""
        for name in _FILES:
            self.upload(data.path / name, f"bundle/{name}")

    def load(self, data_type: type[Any]) -> ModelBundle:
        """Return a handle; the files of a local store stay where they are."""
        if self.local_folder:
            return ModelBundle.open(self.local_folder / "bundle")
        with workspace() as space:
            for name in _FILES:
                self.download(f"bundle/{name}", space.path / name)
            bundle = ModelBundle.open(space.path)
            space.belongs_to(bundle)
            return bundle

    def compute_content_hash(self, data: ModelBundle) -> str:
        """The bundle's own hash."""
        return data.bundle_hash

    def extract_metadata(self, data: ModelBundle) -> dict[str, MetadataType]:
        """What it is, from what it was made, and how large it is."""
        contract = data.contract
        return {
            "backbone": contract.backbone,
            "pretrained_on": contract.pretrained_on,
            "options": "; ".join(f"{k}: {v}" for k, v in contract.options.items()) or "none",
            "input": f"{contract.input_height} x {contract.input_width}, {contract.resize_mode}",
            "synthetic_only": contract.synthetic_only,
            "licence": contract.licence,
            "parity_max_abs_difference": contract.parity_max_abs_difference,
            "code_version": contract.code_version,
            "bundle_hash": data.bundle_hash,
        }

    def save_visualizations(self, data: ModelBundle) -> dict[str, VisualizationType]:
        """Write a page of the contract."""
        sizes = {name: f"{(data.path / name).stat().st_size / 2**20:.1f} MiB" for name in _FILES}
        text = _html.page(
            "Model bundle",
            _html.facts(data.contract.model_dump()),
            _html.heading("Files"),
            _html.facts(sizes),
        )
        return {self.write_text("bundle.html", text): VisualizationType.HTML}
