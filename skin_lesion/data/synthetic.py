"""The embedded data set: dermatoscope-like pictures drawn from a seed.

It lets a fresh clone run every part of the project without the real, non-commercially licensed
images. No picture shows a real patient, and a model trained on them knows nothing of real skin.
"""

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from skin_lesion.data.lesion_drawing import draw_skin
from skin_lesion.data.parallel import map_chunks
from skin_lesion.data.skin_canvas import Field
from skin_lesion.labels import LABELS
from skin_lesion.settings import SyntheticConfig

Pixels = NDArray[np.uint8]

METADATA_NAME = "HAM10000_metadata.csv"
MARKER_NAME = "SYNTHETIC.txt"
_FOLDER = "HAM10000_images_part_1"
_MARKER_TEXT = "These pictures were drawn by a program. None of them shows a real patient.\n"
_JPEG_QUALITY = 95
_SKIN_RESOLUTION = 0.8
_CHUNK_LESIONS = 16
# Share of the possible further pictures of a lesion that are taken: 1.43 a lesion, 1.34 in HAM10000.
_FURTHER_PICTURE = 0.43


@dataclass(frozen=True)
class _Patients:
    """Who has lesions of a class: mean age and its spread, share of men, sites and proofs."""

    age: tuple[float, float]
    male: float
    sites: tuple[str, ...]
    proofs: tuple[str, ...]


# Roughly the distributions of HAM10000; a value that is there twice is drawn twice as often.
_PATIENTS: dict[str, _Patients] = {
    "akiec": _Patients(
        (66, 11), 0.67, ("face", "face", "scalp", "ear", "upper extremity"), ("histo",)
    ),
    "bcc": _Patients((67, 12), 0.62, ("back", "face", "face", "chest", "neck"), ("histo",)),
    "bkl": _Patients(
        (63, 14),
        0.58,
        ("back", "face", "trunk", "lower extremity"),
        ("histo", "histo", "consensus", "confocal"),
    ),
    "df": _Patients(
        (52, 12),
        0.45,
        ("lower extremity", "lower extremity", "upper extremity"),
        ("histo", "consensus"),
    ),
    "mel": _Patients(
        (61, 14), 0.62, ("back", "back", "lower extremity", "upper extremity", "chest"), ("histo",)
    ),
    "nv": _Patients(
        (46, 16),
        0.49,
        ("trunk", "back", "abdomen", "lower extremity", "foot"),
        ("follow_up", "follow_up", "histo", "consensus"),
    ),
    "vasc": _Patients(
        (51, 18), 0.49, ("trunk", "abdomen", "back", "chest"), ("consensus", "histo")
    ),
}


@dataclass(frozen=True, slots=True)
class _Task:
    """Pictures of one lesion to draw.

    Attributes:
        lesion: Number of the lesion.
        label: Its diagnosis.
        views: Numbers and image ids of its pictures.
    """

    lesion: int
    label: str
    views: tuple[tuple[int, str], ...]


def synthetic_metadata(config: SyntheticConfig, seed: int) -> pd.DataFrame:
    """The table of the embedded data set, in the columns of HAM10000.

    A lesion is the same whatever number of lesions is asked for.
    """
    rows = []
    for lesion in range(config.lesions_per_class * len(LABELS)):
        label = LABELS[lesion % len(LABELS)]
        random = _random(seed, lesion, 0)
        patients = _PATIENTS[label]
        age = np.clip(5 * round(float(random.normal(*patients.age)) / 5), 5, 85)
        known_age, known_sex = random.random(2) > 0.006
        row = {
            "lesion_id": f"SYN_{lesion:07d}",
            "dx": label,
            "dx_type": str(random.choice(patients.proofs)),
            "age": f"{age:.1f}" if known_age else "",
            "sex": ("male" if random.random() < patients.male else "female")
            if known_sex
            else "unknown",
            "localization": str(random.choice(patients.sites)),
        }
        views = 1 + int(random.binomial(config.max_images_per_lesion - 1, _FURTHER_PICTURE))
        rows += [row | {"image_id": f"SYN_{lesion:07d}_{view}"} for view in range(views)]
    return pd.DataFrame(rows)


