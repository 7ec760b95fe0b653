"""The table of images as an artifact."""

from typing import Any, ClassVar

from zenml.enums import ArtifactType, VisualizationType
from zenml.metadata.metadata_types import MetadataType

from materializers import _html
from materializers._files import FileMaterializer, frame_hash, text_hash
from skin_lesion.data.manifest import Manifest, Provenance
from skin_lesion.labels import DIAGNOSES


class ManifestMaterializer(FileMaterializer):
    """Two Parquet tables and a JSON file; shown as a page of counts and of what was put aside."""

    ASSOCIATED_TYPES: ClassVar[tuple[type[Any], ...]] = (Manifest,)
    ASSOCIATED_ARTIFACT_TYPE: ClassVar[ArtifactType] = ArtifactType.DATA

    def save(self, data: Manifest) -> None:
        """Write the manifest."""
        self.write_frame("images.parquet", data.images)
        self.write_frame("quarantine.parquet", data.quarantine)
        self.write_text("provenance.json", data.provenance.model_dump_json(indent=2))

    def load(self, data_type: type[Any]) -> Manifest:
        """Read the manifest."""
        return Manifest(
            images=self.read_frame("images.parquet"),
            quarantine=self.read_frame("quarantine.parquet"),
            provenance=Provenance.model_validate_json(self.read_text("provenance.json")),
        )

    def compute_content_hash(self, data: Manifest) -> str:
        """Equal manifests have equal hashes, wherever they were made."""
        return text_hash(
            frame_hash(data.images),
            frame_hash(data.quarantine),
            data.provenance.model_dump_json(),
        )

    def extract_metadata(self, data: Manifest) -> dict[str, MetadataType]:
        """How many images of what, and from where."""
        return {
            "images": len(data),
            "lesions": int(data.images["lesion_id"].nunique()),
            "quarantined": len(data.quarantine),
            "images_per_class": {k: int(v) for k, v in data.images["dx"].value_counts().items()},
            "source": data.provenance.name,
            "licence": data.provenance.licence,
            "synthetic": data.provenance.synthetic,
            "fingerprint": data.fingerprint,
        }

    def save_visualizations(self, data: Manifest) -> dict[str, VisualizationType]:
        """Write the page."""
        images = data.images
        classes = images.groupby("dx").agg(
            images=("image_id", "size"),
            lesions=("lesion_id", "nunique"),
            median_age=("age", "median"),
            brightness=("brightness", "mean"),
            contrast=("contrast", "mean"),
        )
        names = {diagnosis.code: diagnosis.name for diagnosis in DIAGNOSES}
        classes.insert(0, "diagnosis", classes.index.map(names.get))
        aside = data.quarantine
        text = _html.page(
            f"Manifest: {data.provenance.name}",
            _html.facts(
                {
                    "Images": len(data),
                    "Lesions": images["lesion_id"].nunique(),
                    "Put aside": len(aside),
                    **{
                        key.replace("_", " ").capitalize(): value
                        for key, value in data.provenance.model_dump().items()
                    },
                    "Fingerprint": data.fingerprint,
                }
            ),
            _html.heading("Classes"),
            _html.frame(classes.reset_index()),
            _html.heading("Sex, site, how the diagnosis was made"),
            *(
                _html.frame(images[column].value_counts().rename("images").reset_index())
                for column in ("sex", "localization", "dx_type")
            ),
            _html.heading("Put aside"),
            _html.frame(aside) if len(aside) else _html.paragraph("No image was put aside."),
        )
        return {self.write_text("manifest.html", text): VisualizationType.HTML}
