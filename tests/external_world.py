"""A model with frozen decisions, and pictures that it was not made with.

Loaded as a plugin by `tests/conftest.py`.
"""

import dataclasses
import hashlib
import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from skin_lesion.data.external import ExternalSet, read_external
from skin_lesion.data.external_labels import read_labels
from skin_lesion.data.seen import SeenPictures
from skin_lesion.decisions import Limits
from skin_lesion.evaluation.external import ExternalReport, evaluate_external, pixel_spec
from skin_lesion.modeling.bundle import SEEN_FILE, ModelBundle
from skin_lesion.settings import ExternalConfig, IngestConfig

CLASSES = ("bkl", "mel", "nv")
MAPPING = {"nevus": "nv", "melanoma": "mel"}


@pytest.fixture(scope="session")
def decided(small_world, small_report, tmp_path_factory) -> ModelBundle:
    target = tmp_path_factory.mktemp("decided") / "bundle"
    decisions = small_report.summary.decisions
    quality = {**decisions.quality, "short_side": Limits()}
    return small_world.bundle.with_decisions(
        decisions.model_copy(update={"quality": quality}),
        small_report.bundle_files | {SEEN_FILE: seen(small_world)},
        target,
    )


def png(picture) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()


def seen(world) -> SeenPictures:
    """As if each picture of the small world had come from a PNG file."""
    checksums = [hashlib.sha256(png(picture)).hexdigest() for picture in world.images.open()]
    manifest = dataclasses.replace(
        world.manifest, images=world.manifest.images.assign(sha256=checksums)
    )
    return SeenPictures.of(manifest, world.images, world.split)


@pytest.fixture(scope="session")
def external_folder(small_world, tmp_path_factory) -> Path:
    """Test pictures of three classes as files, with labels under other names."""
    folder = tmp_path_factory.mktemp("external")
    lines = ["filename,diagnosis,lesion_id"]
    names = {"nv": "Nevus", "mel": "melanoma", "bkl": "bkl"}
    for row in small_world.test_rows:
        dx = small_world.split.rows["dx"].iloc[row]
        if dx in CLASSES:
            name = f"p{row}.png"
            Image.fromarray(small_world.images.open()[row]).save(folder / name)
            lines.append(f"{name},{names[dx]},{small_world.split.rows['lesion_id'].iloc[row]}")
    (folder / "broken.png").write_bytes(b"no picture")
    lines.append("broken.png,nevus,")
    (folder / "labels.csv").write_text("\n".join(lines))
    return folder


@pytest.fixture(scope="session")
def external(decided, external_folder, tmp_path_factory) -> ExternalSet:
    return read(external_folder, decided, tmp_path_factory.mktemp("work"))


def read(folder, bundle, work) -> ExternalSet:
    labels = read_labels(folder / "labels.csv", MAPPING)
    return read_external(folder, labels, pixel_spec(bundle), IngestConfig(workers=1), work)


def report_on(bundle, external, config) -> ExternalReport:
    return evaluate_external(
        bundle, external, config, ExternalConfig(seed=3), data="folder", model="7"
    )


@pytest.fixture(scope="session")
def thorough(quick):
    """So few lesions would not do otherwise."""
    return quick.model_copy(update={"min_checked_lesions": 18})


@pytest.fixture(scope="session")
def external_report(decided, external, thorough) -> ExternalReport:
    return report_on(decided, external, thorough)


@pytest.fixture(scope="session")
def mixed_folder(external_folder, small_world, tmp_path_factory) -> Path:
    """The same with pictures of six lesions that the model has seen, two of each."""
    mixed = tmp_path_factory.mktemp("mixed") / "pictures"
    shutil.copytree(external_folder, mixed)
    lines = []
    rows = small_world.split.rows
    for number, lesion in enumerate(["mel_0", "nv_0", "bkl_0", "mel_9", "nv_9", "bkl_9"]):
        for view, row in enumerate(rows.index[rows["lesion_id"] == lesion]):
            picture = small_world.images.open()[row]
            if number == 0 and view:  # not recognisable by itself
                picture = np.random.default_rng(3).integers(0, 255, picture.shape, np.uint8)
            elif number % 2:
                picture = picture[:, ::-1]
            (mixed / f"{lesion}_{view}.png").write_bytes(png(picture))
            lines.append(f"{lesion}_{view},{rows['dx'].iloc[row]},{lesion}")
    with (mixed / "labels.csv").open("a") as file:
        file.write("\n" + "\n".join(lines))
    return mixed


@pytest.fixture(scope="session")
def mixed_report(mixed_folder, decided, thorough, tmp_path_factory) -> ExternalReport:
    external = read(mixed_folder, decided, tmp_path_factory.mktemp("work"))
    return report_on(decided, external, thorough)


def without_lesions(external, rows) -> ExternalSet:
    """The same where the lesions of some rows are not named."""
    table = external.table.copy()
    table.loc[rows, "lesion_named"] = False
    table.loc[rows, "lesion_id"] = "picture:" + table.loc[rows, "image_id"]
    return dataclasses.replace(external, table=table)
