"""The array of all pictures as an artifact."""

import json
from typing import Any, ClassVar

import numpy as np
from zenml.enums import ArtifactType, VisualizationType
from zenml.metadata.metadata_types import MetadataType

from materializers._files import FileMaterializer, workspace
from skin_lesion.data.contact_sheets import contact_sheet
from skin_lesion.data.image_array import ImageArray

_PIXELS = "images.npy"
_SHOWN = 40


class ImageArrayMaterializer(FileMaterializer):
    """One `.npy` file: linked into a local store and mapped in place, copied to a remote one."""

    ASSOCIATED_TYPES: ClassVar[tuple[type[Any], ...]] = (ImageArray,)
    ASSOCIATED_ARTIFACT_TYPE: ClassVar[ArtifactType] = ArtifactType.DATA

    def save(self, data: ImageArray) -> None:
        """Write the array; a local store gets a hard link where that is possible."""
        if self.local_folder:
            data.place_at(self.local_folder / _PIXELS)
        else:
            self.upload(data.path, _PIXELS)
        self.write_text("array.json", json.dumps({"shape": data.shape, "sha256": data.sha256}))

    def load(self, data_type: type[Any]) -> ImageArray:
        """Return a handle; the pixels of a local store stay where they are."""
        facts = json.loads(self.read_text("array.json"))
        n, height, width, channels = facts["shape"]
        shape = (n, height, width, channels)
        if self.local_folder:
            return ImageArray(self.local_folder / _PIXELS, shape, facts["sha256"])
        with workspace() as space:
            handle = ImageArray(
                self.download(_PIXELS, space.path / _PIXELS), shape, facts["sha256"]
            )
            space.belongs_to(handle)
            return handle

    def compute_content_hash(self, data: ImageArray) -> str:
        """The checksum of the file."""
        return data.sha256

    def extract_metadata(self, data: ImageArray) -> dict[str, MetadataType]:
        """How many pictures of which size."""
        n, height, width, _ = data.shape
        return {"images": n, "height": height, "width": width, "sha256": data.sha256}

    def save_visualizations(self, data: ImageArray) -> dict[str, VisualizationType]:
        """Write a contact sheet of pictures spread evenly over the data set."""
        rows = np.unique(np.linspace(0, len(data) - 1, min(_SHOWN, len(data))).astype(int))
        pixels = data.open()
        sheet = contact_sheet(
            [np.asarray(pixels[row]) for row in rows],
            [f"row {row}" for row in rows],
            columns=8,
            title=f"{len(rows)} of {len(data)} pictures as the network sees them",
        )
        return {self.write_bytes("contact_sheet.png", sheet): VisualizationType.IMAGE}
