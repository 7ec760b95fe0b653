import dataclasses
import re
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from skin_lesion.data.seen import checksum_bytes, coefficients
from skin_lesion.evaluation.report import EvaluationReport
from skin_lesion.evaluation.summary import ReportSummary
from skin_lesion.labels import LABELS
from skin_lesion.modeling.bundle import DRIFT_FILE, OOD_FILE, SEEN_FILE, ModelBundle
from skin_lesion.settings import EvaluateConfig


@pytest.fixture
def report(small_report: EvaluationReport) -> EvaluationReport:
    return small_report


def run(world, config: EvaluateConfig) -> EvaluationReport:
    """Without what takes longest: pictures, perturbations and explanations."""
    quick = config.model_copy(update={"robustness_images": 0, "explained_images": 0})
    return world.evaluate(quick, draw=False)


@pytest.fixture(scope="module")
def plain(small_world, quick) -> EvaluationReport:
    return run(small_world, quick)


def with_labels(world, split: str):
    """The same world with the labels of a split shifted by one, as if made that way."""
    rows = world.split.rows.copy()
    hit = rows["split"] == split
    rows.loc[hit, "dx"] = [LABELS[(LABELS.index(dx) + 1) % 7] for dx in rows.loc[hit, "dx"]]
    images = world.manifest.images.assign(dx=rows["dx"])
    manifest = dataclasses.replace(world.manifest, images=images, _cache={})
    contract = world.bundle.contract.model_copy(update={"data_fingerprint": manifest.fingerprint})
    return dataclasses.replace(
        world,
        split=dataclasses.replace(world.split, rows=rows),
        manifest=manifest,
        bundle=ModelBundle(world.bundle.path, contract),
    )


def test_what_is_measured_is_the_model_that_is_served(small_world, report):
    import keras

    rows = small_world.test_rows
    model = keras.models.load_model(small_world.bundle.keras_path)
    expected = model.predict(small_world.images.open()[rows], verbose=0)
    test = report.predictions[report.predictions["split"] == "test"]
    np.testing.assert_allclose(test[[f"logit_{label}" for label in LABELS]], expected, atol=1e-3)
    truth = [LABELS.index(dx) for dx in small_world.split.rows["dx"].iloc[rows]]
    assert report.summary.test.accuracy == np.mean(expected.argmax(axis=1) == truth)


def test_predictions_tell_each_image_of_validation_and_test_once(small_world, report):
    table = report.predictions
    rows = small_world.split.rows
    measured = rows[rows["split"].isin(["val", "test"])]
    assert list(table.columns) == [
        "image_id", "lesion_id", "group", "dx", "split",
        *(f"logit_{label}" for label in LABELS), *(f"p_{label}" for label in LABELS),
    ]  # fmt: skip
    keys = ["image_id", "lesion_id", "group", "dx", "split"]
    pd.testing.assert_frame_equal(
        table[keys].sort_values("image_id", ignore_index=True),
        measured[keys].sort_values("image_id", ignore_index=True),
    )
    logits = table[[f"logit_{label}" for label in LABELS]].to_numpy(np.float32)
    np.testing.assert_allclose(
        table[[f"p_{label}" for label in LABELS]],
        report.summary.decisions.calibrator.probabilities(logits),
        rtol=1e-5,
    )


def files(report: EvaluationReport, folder: Path) -> dict[str, bytes]:
    """What evaluation adds to the model, as it is written."""
    found = {}
    for name, content in report.bundle_files.items():
        path = folder / Path(name).name
        content.save(path)
        found[name] = path.read_bytes()
    assert set(found) == {OOD_FILE, SEEN_FILE, DRIFT_FILE}
    return found


def test_poisoned_test_labels_change_nothing_that_was_fitted(small_world, quick, plain, tmp_path):
    poisoned = run(with_labels(small_world, "test"), quick)
    assert poisoned.summary.decisions == plain.summary.decisions
    assert poisoned.summary.freezing == plain.summary.freezing
    assert poisoned.summary.val == plain.summary.val
    assert files(poisoned, tmp_path) == files(plain, tmp_path)
    assert poisoned.summary.test.accuracy != plain.summary.test.accuracy


