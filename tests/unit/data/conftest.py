"""Small data sets in the Kaggle layout, written on the spot."""

import io
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from skin_lesion.data.sources import Source, open_source
from skin_lesion.labels import LABELS
from skin_lesion.settings import IngestConfig, SourceConfig, SyntheticConfig

SYNTHETIC = SyntheticConfig(lesions_per_class=3, height=32, width=40)


def encode(pixels: NDArray[np.uint8], file_format: str = "JPEG", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, file_format, **options)
    return buffer.getvalue()


def smooth_pixels(seed: int, height: int, width: int) -> NDArray[np.uint8]:
    """A soft random picture that looks alike at any size."""
    knots = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(knots).resize((width, height), Image.Resampling.BICUBIC))


@dataclass
class DataSet:
    """Files of a data set, to be changed by a test and then written as a folder or a zip."""

    files: dict[str, bytes] = field(default_factory=dict)
    rows: list[dict[str, str]] = field(default_factory=list)

    @classmethod
    def of_lesions(cls, lesions: int = 14, height: int = 30, width: int = 40) -> "DataSet":
        """Two pictures of each lesion; lesion i has the class i modulo 7."""
        data = cls()
        for lesion in range(lesions):
            for view in range(2):
                image_id = f"ISIC_{2 * lesion + view:07d}"
                data.add(image_id, f"HAM_{lesion:07d}", LABELS[lesion % len(LABELS)])
                pixels = smooth_pixels(2 * lesion + view, height, width)
                data.files[f"HAM10000_images_part_{view + 1}/{image_id}.jpg"] = encode(pixels)
        return data

    def add(self, image_id: str, lesion_id: str, dx: str, age: str = "45.0") -> None:
        self.rows.append({
            "lesion_id": lesion_id, "image_id": image_id, "dx": dx, "dx_type": "histo",
            "age": age, "sex": "male", "localization": "back",
        })  # fmt: skip

    def name_of(self, image_id: str) -> str:
        return next(name for name in self.files if image_id in name)

    def table(self, delimiter: str = ",") -> bytes:
        lines = [delimiter.join(self.rows[0])]
        lines += [delimiter.join(row.values()) for row in self.rows]
        return "\n".join(lines).encode()

    def everything(self) -> dict[str, bytes]:
        return {"HAM10000_metadata.csv": self.table()} | self.files

    def write_folder(self, folder: Path) -> Path:
        for name, data in self.everything().items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return folder

    def write_zip(self, path: Path, method: int = zipfile.ZIP_STORED) -> Path:
        with zipfile.ZipFile(path, "w", method) as archive:
            for name, data in self.everything().items():
                archive.writestr(name, data)
        return path


@pytest.fixture
def data_set() -> DataSet:
    return DataSet.of_lesions()


@pytest.fixture(autouse=True)
def no_path_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HAM10000_PATH", raising=False)


def local(path: Path) -> SourceConfig:
    return SourceConfig(kind="local", path=str(path))


def contents(config: SourceConfig, seed: int = 0) -> tuple[Source, dict[str, bytes]]:
    with open_source(config, IngestConfig(), seed) as source:
        return source, {name: source.read(name) for name in source.metadata["image_id"]}
