"""A model with frozen decisions on pictures that it was not made with."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.cli import main
from pipelines.external import read_mapping
from skin_lesion.data.external import ExternalSet, read_external, read_labels
from skin_lesion.decisions import Limits
from skin_lesion.evaluation.external import (
    ExternalReport,
    NotEvaluatedError,
    evaluate_external,
    pixel_spec,
)
from skin_lesion.modeling.bundle import ModelBundle
from skin_lesion.settings import IngestConfig

CLASSES = ("bkl", "mel", "nv")


@pytest.fixture(scope="module")
def decided(small_world, small_report, tmp_path_factory) -> ModelBundle:
    target = tmp_path_factory.mktemp("decided") / "bundle"
    decisions = small_report.summary.decisions
    quality = {**decisions.quality, "short_side": Limits()}
    return small_world.bundle.with_decisions(
        decisions.model_copy(update={"quality": quality}), small_report.reference, target
    )


@pytest.fixture(scope="module")
def folder(small_world, tmp_path_factory) -> Path:
    """Test pictures of three classes as files, with labels under other names."""
    folder = tmp_path_factory.mktemp("external")
    lines = ["filename,diagnosis,lesion_id"]
    names = {"nv": "Nevus", "mel": "melanoma", "bkl": "bkl"}
    for row in small_world.split.indices("test"):
        dx = small_world.split.rows["dx"].iloc[row]
        if dx in CLASSES:
            name = f"p{row}.png"
            Image.fromarray(small_world.images.open()[row]).save(folder / name)
            lines.append(f"{name},{names[dx]},{small_world.split.rows['lesion_id'].iloc[row]}")
    (folder / "broken.png").write_bytes(b"no picture")
    lines.append("broken.png,nevus,")
    (folder / "labels.csv").write_text("\n".join(lines))
    return folder


MAPPING = {"nevus": "nv", "melanoma": "mel"}


@pytest.fixture(scope="module")
def external(decided, folder, tmp_path_factory) -> ExternalSet:
    labels = read_labels(folder / "labels.csv", MAPPING)
    work = tmp_path_factory.mktemp("work")
    return read_external(folder, labels, pixel_spec(decided), IngestConfig(workers=1), work)


@pytest.fixture(scope="module")
def report(decided, external, quick) -> ExternalReport:
    return evaluate_external(decided, external, quick, data="folder", model="7", seed=3)


def test_the_answers_are_those_on_the_test_split(report, small_report):
    """The same pictures: what is said of them must not depend on the way they came."""
    test = small_report.predictions[small_report.predictions["split"] == "test"]
    of_three = test[test["dx"].isin(CLASSES)]
    found = report.predictions[list(CLASSES)].to_numpy()
    expected = of_three[[f"p_{label}" for label in CLASSES]].to_numpy()
    np.testing.assert_allclose(np.sort(found, axis=0), np.sort(expected, axis=0), atol=1e-4)


def test_nothing_is_fitted(report, decided):
    assert report.summary.decisions == decided.contract.decisions
    assert [one.point for one in report.summary.evidence.operating_points] == list(
        decided.contract.decisions.operating_points
    )


def test_a_subset_of_the_classes_is_enough(report):
    assert report.summary.classes == CLASSES
    assert set(report.summary.figures.absent_classes) == {"akiec", "bcc", "df", "vasc"}
    assert report.summary.figures.purpose == "external"


def test_what_cannot_be_used_is_listed_with_its_reason(report):
    assert report.summary.put_aside == 1
    assert report.put_aside["image_id"].tolist() == ["broken"]


def test_the_report_appears_whole_and_is_never_overwritten(report, tmp_path):
    target = tmp_path / "deep" / "report"
    report.save(target)
    assert {path.name for path in target.iterdir()} == {
        "report.html", "report.json", "predictions.csv", "put_aside.csv",
    }  # fmt: skip
    assert json.loads((target / "report.json").read_text())["model"] == "7"
    assert [path.name for path in target.parent.iterdir()] == ["report"]
    page = (target / "report.html").read_text()
    assert "Nothing was fitted" in page
    with pytest.raises(FileExistsError, match="exists"):
        report.save(target)


def test_a_model_that_was_never_evaluated_is_refused(small_world, external, quick):
    with pytest.raises(NotEvaluatedError, match="without frozen decisions"):
        evaluate_external(small_world.bundle, external, quick, data="x", model="y", seed=3)


def test_the_command_measures_a_bundle(decided, folder, tmp_path, capsys, monkeypatch, quick):
    monkeypatch.setattr("pipelines.external.EvaluateConfig", lambda: quick)
    arguments = [
        "evaluate", "--model", str(decided.path), "--external", str(folder),
        "--labels", str(folder / "labels.csv"), "--map", "nevus=nv", "--map", "Melanoma=mel",
        "--output", str(tmp_path / "out"),
    ]  # fmt: skip
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert "36 pictures of 18 lesions, 1 put aside" in printed
    assert (tmp_path / "out" / "report.html").is_file()
    assert main(arguments) == 1
    assert "exists" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"--labels": "nowhere.csv"}, "cannot be read"),
        ({"--external": "nowhere"}, "does not exist"),
        ({"--map": "nevus"}, "expected NAME=CODE"),
    ],
)
def test_the_command_says_what_is_wrong(decided, folder, tmp_path, capsys, change, message):
    options = {
        "--model": str(decided.path), "--external": str(folder),
        "--labels": str(folder / "labels.csv"), "--output": str(tmp_path / "out"),
        "--map": "nevus=nv",
    } | change  # fmt: skip
    words = [word for pair in options.items() for word in pair]
    extra = [] if "--map" in change else ["--map", "melanoma=mel"]
    assert main(["evaluate", *words, *extra]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_names_are_mapped_in_lower_case():
    assert read_mapping(["Nevus = NV", "scc="]) == {"nevus": "nv", "scc": ""}