def write_synthetic(
    path: Path, metadata: pd.DataFrame, config: SyntheticConfig, seed: int, workers: int = 0
) -> None:
    """Draw pictures and write them as a zip in the Kaggle layout.

    Args:
        path: The zip.
        metadata: Rows of `synthetic_metadata` to draw.
        config: Size of the pictures.
        seed: Draws other lesions.
        workers: Drawing processes; 0 means one a core.
    """
    tasks = [
        _Task(
            int(str(lesion_id).removeprefix("SYN_")),
            str(rows["dx"].iloc[0]),
            tuple((int(name.rsplit("_", 1)[1]), name) for name in rows["image_id"]),
        )
        for lesion_id, rows in metadata.groupby("lesion_id", sort=True)
    ]
    chunks = [tasks[i : i + _CHUNK_LESIONS] for i in range(0, len(tasks), _CHUNK_LESIONS)]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        _add(archive, MARKER_NAME, _MARKER_TEXT.encode())
        _add(archive, METADATA_NAME, metadata.to_csv(index=False).encode())
        for part in map_chunks(partial(_draw, config=config, seed=seed), chunks, workers):
            for image_id, data in part:
                _add(archive, f"{_FOLDER}/{image_id}.jpg", data)


def draw_lesion(
    label: str, lesion: int, views: Sequence[int], config: SyntheticConfig, seed: int
) -> list[Pixels]:
    """Draw pictures of one lesion, each framed, turned and lit in its own way.

    Args:
        label: Its diagnosis.
        lesion: Its number; each number is another lesion.
        views: Numbers of the pictures.
        config: Size of the pictures.
        seed: Draws other lesions.

    Returns:
        uint8 (height, width, 3) for each view.
    """
    # Skin is a little softer than the hair above it, as through a lens, and cheaper to draw so.
    skin = draw_skin(label, _SKIN_RESOLUTION * config.height, _random(seed, lesion, 1))
    return [_photograph(skin, config, _random(seed, lesion, 2 + view)) for view in views]


def _random(seed: int, lesion: int, purpose: int) -> np.random.Generator:
    return np.random.default_rng([abs(seed), int(seed < 0), lesion, purpose])


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    # A fixed date: the same seed gives the same file, byte for byte.
    archive.writestr(zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0)), data)


def _draw(tasks: Sequence[_Task], config: SyntheticConfig, seed: int) -> list[tuple[str, bytes]]:
    pictures = []
    for task in tasks:
        views = [view for view, _ in task.views]
        drawn = draw_lesion(task.label, task.lesion, views, config, seed)
        for (_, image_id), pixels in zip(task.views, drawn, strict=True):
            buffer = io.BytesIO()
            Image.fromarray(pixels).save(buffer, "JPEG", quality=_JPEG_QUALITY)
            pictures.append((image_id, buffer.getvalue()))
    return pictures


def _photograph(skin: Field, config: SyntheticConfig, random: np.random.Generator) -> Pixels:
    """Frame, turn and light a piece of skin, with what gets in the way."""
    light = _frame(skin, config, random)
    height, width = config.height, config.width
    y, x = np.ogrid[0:height, 0:width]
    y, x = (y - (height - 1) / 2) / height, (x - (width - 1) / 2) / height
    lean, turn = random.uniform(0.0, 0.22), random.uniform(0, 2 * np.pi)
    fall = 1 - random.uniform(0.0, 0.35) * (x * x + y * y)
    light *= (fall * (1 + lean * (x * np.cos(turn) + y * np.sin(turn))))[..., None]
    light *= random.uniform(0.82, 1.08) * (1 + random.normal(0, 0.02, 3))
    if random.random() < 0.45:
        _lay(light, _hair(config, random), np.array(random.choice(_HAIR_COLOURS)))
    if random.random() < 0.15:
        _lay(light, _ruler(config, random), np.array((40.0, 38.0, 42.0)))
    if random.random() < 0.25:
        _lay(light, _bubbles(config, random), np.array((255.0, 252.0, 248.0)))
    if random.random() < 0.25:
        middle_y, middle_x = random.normal(0, 0.04, 2)
        edge = random.uniform(0.58, 0.78) - np.hypot(y - middle_y, x - middle_x)
        light *= np.clip(edge / random.uniform(0.01, 0.05) + 0.5, 0.04, 1)[..., None]
    light += random.normal(0, random.uniform(1.0, 2.5), (height, width, 1))
    return np.clip(np.rint(light), 0, 255).astype(np.uint8)


