"""A model with frozen decisions on pictures that it was not made with."""

import dataclasses
import hashlib
import io
import json
import logging
import re
import shutil
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from PIL import Image

from pipelines.cli import main
from pipelines.external import read_mapping
from skin_lesion.data.external import ExternalSet, read_external
from skin_lesion.data.external_labels import read_labels
from skin_lesion.data.seen import SeenPictures
from skin_lesion.decisions import Limits
from skin_lesion.evaluation.external import (
    ExternalReport,
    NotEvaluatedError,
    NothingUnseenError,
    evaluate_external,
    pixel_spec,
)
from skin_lesion.evaluation.external_page import extent, lesion_warnings
from skin_lesion.evaluation.overlap import overlap_section, verdict
from skin_lesion.modeling.bundle import OOD_FILE, SEEN_FILE, ModelBundle
from skin_lesion.settings import ExternalConfig, IngestConfig

CLASSES = ("bkl", "mel", "nv")


@pytest.fixture(scope="module")
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
    return read(folder, decided, tmp_path_factory.mktemp("work"))


def read(folder, bundle, work) -> ExternalSet:
    labels = read_labels(folder / "labels.csv", MAPPING)
    return read_external(folder, labels, pixel_spec(bundle), IngestConfig(workers=1), work)


def report_on(bundle, external, config) -> ExternalReport:
    return evaluate_external(
        bundle, external, config, ExternalConfig(seed=3), data="folder", model="7"
    )


@pytest.fixture(scope="module")
def config(quick):
    """So few lesions would not do otherwise."""
    return quick.model_copy(update={"min_checked_lesions": 18})


@pytest.fixture(scope="module")
def report(decided, external, config) -> ExternalReport:
    return report_on(decided, external, config)


@pytest.fixture(scope="module")
def mixed_folder(folder, small_world, tmp_path_factory) -> Path:
    """The same with pictures of six lesions that the model has seen, two of each."""
    mixed = tmp_path_factory.mktemp("mixed") / "pictures"
    shutil.copytree(folder, mixed)
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


@pytest.fixture(scope="module")
def mixed(mixed_folder, decided, config, tmp_path_factory) -> ExternalReport:
    external = read(mixed_folder, decided, tmp_path_factory.mktemp("work"))
    return report_on(decided, external, config)


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
    assert report.summary.put_aside_reasons == {"unsupported_format": 1}
    assert "<caption>Pictures and files that were not measured.</caption>" in report.to_html()


def test_pictures_that_the_model_has_seen_are_found_and_listed(mixed):
    found = mixed.overlap.set_index("image_id")
    kinds = {kind: sorted(found.index[found["kind"] == kind]) for kind in found["kind"].unique()}
    assert kinds == {
        "exact": ["bkl_0_0", "bkl_0_1", "mel_0_0", "nv_9_0", "nv_9_1"],
        "near": ["bkl_9_0", "bkl_9_1", "mel_9_0", "mel_9_1", "nv_0_0", "nv_0_1"],
        "same_lesion": ["mel_0_1"],
    }
    assert mixed.summary.overlap.counts["near"] == {"train": 2, "val": 4}
    assert found["split"].tolist() == ["train" if "_0_" in name else "val" for name in found.index]
    assert len(found) == 12


def test_figures_are_without_pictures_that_the_model_has_seen(mixed, report):
    assert mixed.summary.figures == report.summary.figures
    assert mixed.summary.evidence == report.summary.evidence
    assert mixed.summary.with_overlap.n_images == report.summary.figures.n_images + 12
    assert report.summary.with_overlap is None
    words = "seen in training or validation, or"
    assert f"12 pictures were {words} are of a lesion that was" in mixed.to_html()
    assert f"With those {words} of a lesion that was" in mixed.to_html()


def test_that_no_overlap_was_found_is_said_with_what_would_not_be_recognised(report):
    page = report.to_html()
    start = page.index("No overlap with training or validation pictures found")
    said = page[start : page.index("</p>", start)]
    assert "framed or slightly turned copies, and other photographs of the same lesion" in said
    assert "quarter turns" not in said
    assert report.summary.overlap.resize_mode != "crop"


def test_what_goes_unseen_of_cropped_pictures_is_said(report):
    cropped = report.summary.overlap.model_copy(update={"resize_mode": "crop"})
    for text in (verdict(cropped, 1), overlap_section(cropped)):
        assert "copies of another shape" in text
        assert "quarter turns" in text


def without_lesions(external, rows) -> ExternalSet:
    """The same where the lesions of some rows are not named."""
    table = external.table.copy()
    table.loc[rows, "lesion_named"] = False
    table.loc[rows, "lesion_id"] = "picture:" + table.loc[rows, "image_id"]
    return dataclasses.replace(external, table=table)


