"""`skin-lesion predict`: what it prints, what it writes, and what the shell gets."""

import csv
import io
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.cli import main
from skin_lesion.decisions import Limits
from skin_lesion.inference import Predictor
from skin_lesion.labels import LABELS
from skin_lesion.modeling.bundle import ModelBundle
from skin_lesion.prediction import NOTICE
from skin_lesion.prediction_table import COLUMNS, row


@pytest.fixture(scope="module")
def bundle(small_world, small_report, tmp_path_factory) -> ModelBundle:
    """The small world's model as it would be registered, but for pictures as small as its own."""
    decisions = small_report.summary.decisions
    lenient = decisions.model_copy(
        update={"quality": {**decisions.quality, "short_side": Limits()}, "ood": None}
    )
    target = tmp_path_factory.mktemp("predict") / "bundle"
    return small_world.bundle.with_contract(small_world.bundle.contract.deciding(lenient), target)


@pytest.fixture
def picture(small_world, tmp_path: Path) -> Path:
    path = tmp_path / "naevus.png"
    Image.fromarray(small_world.images.open()[0]).save(path)
    return path


@pytest.fixture
def dark(tmp_path: Path) -> Path:
    path = tmp_path / "dark.png"
    Image.new("RGB", (32, 24)).save(path)
    return path


def test_a_table_says_every_probability_and_the_notice_goes_beside_it(bundle, picture, capsys):
    assert main(["predict", str(picture), "--model", str(bundle.path)]) == 0
    shown = capsys.readouterr()
    head, line, *_ = shown.out.splitlines()
    assert head.split()[:9] == ["file", "answer", *LABELS]
    answer = Predictor(bundle).predict([picture.read_bytes()])[0]
    assert line.split()[0].endswith("naevus.png")
    expected = [f"{100 * p:.1f}" for p in answer.probabilities.values()]
    assert line.split()[1:9] == [answer.prediction, *expected]
    assert NOTICE in shown.err
    assert "drawn pictures only" in shown.err


def test_columns_of_the_table_line_up(bundle, picture, dark, capsys):
    main(["predict", str(picture), str(dark), str(picture), "--model", str(bundle.path)])
    lines = capsys.readouterr().out.splitlines()[:4]
    starts = [lines[0].index(name) for name in ("answer", "sure")]
    assert all(line[start - 1] == " " != line[start] for line in lines[:2] for start in starts)
    assert lines[1] == lines[3]
    assert lines[2][starts[0] :] == "cannot be assessed: too dark"


def test_csv_has_the_columns_of_the_prediction_table(bundle, picture, dark, capsys):
    status = main(["predict", str(picture), str(dark), "--csv", "--model", str(bundle.path)])
    assert status == 3
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert list(rows[0]) == ["file", *COLUMNS, "heat_map"]
    answers = Predictor(bundle).predict([picture.read_bytes(), dark.read_bytes()])
    for cells, answer, file in zip(rows, answers, (picture, dark), strict=True):
        assert cells["file"] == str(file)
        for name, value in row(answer).items():
            assert cells[name] == ("" if value is None else str(value)), name


def test_json_has_notice_model_and_one_answer_for_each_file(bundle, picture, dark, capsys):
    main(["predict", str(dark), str(picture), "--json", "--model", str(bundle.path)])
    value = json.loads(capsys.readouterr().out)
    assert value["notice"] == NOTICE
    assert value["synthetic_only"] is True
    refused, answered = value["predictions"]
    assert (refused["status"], refused["reason"], refused["probabilities"]) == (
        "cannot_assess", "too_dark", None,
    )  # fmt: skip
    assert sum(answered["probabilities"].values()) == pytest.approx(1)
    assert isinstance(answered["prediction_set"], list)
    assert answered["bundle_hash"] == bundle.bundle_hash


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: None, "missing"),
        (lambda path: path.write_bytes(b""), "empty"),
        (lambda path: path.write_text("Doe, John, 1950"), "unsupported_format"),
        (lambda path: os.mkfifo(path), "not_a_file"),
        (lambda path: os.truncate(os.open(path, os.O_CREAT | os.O_WRONLY), 2**26 + 1), "too_large"),
        (lambda path: path.symlink_to(path), "missing"),
    ],
    ids=["missing", "empty", "text", "pipe", "large", "loop"],
)
def test_a_file_without_a_picture_disturbs_no_other_and_ends_in_3(
    bundle, picture, tmp_path, capsys, make, reason
):
    path = tmp_path / "other"
    make(path)
    command = ["predict", str(path), str(picture), "--json", "--model", str(bundle.path)]
    assert main(command) == 3
    first, second = json.loads(capsys.readouterr().out)["predictions"]
    assert (first["status"], first["reason"]) == ("unreadable", reason)
    assert second["status"] == "ok"


def test_a_name_that_no_file_can_have_disturbs_no_other(bundle, picture, capsys):
    command = ["predict", "a" * 300, str(picture), "--json", "--model", str(bundle.path)]
    assert main(command) == 3
    first, second = json.loads(capsys.readouterr().out)["predictions"]
    assert (first["reason"], second["status"]) == ("missing", "ok")