_HAIR_COLOURS = [(38.0, 28.0, 24.0), (70.0, 48.0, 34.0), (120.0, 92.0, 66.0)]


def _frame(skin: Field, config: SyntheticConfig, random: np.random.Generator) -> Field:
    """Cut a picture out of the skin, turned and zoomed; float64 (height, width, 3)."""
    margin = skin.shape[0] // 3
    sheet = np.pad(
        np.rint(skin).astype(np.uint8), [(margin, margin), (margin, margin), (0, 0)], "reflect"
    )
    turn, zoom = random.uniform(0, 2 * np.pi), random.uniform(0.88, 1.15)
    step = _SKIN_RESOLUTION / zoom
    cosine, sine = np.cos(turn) * step, np.sin(turn) * step
    shift = random.normal(0, 0.04 * _SKIN_RESOLUTION * config.height, 2)
    middle = (sheet.shape[0] - 1) / 2 + shift
    half_width, half_height = (config.width - 1) / 2, (config.height - 1) / 2
    matrix = (
        cosine,
        -sine,
        middle[0] - cosine * half_width + sine * half_height,
        sine,
        cosine,
        middle[1] - sine * half_width - cosine * half_height,
    )
    picture = Image.fromarray(sheet).transform(
        (config.width, config.height), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR
    )
    return np.asarray(picture, dtype=np.float64).copy()


def _lay(light: Field, opacity: Field, colour: Field) -> None:
    light += opacity[..., None] * (colour - light)


def _sheet(config: SyntheticConfig) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    sheet = Image.new("L", (2 * config.width, 2 * config.height))
    return sheet, ImageDraw.Draw(sheet)


def _opacity(sheet: Image.Image, strength: float) -> Field:
    return np.asarray(sheet.reduce(2), dtype=np.float64) * (strength / 255)


def _hair(config: SyntheticConfig, random: np.random.Generator) -> Field:
    """Curved hairs of about one direction."""
    sheet, pen = _sheet(config)
    size = np.array([2 * config.width, 2 * config.height])
    t = np.linspace(0, 1, 12)[:, None]
    direction = random.uniform(0, np.pi)
    for _ in range(int(random.integers(2, 14))):
        heading = direction + random.normal(0, 0.35)
        step = np.array([np.cos(heading), np.sin(heading)]) * random.uniform(0.4, 1.1) * size[1]
        middle = random.uniform(0, 1, 2) * size
        bend = middle + random.normal(0, 0.08, 2) * size
        path = (1 - t) ** 2 * (middle - step) + 2 * t * (1 - t) * bend + t**2 * (middle + step)
        thickness = max(1, round(random.uniform(0.006, 0.014) * size[1]))
        pen.line([tuple(point) for point in path.tolist()], fill=255, width=thickness)
    return _opacity(sheet, random.uniform(0.6, 0.9))


def _ruler(config: SyntheticConfig, random: np.random.Generator) -> Field:
    """Marks of a scale along one edge."""
    sheet, pen = _sheet(config)
    width, height = sheet.size
    pitch = random.uniform(0.06, 0.1) * height
    at_bottom = random.random() < 0.5
    along = width if at_bottom else height
    for mark in range(int(along / pitch) + 1):
        length = round((0.12 if mark % 5 == 0 else 0.06) * height)
        place, thickness = round(mark * pitch), max(2, height // 100)
        if at_bottom:
            pen.line([(place, height), (place, height - length)], fill=255, width=thickness)
        else:
            pen.line([(0, place), (length, place)], fill=255, width=thickness)
    return _opacity(sheet, 0.85)


def _bubbles(config: SyntheticConfig, random: np.random.Generator) -> Field:
    """Bubbles in the contact gel: bright rings."""
    sheet, pen = _sheet(config)
    width, height = sheet.size
    for _ in range(int(random.integers(1, 7))):
        radius = random.uniform(0.012, 0.045) * height
        x, y = random.uniform(0, width), random.uniform(0, height)
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), outline=200, width=2)
        pen.ellipse((x - radius / 2, y - radius / 2, x - radius / 4, y - radius / 4), fill=255)
    return _opacity(sheet, random.uniform(0.5, 0.9))
