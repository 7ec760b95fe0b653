"""From a report to the verdict: real reports, not made-up figures."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from skin_lesion.evaluation.report import EvaluationReport, evaluate, sample_of_test
from skin_lesion.evaluation.verdict import (
    ProductionModel,
    gate_figures,
    pass_judgement,
    worst_subgroup,
)
from skin_lesion.labels import LABELS
from skin_lesion.ledger import LedgerError
from skin_lesion.modeling.bundle import ModelBundle
from skin_lesion.release import release
from skin_lesion.settings import GateConfig
from tests.small_world import TRIED, Notebook

# Limits that the model of the small world keeps to, if barely.
LIMITS = GateConfig(
    min_macro_f1=0.5,
    min_balanced_accuracy=0.5,
    min_melanoma_auc=0.7,
    min_melanoma_sensitivity=0.5,
    min_worst_subgroup_auc=0.5,
    max_ece=0.3,
)
NEW = "n" * 64


@pytest.fixture(scope="module")
def bad(small_world, quick) -> EvaluationReport:
    """A model that calls every class by the name of the next one."""
    world = small_world
    rows = world.split.rows.assign(
        dx=[LABELS[(LABELS.index(dx) + 1) % 7] for dx in world.split.rows["dx"]]
    )
    manifest = dataclasses.replace(
        world.manifest, images=world.manifest.images.assign(dx=rows["dx"]), _cache={}
    )
    contract = world.bundle.contract.model_copy(update={"data_fingerprint": manifest.fingerprint})
    return evaluate(
        ModelBundle(world.bundle.path, contract),
        world.images,
        dataclasses.replace(world.split, rows=rows),
        manifest,
        quick.model_copy(update={"robustness_images": 0, "explained_images": 0}),
        seed=3,
        ledger=Notebook(),
        purpose=TRIED,
        draw=False,
    )


def judged(report, bundle_hash, limits, production, ledger=None):
    ledger = ledger or Notebook()
    return pass_judgement(report, bundle_hash, limits, production, ledger=ledger, purpose=TRIED)


def production_of(report: EvaluationReport, predictions: pd.DataFrame) -> ProductionModel:
    summary = report.summary
    return ProductionModel(
        "4", "p" * 64, summary.split_hash, summary.data_fingerprint, sample_of_test(predictions)
    )


def test_a_sound_model_passes(small_report):
    verdict = judged(small_report, NEW, LIMITS, None)
    assert verdict.passed, verdict.to_lines()


def test_a_deliberately_bad_model_fails_and_the_verdict_names_why(bad):
    verdict = judged(bad, NEW, LIMITS, None)
    assert not verdict.passed
    assert {"macro_f1", "balanced_accuracy"} <= {check.name for check in verdict.failed}
    [check] = [check for check in verdict.failed if check.name == "macro_f1"]
    assert f"{bad.summary.test.macro_f1:.3f}" in check.reason
    assert "below the minimum of 0.500" in check.reason
    assert verdict.to_tags()["gate"] == "failed"


def test_what_is_judged_are_the_figures_of_the_report(small_report):
    figures = gate_figures(small_report.summary, NEW)
    test = small_report.summary.test
    assert figures.macro_f1.value == pytest.approx(test.macro_f1)
    assert figures.ece.value == pytest.approx(test.ece)
    point = small_report.summary.decisions.operating_point("melanoma_sensitivity_95")
    sample = sample_of_test(small_report.predictions)
    melanomas = sample.truth == LABELS.index("mel")
    found = pd.Series(point.positive(sample.probabilities)[melanomas])
    expected = found.groupby(sample.groups[melanomas]).mean().mean()
    assert figures.melanoma_sensitivity.value == pytest.approx(expected)
    assert figures.bundle_hash == NEW


def test_the_worst_subgroup_is_the_one_with_the_lowest_malignant_auc(small_report):
    subgroups = small_report.summary.evidence.subgroups
    values = [
        figure.value
        for attribute in subgroups.attributes
        for group in attribute.groups
        if group.name != "unknown"
        and (figure := group.figure("malignant_auc")) is not None
        and figure.value is not None
    ]
    assert worst_subgroup(small_report.summary).malignant_auc.value == min(values)


def test_a_model_that_is_proven_worse_than_production_fails(small_report):
    perfect = small_report.predictions.copy()
    truth = np.array([LABELS.index(dx) for dx in perfect["dx"]])
    perfect[[f"p_{label}" for label in LABELS]] = 0.02 + 0.86 * np.eye(7)[truth]
    verdict = judged(small_report, NEW, LIMITS, production_of(small_report, perfect))
    assert any(check.name.startswith("no_regression") for check in verdict.failed)


def test_the_same_answers_as_production_are_no_regression(small_report):
    same = production_of(small_report, small_report.predictions)
    assert judged(small_report, NEW, LIMITS, same).passed


def test_production_on_another_split_cannot_be_compared(small_report):
    other = dataclasses.replace(
        production_of(small_report, small_report.predictions), split_hash="x" * 64
    )
    verdict = judged(small_report, NEW, LIMITS, other)
    [check] = verdict.failed
    assert "cannot be compared" in check.reason


def test_production_without_predictions_fails_rather_than_passes(small_report):
    silent = dataclasses.replace(production_of(small_report, small_report.predictions), sample=None)
    assert not judged(small_report, NEW, LIMITS, silent).passed


def test_production_on_other_pictures_of_the_same_names_cannot_be_compared(small_report):
    other = dataclasses.replace(
        production_of(small_report, small_report.predictions), data_fingerprint="x" * 64
    )
    assert not judged(small_report, NEW, LIMITS, other).passed


def test_a_threshold_that_flags_everything_has_found_nothing(small_report):
    """Without a melanoma in validation the threshold is 0, and finds each in test."""
    summary = small_report.summary
    points = tuple(
        one.model_copy(update={"point": one.point.model_copy(update={"threshold": 0.0})})
        for one in summary.evidence.operating_points
    )
    evidence = summary.evidence.model_copy(update={"operating_points": points})
    changed = dataclasses.replace(
        small_report, summary=summary.model_copy(update={"evidence": evidence})
    )
    verdict = judged(changed, NEW, LIMITS, None)
    assert "melanoma_sensitivity" in {check.name for check in verdict.failed}


def test_a_report_of_another_bundle_is_not_released(small_world, small_report, tmp_path):
    other = dataclasses.replace(
        small_report, summary=small_report.summary.model_copy(update={"bundle_hash": "o" * 64})
    )
    with pytest.raises(ValueError, match="evaluate this one"):
        release(small_world.bundle, other, LIMITS, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_a_comparison_with_production_is_written_down_first(small_report):
    class Full:
        def record(self, look):
            raise LedgerError("the disk is full")

    notebook = Notebook()
    other = production_of(small_report, small_report.predictions)
    judged(small_report, NEW, LIMITS, other, notebook)
    (look,) = notebook.looks
    assert (look.kind, look.against) == ("answers", other.bundle_hash)
    assert look.subject.trained_hash == small_report.summary.bundle_hash
    assert look.images == small_report.summary.test.n_images
    with pytest.raises(LedgerError):
        judged(small_report, NEW, LIMITS, other, Full())


def test_holding_recorded_figures_against_limits_is_no_look(small_report):
    notebook = Notebook()
    judged(small_report, NEW, LIMITS, None, notebook)
    other = production_of(small_report, small_report.predictions)
    judged(small_report, other.bundle_hash, LIMITS, other, notebook)
    assert not notebook.looks