@pytest.mark.parametrize("name", ["champion", "previous", "3"])
def test_a_folder_called_as_a_model_of_the_registry_is_not_that_model(
    bundle, picture, tmp_path, monkeypatch, capsys, name
):
    """It may be a copy from long ago, and not what is in production."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    shutil.copytree(bundle.path, name)
    asked = [] if name == "champion" else ["--model", name]
    assert main(["predict", str(picture), *asked]) == 1
    assert f"has no version or alias '{name}'" in capsys.readouterr().err
    assert main(["predict", str(picture), "--model", f"./{name}"]) == 0


def test_heat_maps_lie_under_the_names_of_their_pictures(bundle, picture, dark, tmp_path, capsys):
    other = tmp_path / "elsewhere" / picture.name
    other.parent.mkdir()
    shutil.copy(picture, other)
    shelf = tmp_path / "new" / "maps"
    command = ["predict", str(picture), str(dark), str(other), "--heatmap", str(shelf)]
    assert main([*command, "--class", "mel", "--json", "--model", str(bundle.path)]) == 3
    written = [each["heat_map"] for each in json.loads(capsys.readouterr().out)["predictions"]]
    assert written == [str(shelf / "naevus.mel.png"), None, str(shelf / "naevus-2.mel.png")]
    assert sorted(path.name for path in shelf.iterdir()) == ["naevus-2.mel.png", "naevus.mel.png"]
    with Image.open(shelf / "naevus.mel.png") as drawn:
        assert drawn.size == (32, 24)
        assert np.asarray(drawn).std() > 0


def test_a_heat_map_is_of_the_predicted_class_unless_another_is_named(
    bundle, picture, tmp_path, capsys
):
    command = ["predict", str(picture), "--json", "--model", str(bundle.path)]
    main([*command, "--heatmap", str(tmp_path / "maps")])
    answer = json.loads(capsys.readouterr().out)["predictions"][0]
    assert Path(answer["heat_map"]).name == f"naevus.{answer['prediction']}.png"


def test_a_heat_map_never_replaces_a_picture(bundle, picture, tmp_path):
    trap = tmp_path / "naevus.mel.png"
    shutil.copy(picture, trap)
    before = trap.read_bytes()
    command = ["predict", str(picture), str(trap), "--class", "mel", "--heatmap", str(tmp_path)]
    assert main([*command, "--model", str(bundle.path)]) == 0
    assert trap.read_bytes() == before
    assert (tmp_path / "naevus-2.mel.png").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--class", "mel"], "--heatmap DIR"),
        (["--heatmap", "maps", "--class", "melanoma"], "'melanoma'; expected one of akiec"),
        (["--model", "champion"], "skin-lesion promote"),
        (["--model", "."], "is not a model bundle"),
    ],
    ids=["class alone", "no class", "no champion", "no bundle"],
)
def test_a_mistake_is_one_line_that_says_what_to_do(
    bundle, picture, tmp_path, monkeypatch, capsys, arguments, said
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    model = [] if "--model" in arguments else ["--model", str(bundle.path)]
    assert main(["predict", str(picture), *arguments, *model]) == 1
    shown = capsys.readouterr()
    assert said in shown.err
    assert shown.out == ""
    assert not (tmp_path / "maps").exists()


def test_a_folder_is_sent_to_batch(bundle, tmp_path, capsys):
    assert main(["predict", str(tmp_path), "--model", str(bundle.path)]) == 1
    assert "skin-lesion batch" in capsys.readouterr().err


@pytest.mark.parametrize("name", [b"gr\xfc\xdfe.png", "皮膚\n病変.png".encode(), b"=1+1.png"])
def test_any_name_of_a_file_can_be_told(bundle, picture, tmp_path, capsys, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    file = os.fsdecode(name)
    shutil.copy(picture, file)
    for form in (["--csv"], ["--json"], []):
        command = ["predict", file, *form, "--heatmap", "maps", "--model", str(bundle.path)]
        assert main(command) == 0
        shown = capsys.readouterr().out
        shown.encode("utf-8")
        if form == ["--csv"]:
            cell = next(csv.DictReader(io.StringIO(shown)))["file"]
            assert "\n" not in cell
            assert not cell.startswith("=")


def test_more_files_than_are_judged_at_a_time_keep_their_order(
    bundle, small_world, tmp_path, capsys
):
    files = []
    for i, pixels in enumerate(small_world.images.open()[:21]):
        files.append(tmp_path / f"{i}.png")
        Image.fromarray(pixels).save(files[-1])
    main(["predict", *map(str, files), "--json", "--model", str(bundle.path)])
    answers = json.loads(capsys.readouterr().out)["predictions"]
    assert [each["file"] for each in answers] == [str(file) for file in files]
    alone = Predictor(bundle).predict([file.read_bytes() for file in files])
    assert [each["prediction"] for each in answers] == [each.prediction for each in alone]
