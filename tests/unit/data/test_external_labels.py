from pathlib import Path

import numpy as np
import pytest

from skin_lesion.data.archives import SourceError
from skin_lesion.data.external_labels import lesions_in_conflict, read_labels


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
    assert table["lesion_named"].tolist() == [False, False]
    assert table["age"].iloc[0] == 50
    assert np.isnan(table["age"].iloc[1])
    assert table["sex"].tolist() == ["male", "female"]


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
        ("image,label\na,nv\n,mel\n", {}, "line 3: the column 'image' holds '', which names no"),
        ("image,label\n\na,nv\n.jpg,mel\n", {}, "line 4: the column 'image' holds '.jpg'"),
        ("", {}, "cannot be read"),
    ],
)
def test_labels_that_cannot_be_used_are_refused(
    text: str, mapping: dict[str, str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(SourceError, match=message):
        read_labels(labels_file(tmp_path, text), mapping)


@pytest.mark.parametrize("word", ["", "NA", "nan", "None", "UNKNOWN", "null", "n/a", " - "])
def test_a_word_for_nothing_names_no_lesion(word: str, tmp_path: Path) -> None:
    text = f"image,dx,lesion_id\na,nv,{word}\nb,nv,{word}\nc,nv,L1\nd,nv,L1\n"
    table = read_labels(labels_file(tmp_path, text), {}).table
    assert table["lesion_named"].tolist() == [False, False, True, True]
    assert table["lesion_id"].nunique() == 3
    assert table["lesion_id"].tolist()[2:] == ["L1", "L1"]


@pytest.mark.parametrize("taken", ["a", "picture:a", "_picture:a"])
def test_a_picture_without_a_lesion_id_never_joins_a_lesion_that_is_named_like_it(
    taken: str, tmp_path: Path
) -> None:
    text = f"image,dx,lesion_id\na,nv,\nb,nv,{taken}\nc,nv,picture:x\n"
    table = read_labels(labels_file(tmp_path, text), {}).table
    assert table["lesion_id"].nunique() == 3
    assert table["lesion_id"].tolist()[1:] == [taken, "picture:x"]


def test_lesions_with_several_diagnoses_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = "image,dx,lesion_id\na,nv,L1\nb,mel,L1\nc,nv,L2\nd,nv,L2\ne,mel,\nf,nv,\n"
    table = read_labels(labels_file(tmp_path, text), {}).table
    assert lesions_in_conflict(table) == ["L1"]
    assert "several diagnoses to 1 lesions, such as 'L1'" in caplog.text


def test_ages_and_sexes_are_understood_or_unknown_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [
        ("0", "M"), ("120", "f"), ("-1", "FEMALE"), ("121", "male"), ("inf", "x"),
        ("old", "NA"), ("n/a", ""), ("", "unknown"),
    ]  # fmt: skip
    lines = [f"p{number},nv,{age},{sex}" for number, (age, sex) in enumerate(rows)]
    table = read_labels(labels_file(tmp_path, "\n".join(["image,dx,age,sex", *lines])), {}).table
    assert table["age"].dropna().tolist() == [0, 120]
    assert table["sex"].tolist() == ["male", "female", "female", "male", *["unknown"] * 4]
    assert (
        "4 values of age that are not understood and count as unknown, such as '-1'" in caplog.text
    )
    assert (
        "1 values of sex that are not understood and count as unknown, such as 'x'" in caplog.text
    )