def above_figures(report: ExternalReport) -> str:
    page = report.to_html()
    return page[: page.index('id="overall"')]


def test_pictures_without_lesion_ids_are_not_said_to_be_lesions(decided, external, quick):
    found = report_on(decided, without_lesions(external, external.table.index), quick)
    assert found.summary.n_lesion_named == 0
    above = above_figures(found)
    assert "36 pictures have no lesion id" in above
    assert "each such picture counts as a lesion of its own" in above
    assert "36 pictures of an unknown number of lesions" in above
    page = found.to_html()
    assert "of 36 lesions" not in page
    assert "<th class=number>One picture of each lesion</th>" not in page
    assert "One picture of each lesion, and each without a lesion id" in page
    assert "Images / lesions, and pictures without a lesion id" in page
    assert "bootstrap over lesions and pictures without a lesion id" in page


def test_pictures_with_and_without_lesion_ids_are_counted_apart(decided, external, quick):
    lesions = external.table["lesion_id"]
    rows = external.table.index[lesions == lesions.iloc[0]]
    found = report_on(decided, without_lesions(external, rows), quick).summary
    assert found.n_lesion_named == len(external.table) - len(rows)
    assert extent(found) == "36 pictures: 34 of 17 named lesions, 2 without a lesion id"


def test_named_lesions_give_no_warning(report):
    assert lesion_warnings(report.summary) == []
    assert "36 pictures of 18 lesions" in above_figures(report)
    assert "<th class=number>One picture of each lesion</th>" in report.to_html()


def test_lesions_with_several_diagnoses_are_told_above_the_figures(decided, external, quick):
    table = external.table.copy()
    lesion = table["lesion_id"] == table["lesion_id"].iloc[0]
    table.loc[table.index[lesion][0], "dx"] = "bkl" if table["dx"].iloc[0] != "bkl" else "nv"
    found = report_on(decided, dataclasses.replace(external, table=table), quick)
    assert found.summary.n_lesions_in_conflict == 1
    assert "1 lesion id carries several diagnoses" in above_figures(found)


@pytest.mark.filterwarnings("error")
def test_several_pictures_of_one_class_are_measured_without_a_warning(decided, external, quick):
    rows = np.flatnonzero(external.table["dx"] == "nv")
    one_class = dataclasses.replace(
        external,
        table=external.table.iloc[rows].reset_index(drop=True),
        pixels=external.pixels[rows],
    )
    found = report_on(decided, one_class, quick)
    assert len(rows) > 1
    assert found.summary.classes == ("nv",)
    assert found.summary.figures.balanced_accuracy == found.summary.figures.per_class["nv"].recall
    assert found.summary.figures.macro_auc is None
    assert "nv" in found.to_html()


def test_answers_on_seen_pictures_are_given_and_marked(mixed):
    marked = mixed.predictions[mixed.predictions["overlap"] != ""]
    assert set(marked["image_id"]) == set(mixed.overlap["image_id"])
    assert len(mixed.predictions) == mixed.summary.with_overlap.n_images


def test_a_set_that_the_model_has_seen_altogether_is_refused(
    decided, mixed_folder, config, tmp_path
):
    lines = (mixed_folder / "labels.csv").read_text().splitlines()
    for path in mixed_folder.iterdir():
        if path.name.startswith(("mel_", "nv_", "bkl_")):
            shutil.copy(path, tmp_path / path.name)
    (tmp_path / "labels.csv").write_text("\n".join([lines[0], *lines[-12:]]))
    external = read(tmp_path, decided, tmp_path)
    with pytest.raises(NothingUnseenError, match="every one of the 12 pictures of folder"):
        report_on(decided, external, config)


def test_a_bundle_without_hashes_says_that_overlap_was_not_checked(
    decided, external, small_report, small_world, config, tmp_path
):
    old = small_world.bundle.with_decisions(
        decided.contract.decisions, {OOD_FILE: small_report.reference}
        if small_report.reference else {}, tmp_path / "old",
    )  # fmt: skip
    assert old.seen_path is None
    found = report_on(old, external, config)
    assert not found.summary.overlap.checked
    page = found.to_html()
    assert "not checked" in page
    assert "No overlap" not in page


def test_too_few_lesions_give_no_verdict_on_heat_maps_and_perturbations(decided, external, quick):
    few = report_on(decided, external, quick)
    assert len(external.table["lesion_id"].unique()) < quick.min_checked_lesions
    assert few.summary.evidence.explanations is None
    assert few.summary.evidence.robustness is None
    page = few.to_html()
    assert page.count("Too few pictures") == 2
    assert "The maps" not in page


