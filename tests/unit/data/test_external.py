import hashlib
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from skin_lesion.data.archives import SourceError
from skin_lesion.data.external import read_external, read_labels
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


def test_a_column_with_the_diagnosis_is_understood(tmp_path: Path) -> None:
    path = labels_file(
        tmp_path, "Filename,Diagnosis,age,sex\na.jpg,MEL,50,Male\nsub/b.png, nv ,,f\n"
    )
    table = read_labels(path, {}).table
    assert table["image_id"].tolist() == ["a", "b"]
    assert table["dx"].tolist() == ["mel", "nv"]
    assert table["lesion_id"].tolist() == ["a", "b"]
    assert table["age"].iloc[0] == 50
    assert np.isnan(table["age"].iloc[1])
    assert table["sex"].tolist() == ["male", "unknown"]


def test_one_column_for_each_class_is_understood(tmp_path: Path) -> None:
    path = labels_file(tmp_path, "image,MEL,NV,SCC\nx,1.0,0.0,0.0\ny,0.0,1.0,0.0\nz,0,0,1\n")
    labels = read_labels(path, {"scc": ""})
    table = labels.table
    assert dict(zip(table["image_id"], table["dx"], strict=True)) == {"x": "mel", "y": "nv"}
    assert labels.left_out["detail"].tolist() == ["its diagnosis 'scc' is mapped to nothing"]


def test_names_of_columns_are_mapped(tmp_path: Path) -> None:
    path = labels_file(tmp_path, "image,MEL,NV,AK\nx,1,0,0\ny,0,0,1\n")
    assert read_labels(path, {"ak": "akiec"}).table["dx"].tolist() == ["mel", "akiec"]


def test_other_names_are_mapped_and_an_empty_code_leaves_a_picture_out(tmp_path: Path) -> None:
    path = labels_file(tmp_path, "image,label\na,nevus\nb,melanoma\nc,scc\n")
    labels = read_labels(path, {"nevus": "nv", "melanoma": "mel", "scc": ""})
    assert labels.table["dx"].tolist() == ["nv", "mel"]
    assert labels.left_out[["image_id", "reason"]].to_numpy().tolist() == [["c", "left_out"]]


def test_a_picture_without_a_diagnosis_is_no_picture_of_something_else(tmp_path: Path) -> None:
    labels = read_labels(labels_file(tmp_path, "image,label\na,nv\nb,\n"), {})
    assert labels.table["image_id"].tolist() == ["a"]
    assert labels.left_out[["image_id", "reason"]].to_numpy().tolist() == [["b", "undiagnosed"]]


def test_a_name_of_the_mapping_that_no_row_holds_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    read_labels(labels_file(tmp_path, "image,label\na,nv\n"), {"nevvus": "nv"})
    assert "holds no diagnosis called 'nevvus'" in caplog.text


@pytest.mark.parametrize(
    ("name", "image_id"),
    [
        ("a.JPG", "a"), ("x/y/a.b.png", "a.b"), ("x\\y\\a.jpg", "a"), ("a.v2", "a.v2"), (" a ", "a"),
        ("ISIC_é.jpeg", "ISIC_é"),
    ],
)  # fmt: skip
def test_a_picture_is_named_without_folder_and_suffix(
    name: str, image_id: str, tmp_path: Path
) -> None:
    labels = read_labels(labels_file(tmp_path, f"image,label\n{name},nv\n"), {})
    assert labels.table["image_id"].tolist() == [image_id]


@pytest.mark.parametrize(
    ("text", "mapping", "message"),
    [
        ("image,label\na,wart\n", {}, "'wart'.*--map"),
        ("image,label\na,wart\n", {"wart": "verruca"}, "'verruca'; expected one of akiec"),
        ("picture,label\na,nv\n", {}, "none of them names the picture"),
        ("image,what\na,nv\n", {}, "none of them holds the diagnosis"),
        ("image,label\na,nv\na.jpg,mel\n", {}, "labels 'a' more than once"),
        ("image,label\nA,nv\na,mel\n", {}, "labels 'a' more than once"),
        ("image,label,Label\na,nv,mel\n", {}, "several columns 'label'"),
        ("image,mel,nv\na,x,1\n", {}, "that is no number"),
        ("image,mel,nv\na,0,0\n", {}, "line 2: 0 of the columns"),
        ("image,mel,nv\na,0,1\nb,1,1\n", {}, "line 3: 2 of the columns"),
        ("image,mel,nv,ak\na,0,1,0\nb,0,0,1\n", {}, "further classes: ak.*--map ak="),
        ("image,label\na,scc\n", {"scc": ""}, "labels no picture"),
        ("", {}, "cannot be read"),
    ],
)
def test_labels_that_cannot_be_used_are_refused(
    text: str, mapping: dict[str, str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(SourceError, match=message):
        read_labels(labels_file(tmp_path, text), mapping)


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
