"""A model with frozen decisions on pictures that it was not made with."""

import dataclasses
import json
import shutil

import jsonschema
import numpy as np
import pytest

from skin_lesion.evaluation.external import NotEvaluatedError, NothingUnseenError
from tests.external_world import CLASSES, read, report_on

# A whole evaluation stands behind each of them.
pytestmark = pytest.mark.slow


def test_the_answers_are_those_on_the_test_split(external_report, small_report):
    """The same pictures: what is said of them must not depend on the way they came."""
    test = small_report.predictions[small_report.predictions["split"] == "test"]
    of_three = test[test["dx"].isin(CLASSES)]
    found = external_report.predictions[list(CLASSES)].to_numpy()
    expected = of_three[[f"p_{label}" for label in CLASSES]].to_numpy()
    np.testing.assert_allclose(np.sort(found, axis=0), np.sort(expected, axis=0), atol=1e-4)


def test_nothing_is_fitted(external_report, decided):
    assert external_report.summary.decisions == decided.contract.decisions
    assert [one.point for one in external_report.summary.evidence.operating_points] == list(
        decided.contract.decisions.operating_points
    )


def test_a_subset_of_the_classes_is_enough(external_report):
    assert external_report.summary.classes == CLASSES
    assert set(external_report.summary.figures.absent_classes) == {"akiec", "bcc", "df", "vasc"}
    assert external_report.summary.figures.purpose == "external"


def test_what_cannot_be_used_is_listed_with_its_reason(external_report):
    assert external_report.summary.put_aside == 1
    assert external_report.put_aside["image_id"].tolist() == ["broken"]
    assert external_report.summary.put_aside_reasons == {"unsupported_format": 1}
    assert (
        "<caption>Pictures and files that were not measured.</caption>" in external_report.to_html()
    )


def test_figures_are_without_pictures_that_the_model_has_seen(mixed_report, external_report):
    assert mixed_report.summary.figures == external_report.summary.figures
    assert mixed_report.summary.evidence == external_report.summary.evidence
    assert (
        mixed_report.summary.with_overlap.n_images == external_report.summary.figures.n_images + 12
    )
    assert external_report.summary.with_overlap is None
    words = "seen in training or validation, or"
    assert f"12 pictures were {words} are of a lesion that was" in mixed_report.to_html()
    assert f"With those {words} of a lesion that was" in mixed_report.to_html()


def test_answers_on_seen_pictures_are_given_and_marked(mixed_report):
    marked = mixed_report.predictions[mixed_report.predictions["overlap"] != ""]
    assert set(marked["image_id"]) == set(mixed_report.overlap["image_id"])
    assert len(mixed_report.predictions) == mixed_report.summary.with_overlap.n_images


def test_pictures_that_the_model_has_seen_are_found_and_listed(mixed_report):
    found = mixed_report.overlap.set_index("image_id")
    kinds = {kind: sorted(found.index[found["kind"] == kind]) for kind in found["kind"].unique()}
    assert kinds == {
        "exact": ["bkl_0_0", "bkl_0_1", "mel_0_0", "nv_9_0", "nv_9_1"],
        "near": ["bkl_9_0", "bkl_9_1", "mel_9_0", "mel_9_1", "nv_0_0", "nv_0_1"],
        "same_lesion": ["mel_0_1"],
    }
    assert mixed_report.summary.overlap.counts["near"] == {"train": 2, "val": 4}
    assert found["split"].tolist() == ["train" if "_0_" in name else "val" for name in found.index]
    assert len(found) == 12


def test_a_set_that_the_model_has_seen_altogether_is_refused(
    decided, mixed_folder, thorough, tmp_path
):
    lines = (mixed_folder / "labels.csv").read_text().splitlines()
    for path in mixed_folder.iterdir():
        if path.name.startswith(("mel_", "nv_", "bkl_")):
            shutil.copy(path, tmp_path / path.name)
    (tmp_path / "labels.csv").write_text("\n".join([lines[0], *lines[-12:]]))
    external = read(tmp_path, decided, tmp_path)
    with pytest.raises(NothingUnseenError, match="every one of the 12 pictures of folder"):
        report_on(decided, external, thorough)


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


@pytest.mark.filterwarnings("error")
def test_a_single_picture_is_measured_without_a_warning(decided, external, quick):
    one = dataclasses.replace(external, table=external.table[:1], pixels=external.pixels[:1])
    found = report_on(decided, one, quick).summary
    assert found.figures.n_images == 1
    assert found.figures.melanoma_auc is None


def test_too_few_lesions_give_no_verdict_on_heat_maps_and_perturbations(decided, external, quick):
    few = report_on(decided, external, quick)
    assert len(external.table["lesion_id"].unique()) < quick.min_checked_lesions
    assert few.summary.evidence.explanations is None
    assert few.summary.evidence.robustness is None
    page = few.to_html()
    assert page.count("Too few pictures") == 2
    assert "The maps" not in page


def test_the_report_appears_whole_and_is_never_overwritten(external_report, tmp_path):
    target = tmp_path / "deep" / "report"
    external_report.save(target)
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
        external_report.save(target)


def test_a_name_that_others_gave_runs_in_no_spreadsheet(external_report, tmp_path):
    named = external_report.put_aside.reindex(range(1)).astype(object)
    named.iloc[0, 0] = "=cmd|'/c calc'!A0"
    dataclasses.replace(external_report, put_aside=named).save(tmp_path / "report")
    assert "\n'=cmd|" in (tmp_path / "report" / "put_aside.csv").read_text()


def test_a_model_that_was_never_evaluated_is_refused(small_world, external, quick):
    with pytest.raises(NotEvaluatedError, match="without frozen decisions"):
        report_on(small_world.bundle, external, quick)