def test_poisoned_test_pictures_change_nothing_that_was_fitted(small_world, quick, plain, tmp_path):
    pixels = np.array(small_world.images.open())
    rows = small_world.test_rows
    pixels[rows] = 255 - pixels[rows]
    np.save(tmp_path / "images.npy", pixels)
    images = dataclasses.replace(small_world.images, path=tmp_path / "images.npy")
    poisoned = run(dataclasses.replace(small_world, images=images), quick)
    assert poisoned.summary.decisions == plain.summary.decisions
    assert poisoned.summary.freezing == plain.summary.freezing
    assert files(poisoned, tmp_path) == files(plain, tmp_path)
    assert poisoned.summary.test.nll != plain.summary.test.nll


def test_poisoned_validation_labels_do_change_what_was_fitted(small_world, quick, plain):
    poisoned = run(with_labels(small_world, "val"), quick).summary
    assert poisoned.decisions.calibrator != plain.summary.decisions.calibrator
    assert poisoned.decisions.operating_points != plain.summary.decisions.operating_points


def test_calibration_improves_the_likelihood_of_an_overconfident_model(report):
    summary = report.summary
    assert summary.decisions.calibrator.temperature > 1
    methods = {one.method: one.nll for one in summary.freezing.calibration.methods}
    assert methods["temperature"] < methods["none"]
    assert summary.test.nll < summary.test.nll_uncalibrated


def test_decisions_already_in_the_contract_change_nothing(small_world, quick, plain):
    contract = small_world.bundle.contract.model_copy(update={"temperature": 9.0})
    other = dataclasses.replace(small_world, bundle=ModelBundle(small_world.bundle.path, contract))
    assert run(other, quick).summary == plain.summary


def test_batch_size_changes_no_figure(small_world, quick, plain):
    whole = run(small_world, quick.model_copy(update={"batch_size": 500})).summary
    assert whole.decisions.calibrator.temperature == pytest.approx(
        plain.summary.decisions.calibrator.temperature, rel=1e-4
    )
    assert whole.test.confusion == plain.summary.test.confusion


def test_the_same_seed_gives_the_same_report(small_world, quick, plain):
    assert run(small_world, quick).summary == plain.summary


def test_everything_is_measured(report):
    evidence = report.summary.evidence
    missing = [name for name in type(evidence).model_fields if getattr(evidence, name) is None]
    assert missing == ["checks_need"]  # what they would have needed, had it been too little
    assert len(evidence.operating_points) == 4
    assert set(evidence.gallery) == set(LABELS)
    assert len(evidence.robustness.perturbations) == 10


def test_hashes_of_what_the_model_saw_go_along_with_it(report, small_world):
    split = small_world.split
    seen = report.bundle_files[SEEN_FILE]
    assert len(seen) == len(split.indices("train")) + len(split.indices("val"))
    assert seen.data == small_world.manifest.provenance.name
    rows = np.arange(len(split.rows))
    checksums = checksum_bytes(["f" * 64] * len(rows))
    found = seen.match(checksums, coefficients(small_world.images.open(), rows))
    assert (found.distance == 0).tolist() == [name != "test" for name in split.rows["split"][rows]]


def test_what_is_said_of_skin_tone_is_said_of_these_pictures(report):
    assert "drawn" in report.summary.evidence.subgroups.skin_tone


def test_the_headline_and_the_evidence_are_the_same_figures(report):
    test, estimates = report.summary.test, report.summary.evidence.discrimination.images.estimates
    for name in ("accuracy", "macro_f1", "melanoma_auc", "ece"):
        assert getattr(test, name) == pytest.approx(estimates[name].value)
        assert test.intervals[name].ci_low == pytest.approx(estimates[name].ci_low)