@pytest.mark.filterwarnings("error")
def test_a_single_picture_is_measured_without_a_warning(decided, external, quick):
    one = dataclasses.replace(external, table=external.table[:1], pixels=external.pixels[:1])
    found = report_on(decided, one, quick).summary
    assert found.figures.n_images == 1
    assert found.figures.melanoma_auc is None


def test_the_main_figures_stand_per_image_and_per_lesion(report):
    page = report.to_html()
    found = report.summary.evidence.discrimination
    overall = page[page.index('id="overall"') : page.index('id="overlap"')]
    for unit in (found.images, found.lesions):
        estimate = unit.estimates["balanced_accuracy"]
        assert f"{estimate.value:.3f} ({estimate.ci_low:.3f} to" in overall


def test_only_the_classification_layer_is_said_to_have_been_shuffled(report):
    assert not report.summary.evidence.explanations.randomisation.cascade
    assert "the weights of the classification layer shuffled" in report.to_html()


def test_the_report_appears_whole_and_is_never_overwritten(report, tmp_path):
    target = tmp_path / "deep" / "report"
    report.save(target)
    assert {path.name for path in target.iterdir()} == {
        "report.html", "report.json", "report.schema.json", "predictions.csv", "put_aside.csv",
        "overlap.csv",
    }  # fmt: skip
    written = json.loads((target / "report.json").read_text())
    assert written["model"] == "7"
    schema = json.loads((target / "report.schema.json").read_text())
    jsonschema.validate(written, schema)
    with pytest.raises(jsonschema.ValidationError, match="n_lesion_named"):
        jsonschema.validate(written | {"n_lesion_named": "many"}, schema)
    assert [path.name for path in target.parent.iterdir()] == ["report"]
    page = (target / "report.html").read_text()
    assert "Nothing was fitted" in page
    with pytest.raises(FileExistsError, match="exists"):
        report.save(target)


def test_a_model_that_was_never_evaluated_is_refused(small_world, external, quick):
    with pytest.raises(NotEvaluatedError, match="without frozen decisions"):
        report_on(small_world.bundle, external, quick)


def test_the_command_measures_a_bundle(decided, folder, tmp_path, capsys, monkeypatch, quick):
    monkeypatch.setattr("pipelines.external.EvaluateConfig", lambda: quick)
    arguments = [
        "evaluate", "--model", str(decided.path), "--external", str(folder),
        "--labels", str(folder / "labels.csv"), "--map", "nevus=nv", "--map", "Melanoma=mel",
        "--output", str(tmp_path / "out"),
    ]  # fmt: skip
    assert main(arguments) == 0
    printed = capsys.readouterr()
    assert "36 pictures of 18 lesions, 1 put aside" in printed.out
    assert "None of them was recognised as one of" in printed.out
    assert "other photographs of the same lesion would not be recognised" in printed.out
    assert "Lesions not named" not in printed.out
    lines = printed.err.splitlines()
    assert all(re.match(r"\d\d:\d\d:\d\d  \S", line) for line in lines)
    stages = [line[10:].split()[0] for line in lines]
    assert stages[:4] == ["fetching", "decoding", "looking", "running"]
    assert stages[-1] == "writing"
    assert not logging.getLogger("skin_lesion").handlers  # as it was before
    assert (tmp_path / "out" / "report.html").is_file()
    assert main(arguments) == 1
    assert "exists" in capsys.readouterr().err


def test_the_command_says_that_lesions_are_not_named(
    decided, folder, tmp_path, capsys, monkeypatch, quick
):
    monkeypatch.setattr("pipelines.external.EvaluateConfig", lambda: quick)
    lines = (folder / "labels.csv").read_text().splitlines()
    labels = tmp_path / "labels.csv"
    labels.write_text("\n".join(line.rpartition(",")[0] for line in lines))
    arguments = [
        "evaluate", "--model", str(decided.path), "--external", str(folder),
        "--labels", str(labels), "--map", "nevus=nv", "--map", "melanoma=mel",
        "--output", str(tmp_path / "out"),
    ]  # fmt: skip
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert "36 pictures of an unknown number of lesions, " in printed
    assert "36 pictures have no lesion id, and each such picture counts as a lesion" in printed
    assert "intervals be too narrow" in printed


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"--labels": "nowhere.csv"}, "cannot be read"),
        ({"--external": "nowhere"}, "does not exist"),
        ({"--map": "nevus"}, "expected NAME=CODE"),
        ({"--seed": "-1"}, "seed is -1"),
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
