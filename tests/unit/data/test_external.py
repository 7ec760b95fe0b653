import hashlib
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from skin_lesion.data.archives import SourceError
from skin_lesion.data.external import read_external
from skin_lesion.data.external_labels import read_labels
from skin_lesion.data.images import PixelSpec, read_pixels
from skin_lesion.settings import IngestConfig

SPEC = PixelSpec(height=24, width=32, resize_mode="stretch", source_height=48, source_width=64)


def jpeg(seed: int, width: int = 64, height: int = 48) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def labels_file(folder: Path, text: str) -> Path:
    path = folder / "labels.csv"
    path.write_text(text)
    return path


@pytest.mark.parametrize("packed", [False, True])
def test_pictures_are_read_as_serving_reads_them(packed: bool, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    (folder / "sub").mkdir(parents=True)
    files = {"a.jpg": jpeg(1), "sub/b.JPG": jpeg(2, 256, 192), "c.jpg": b"\xff\xd8 no picture"}
    for name, data in files.items():
        (folder / name).write_bytes(data)
    pictures = folder
    if packed:
        pictures = tmp_path / "pictures.zip"
        with zipfile.ZipFile(pictures, "w") as archive:
            for name, data in files.items():
                archive.writestr(name, data)
    labels = read_labels(labels_file(tmp_path, "image,dx\na,nv\nb,mel\nc,nv\nd,df\n"), {})
    found = read_external(pictures, labels, SPEC, IngestConfig(workers=1), tmp_path)
    assert found.table["image_id"].tolist() == ["a", "b"]
    assert found.classes == ("mel", "nv")
    assert found.n_lesion_named == 0
    assert found.table[["height", "width"]].to_numpy().tolist() == [[48, 64], [192, 256]]
    assert dict(zip(found.put_aside["image_id"], found.put_aside["reason"], strict=True)) == {
        "c": "unreadable",
        "d": "missing",
    }
    for row, name in enumerate(("a.jpg", "sub/b.JPG")):
        np.testing.assert_array_equal(found.pixels[row], read_pixels(files[name], SPEC))


@pytest.mark.parametrize("packed", [False, True])
def test_what_is_not_measured_is_listed_with_its_reason(packed: bool, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    files = {
        "a.jpg": jpeg(1), "a.png": jpeg(2), "scc.jpg": jpeg(3), "stray.jpg": jpeg(4),
        "LICENCE.txt": b"free", "broken.jpg": b"",
    }  # fmt: skip
    for name, data in files.items():
        (folder / name).write_bytes(data)
    text = "image,dx\na,nv\nbroken,mel\ngone,df\nscc,scc\nnone,\n"
    labels = read_labels(labels_file(folder, text), {"scc": ""})
    pictures = folder
    if packed:
        pictures = tmp_path / "pictures.zip"
        with zipfile.ZipFile(pictures, "w") as archive:
            for name, data in files.items():
                archive.writestr(f"deep/{name}", data)
    found = read_external(pictures, labels, SPEC, IngestConfig(workers=1), tmp_path)
    assert found.table["image_id"].tolist() == ["a"]
    assert found.table["sha256"].tolist() == [hashlib.sha256(files["a.jpg"]).hexdigest()]
    assert found.put_aside[["image_id", "reason"]].to_numpy().tolist() == [
        ["broken", "empty"],
        ["scc", "left_out"],
        ["gone", "missing"],
        ["none", "undiagnosed"],
        ["LICENCE.txt", "unlabelled"],
        ["stray", "unlabelled"],
        ["a", "unused"],
    ]
    assert "a.jpg was taken" in found.put_aside["detail"].iloc[-1]


def test_the_same_file_under_two_names_counts_once(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2), ("d", 3), ("e", 3)):
        (tmp_path / f"{name}.jpg").write_bytes(jpeg(seed))
    text = "image,dx\na,nv\nb,nv\nc,mel\nd,nv\ne,mel\n"
    labels = read_labels(labels_file(tmp_path, text), {})
    found = read_external(tmp_path, labels, SPEC, IngestConfig(workers=1), tmp_path)
    assert found.table["image_id"].tolist() == ["a", "c"]
    for row, seed in enumerate((1, 2)):
        np.testing.assert_array_equal(found.pixels[row], read_pixels(jpeg(seed), SPEC))
    aside = dict(zip(found.put_aside["image_id"], found.put_aside["detail"], strict=True))
    assert aside == {
        "b": "the same file as a",
        "d": "the same file has contradictory diagnoses as d, e",
        "e": "the same file has contradictory diagnoses as d, e",
    }


def test_pictures_that_are_all_labelled_in_two_ways_are_refused(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.jpg").write_bytes(jpeg(1))
    labels = read_labels(labels_file(tmp_path, "image,dx\na,nv\nb,mel\n"), {})
    with pytest.raises(SourceError, match="without contradiction"):
        read_external(tmp_path, labels, SPEC, IngestConfig(workers=1), tmp_path)


def test_a_folder_without_any_of_the_pictures_is_refused(tmp_path: Path) -> None:
    labels = read_labels(labels_file(tmp_path, "image,dx\na,nv\n"), {})
    with pytest.raises(SourceError, match="none of the 1 labelled pictures"):
        read_external(tmp_path, labels, SPEC, IngestConfig(), tmp_path)
    with pytest.raises(SourceError, match="does not exist"):
        read_external(tmp_path / "nowhere", labels, SPEC, IngestConfig(), tmp_path)


def test_pictures_none_of_which_can_be_used_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"nothing")
    labels = read_labels(labels_file(tmp_path, "image,dx\na,nv\n"), {})
    with pytest.raises(SourceError, match="none of the 1 pictures"):
        read_external(tmp_path, labels, SPEC, IngestConfig(workers=1), tmp_path)