def test_the_summary_keeps_the_contract_of_report_json(small_world, report):
    text = report.summary.model_dump_json()
    assert ReportSummary.model_validate_json(text) == report.summary
    test = report.summary.model_dump()["test"]
    names = {"accuracy", "balanced_accuracy", "macro_f1", "weighted_f1", "macro_auc",
             "melanoma_auc", "malignant_auc", "ece", "n_images", "n_lesions"}  # fmt: skip
    assert names <= test.keys()
    assert set(test["per_class"]) == set(LABELS)
    assert set(test["per_class"]["mel"]) == {"precision", "recall", "f1", "auc", "n"}
    assert (test["n_images"], test["n_lesions"]) == (84, 42)
    assert (test["purpose"], report.summary.val.purpose) == ("test", "selection")
    assert report.summary.split_hash == small_world.split.split_hash
    assert report.summary.bundle_hash == small_world.bundle.bundle_hash


def test_the_report_names_the_bundle_that_will_be_registered(small_world, report, tmp_path):
    """Also after what goes along was stored and read again, as between two steps."""
    again = {}
    for name, content in report.bundle_files.items():
        content.save(tmp_path / Path(name).name)
        again[name] = type(content).load(tmp_path / Path(name).name)
    assert len(again) >= 2
    final = small_world.bundle.with_decisions(report.summary.decisions, again, tmp_path / "bundle")
    assert final.bundle_hash == report.summary.decided_bundle_hash
    assert final.bundle_hash != report.summary.bundle_hash == small_world.bundle.bundle_hash


@pytest.mark.parametrize("field", ["data_fingerprint", "split_hash"])
def test_a_model_trained_on_other_data_or_another_split_is_refused(small_world, field):
    contract = small_world.bundle.contract.model_copy(update={field: "0" * 64})
    other = dataclasses.replace(small_world, bundle=ModelBundle(small_world.bundle.path, contract))
    with pytest.raises(ValueError, match="may have been seen in training"):
        run(other, EvaluateConfig())


def test_tables_that_list_different_images_are_refused(small_world):
    rows = small_world.split.rows.iloc[::-1].reset_index(drop=True)
    split = dataclasses.replace(small_world.split, rows=rows)
    with pytest.raises(ValueError, match="different images"):
        run(dataclasses.replace(small_world, split=split), EvaluateConfig())
    images = dataclasses.replace(small_world.images, shape=(7, 24, 32, 3))
    with pytest.raises(ValueError, match="one row for each picture"):
        run(dataclasses.replace(small_world, images=images), EvaluateConfig())


def test_figures_are_pictures(report):
    assert {
        "confusion_matrix",
        "roc",
        "reliability",
        "per_class",
        "forest",
    } <= report.figures.keys()
    assert {"ood_scores", "robustness", "gallery_mel_missed"} <= report.figures.keys()
    for data in report.figures.values():
        picture = Image.open(BytesIO(data))
        assert picture.format == "PNG"
        assert min(picture.size) > 150


def test_the_page_needs_no_other_file_and_no_network(report):
    page = report.to_html()
    assert page.count("<img") == len(report.figures)
    assert all(source.startswith("data:image/")
               for source in re.findall(r'src="([^"]*)"', page))  # fmt: skip
    assert all(target.startswith("#") for target in re.findall(r'href="([^"]*)"', page))
    assert "Further pictures" not in page  # every picture has its section
    assert "http" not in re.sub(r"base64,[^\"]*", "", page)
    assert "research only" in page
    assert f"{report.summary.test.macro_f1:.3f}" in page


def test_the_page_warns_where_the_model_knows_only_synthetic_pictures(report):
    real = dataclasses.replace(
        report, summary=report.summary.model_copy(update={"synthetic_only": False})
    )
    assert "computer-drawn" in report.to_html()
    assert "computer-drawn" not in real.to_html()


def test_the_page_escapes_what_it_is_given(report):
    evil = report.summary.model_copy(update={"licence": "<script>alert(1)</script>"})
    assert "<script>" not in dataclasses.replace(report, summary=evil).to_html()
