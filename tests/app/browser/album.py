"""Pictures that people bring: of the small world, and those that nobody can assess."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.small_world import SmallWorld

# As large as the least that the model accepts, with room, and of its input's shape.
_WIDE, _HIGH = 256, 192
# The small world's own noise is that of a blurred picture.
_CONTRAST = 2.2


@dataclass(frozen=True)
class File:
    """A file to upload.

    Attributes:
        name: Of it.
        data: Its contents.
        mime: What a browser calls its kind.
    """

    name: str
    data: bytes
    mime: str = "image/jpeg"

    def upload(self) -> dict[str, Any]:
        """As Playwright wants it."""
        return {"name": self.name, "mimeType": self.mime, "buffer": self.data}


def encoded(pixels: NDArray[np.uint8], kind: str = "JPEG") -> bytes:
    """A picture as a file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format=kind)
    return buffer.getvalue()


@dataclass(frozen=True)
class Album:
    """Where the pictures come from.

    Attributes:
        world: The small world; its model is the one that reads.
    """

    world: SmallWorld

    def pixels(self, number: int) -> NDArray[np.uint8]:
        """A picture that the model of the small world assesses."""
        small = self.world.images.open()[number].astype(np.float64)
        mean = small.mean(axis=(0, 1))
        clear = np.clip(mean + _CONTRAST * (small - mean), 0, 255).astype(np.uint8)
        image = Image.fromarray(clear).resize((_WIDE, _HIGH), Image.Resampling.NEAREST)
        return np.asarray(image)

    def lesion(self, number: int = 2, name: str = "", kind: str = "JPEG") -> File:
        """A file that is assessed."""
        extension = {"JPEG": "jpg"}.get(kind, kind.lower())
        name = name or f"lesion-{number}.{extension}"
        return File(name, encoded(self.pixels(number), kind), f"image/{kind.lower()}")

    def dicom(self, number: int = 2) -> File:
        """The same in a file of a hospital, with the name of a patient."""
        from pydicom import Dataset, FileMetaDataset
        from pydicom.uid import ExplicitVRLittleEndian

        pixels, dataset = self.pixels(number), Dataset()
        dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.77.1.4.1"
        dataset.SOPInstanceUID, dataset.PatientName = "1.2.3.4", "DOE^JOHN"
        dataset.Rows, dataset.Columns = pixels.shape[:2]
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 3, "RGB"
        dataset.PlanarConfiguration, dataset.PixelRepresentation = 0, 0
        dataset.BitsAllocated = dataset.BitsStored = 8
        dataset.HighBit, dataset.PixelData = 7, pixels.tobytes()
        dataset["PixelData"].VR = "OB"
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        buffer = io.BytesIO()
        dataset.save_as(buffer, enforce_file_format=True)
        return File("scan.dcm", buffer.getvalue(), "application/dicom")

    @staticmethod
    def black() -> File:
        """The lens cap is on."""
        return File("black.jpg", encoded(np.zeros((_HIGH, _WIDE, 3), np.uint8)))

    @staticmethod
    def noise() -> File:
        """No picture of anything."""
        random = np.random.default_rng(5)
        return File("noise.jpg", encoded(random.integers(0, 256, (_HIGH, _WIDE, 3), np.uint8)))

    @staticmethod
    def text() -> File:
        """Something else under the name of a picture."""
        return File("notes.jpg", b"This is no picture at all.\n" * 20)


def on_disk(folder: Path, file: File) -> Path:
    """The same file, for a file dialog."""
    path = folder / file.name
    path.write_bytes(file.data)
    return path
