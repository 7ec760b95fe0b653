import dataclasses
import json
import re
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from skin_lesion.data.seen import checksum_bytes, coefficients
from skin_lesion.evaluation import forward as forward_module
from skin_lesion.evaluation.report import EvaluationReport
from skin_lesion.evaluation.summary import ReportSummary
from skin_lesion.labels import LABELS
from skin_lesion.ledger import LedgerError
from skin_lesion.modeling.bundle import DRIFT_FILE, OOD_FILE, SEEN_FILE, ModelBundle
from skin_lesion.settings import EvaluateConfig
from tests.small_world import Notebook


@pytest.fixture
def report(small_report: EvaluationReport) -> EvaluationReport:
    return small_report


def quick_of(config: EvaluateConfig) -> EvaluateConfig:
    """Without what takes longest: perturbations and explanations."""
    return config.model_copy(update={"robustness_images": 0, "explained_images": 0})


def run(world, config: EvaluateConfig) -> EvaluationReport:
    """Without pictures, either."""
    return world.evaluate(quick_of(config), draw=False)


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


class Witness(Notebook):
    """Remembers how many pictures the model had seen when it was told of the look."""

    def __init__(self) -> None:
        super().__init__()
        self.shown = 0
        self.shown_before = 0

    def record(self, look):
        self.shown_before = self.shown
        return super().record(look)


def test_the_look_is_written_down_before_a_test_picture_is_shown(
    small_world, quick, plain, monkeypatch
):
    witness = Witness()

    def forward(model, pixels, rows, batch_size):
        if len(pixels) == len(small_world.split.rows):
            assert witness.looks or not set(rows) & set(small_world.test_rows)
            witness.shown += len(rows)
        return forward_module.forward(model, pixels, rows, batch_size)

    monkeypatch.setattr("skin_lesion.evaluation.report.forward", forward)
    report = small_world.evaluate(quick_of(quick), witness, draw=False)
    split = small_world.split
    assert witness.shown_before == len(split.indices("train")) + len(split.indices("val"))
    assert witness.shown == len(split.rows)
    (look,) = witness.looks
    # It names what will be served, every threshold included, which is what is registered later.
    assert look.subject.bundle_hash == report.summary.decided_bundle_hash
    assert look.subject.trained_hash == small_world.bundle.bundle_hash
    assert (look.split_hash, look.images) == (split.split_hash, len(small_world.test_rows))
    assert report.summary.looks.row == 1
    assert report.summary.decided_bundle_hash == plain.summary.decided_bundle_hash


def test_where_the_look_cannot_be_written_down_no_test_picture_is_shown(
    small_world, quick, monkeypatch
):
    class Full:
        def record(self, look):
            raise LedgerError("the disk is full")

    def forward(model, pixels, rows, batch_size):
        assert not set(rows) & set(small_world.test_rows) or len(pixels) != len(
            small_world.split.rows
        )
        return forward_module.forward(model, pixels, rows, batch_size)

    monkeypatch.setattr("skin_lesion.evaluation.report.forward", forward)
    with pytest.raises(LedgerError, match="the disk is full"):
        small_world.evaluate(quick_of(quick), Full(), draw=False)


def test_measured_again_it_is_another_look_and_the_same_figures(small_world, quick):
    notebook = Notebook()
    first, second = (
        small_world.evaluate(quick_of(quick), notebook, draw=False).summary for _ in range(2)
    )
    assert (first.looks.before, second.looks.before) == (0, 1)
    assert first.model_copy(update={"looks": second.looks}) == second


def test_a_report_from_before_the_ledger_can_still_be_read(report):
    old = report.summary.model_dump(mode="json")
    del old["looks"]
    summary = ReportSummary.model_validate_json(json.dumps(old))
    assert summary.looks is None
    page = dataclasses.replace(report, summary=summary).to_html()
    assert "is not known: no ledger was kept" in page


def test_the_page_tells_how_many_looks_came_before(report):
    looks = report.summary.looks
    assert "had not been looked at before" in report.to_html()
    looks = looks.model_copy(update={"row": 9, "before": 6, "models_before": 2})
    summary = report.summary.model_copy(update={"looks": looks})
    page = dataclasses.replace(report, summary=summary).to_html()
    assert "had been looked at 6 times before this look, since 2026-01-01" in page
    assert "at 2 other trained models" in page
    assert looks.head in page


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
