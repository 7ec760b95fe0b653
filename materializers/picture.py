"""A picture for people as an artifact of its own."""

import hashlib
from dataclasses import dataclass
from typing import Any, ClassVar

from zenml.enums import ArtifactType, VisualizationType

from materializers._files import FileMaterializer


@dataclass(frozen=True)
class Picture:
    """A PNG that shows what a step did; no other step reads it.

    Attributes:
        png: The encoded picture.
    """

    png: bytes


class PictureMaterializer(FileMaterializer):
    """One `.png` file."""

    ASSOCIATED_TYPES: ClassVar[tuple[type[Any], ...]] = (Picture,)
    ASSOCIATED_ARTIFACT_TYPE: ClassVar[ArtifactType] = ArtifactType.DATA_ANALYSIS

    def save(self, data: Picture) -> None:
        """Write the picture."""
        self.write_bytes("picture.png", data.png)

    def load(self, data_type: type[Any]) -> Picture:
        """Read the picture."""
        return Picture(self.read_bytes("picture.png"))

    def compute_content_hash(self, data: Picture) -> str:
        """The checksum of the file."""
        return hashlib.sha256(data.png).hexdigest()

    def save_visualizations(self, data: Picture) -> dict[str, VisualizationType]:
        """The picture shows itself."""
        return {self.address("picture.png"): VisualizationType.IMAGE}
