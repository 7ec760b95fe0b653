import json

import pytest
from pydantic import ValidationError

from skin_lesion.evaluation.figures import Estimate
from skin_lesion.evaluation.gate_report import GateCheck, GateReport
from skin_lesion.evaluation.gates import (
    GUARDED,
    GateFigures,
    ProductionComparison,
    ProductionDifferences,
    WorstSubgroup,
    judge,
)
from skin_lesion.settings import GateConfig

LIMITS = GateConfig(
    min_macro_f1=0.6,
    min_balanced_accuracy=0.6,
    min_melanoma_auc=0.85,
    min_melanoma_sensitivity=0.85,
    min_worst_subgroup_auc=0.7,
    max_ece=0.1,
    max_regression=0.02,
)


def near(value: float, width: float = 0.02) -> Estimate:
    return Estimate(value=value, ci_low=value - width, ci_high=value + width)


GOOD = GateFigures(
    macro_f1=near(0.7),
    balanced_accuracy=near(0.72),
    macro_auc=near(0.95),
    melanoma_auc=near(0.9),
    ece=near(0.04),
    melanoma_sensitivity=near(0.94),
    worst_subgroup=WorstSubgroup(name="site: face", malignant_auc=near(0.8)),
    synthetic_only=False,
    split_hash="a" * 64,
    bundle_hash="b" * 64,
)
EVEN = ProductionDifferences(
    macro_f1=near(0.0), balanced_accuracy=near(0.0), macro_auc=near(0.0), melanoma_auc=near(0.0)
)
PRODUCTION = ProductionComparison(
    version="7", bundle_hash="c" * 64, split_hash="a" * 64, differences=EVEN
)
# Rule, field it judges, a figure that breaks it.
BROKEN = [
    ("macro_f1", "macro_f1", near(0.5)),
    ("balanced_accuracy", "balanced_accuracy", near(0.5)),
    ("melanoma_auc", "melanoma_auc", near(0.8)),
    ("melanoma_sensitivity", "melanoma_sensitivity", near(0.7)),
    ("worst_subgroup_auc", "worst_subgroup", WorstSubgroup(name="sex: x", malignant_auc=near(0.6))),
    ("ece", "ece", near(0.2)),
]
MISSING = [
    (rule, field, None if field == "worst_subgroup" else Estimate(value=None))
    for rule, field, _ in BROKEN
]


def check(report: GateReport, name: str) -> GateCheck:
    return next(one for one in report.checks if one.name == name)


def with_difference(name: str, figure: Estimate) -> ProductionComparison:
    return PRODUCTION.model_copy(update={"differences": EVEN.model_copy(update={name: figure})})


def test_a_good_model_passes_every_check():
    report = judge(GOOD, LIMITS, PRODUCTION)
    assert report.passed
    assert not report.failed
    assert report.to_tags() == {"gate": "passed", "gate_failed": "", "gate_basis": "real"}


@pytest.mark.parametrize(("rule", "field", "figure"), BROKEN)
def test_each_limit_fails_alone_and_says_why(rule, field, figure):
    report = judge(GOOD.model_copy(update={field: figure}), LIMITS, PRODUCTION)
    assert [one.name for one in report.failed] == [rule]
    assert report.to_tags()["gate_failed"] == rule
    failed = check(report, rule)
    assert f"{failed.value:.3f}" in failed.reason
    assert ("below the minimum" in failed.reason) != ("above the maximum" in failed.reason)


@pytest.mark.parametrize(("rule", "field", "figure"), MISSING)
def test_a_missing_figure_never_passes(rule, field, figure):
    report = judge(GOOD.model_copy(update={field: figure}), LIMITS, PRODUCTION)
    assert [one.name for one in report.failed] == [rule]
    assert "missing" in check(report, rule).reason


def test_a_figure_that_is_not_a_number_counts_as_missing():
    report = judge(GOOD.model_copy(update={"ece": Estimate(value=float("nan"))}), LIMITS, None)
    assert [one.name for one in report.failed] == ["ece"]
    assert check(report, "ece").value is None
    json.loads(report.model_dump_json())


def test_a_bad_model_is_failed_for_all_its_faults():
    bad = GOOD.model_copy(update={field: figure for _, field, figure in BROKEN})
    report = judge(bad, LIMITS, PRODUCTION)
    names = [rule for rule, *_ in BROKEN]
    assert report.to_tags() == {
        "gate": "failed", "gate_failed": ",".join(names), "gate_basis": "real"
    }  # fmt: skip
    shown = report.to_html()
    assert all(name in shown for name in names)
    assert report.to_lines()[0].startswith("Failed: 6 of 10")


@pytest.mark.parametrize("limit", [0.7, 0.6999])
def test_the_limit_itself_is_enough(limit):
    limits = LIMITS.model_copy(update={"min_macro_f1": limit})
    assert judge(GOOD, limits, None).passed


def test_the_figure_itself_decides_and_the_interval_only_speaks():
    limits = LIMITS.model_copy(update={"min_macro_f1": 0.69})
    passed = check(judge(GOOD, limits, None), "macro_f1")
    assert passed.passed
    assert "interval reaches over the limit" in passed.reason
    clear = check(judge(GOOD, LIMITS, None), "macro_f1")
    assert "reaches over" not in clear.reason


def test_a_near_miss_is_not_rounded_onto_its_limit():
    figures = GOOD.model_copy(update={"macro_f1": Estimate(value=0.59996)})
    reason = check(judge(figures, LIMITS, None), "macro_f1").reason
    assert "0.599960" in reason
    assert "no interval" in reason


@pytest.mark.parametrize("name", GUARDED)
def test_a_proven_loss_beyond_the_allowed_one_fails(name):
    report = judge(
        GOOD, LIMITS, with_difference(name, Estimate(value=-0.06, ci_low=-0.1, ci_high=-0.021))
    )
    assert [one.name for one in report.failed] == [f"no_regression_{name}"]


@pytest.mark.parametrize("name", GUARDED)
def test_a_loss_that_may_be_chance_or_is_allowed_passes(name):
    for figure in (
        Estimate(value=-0.06, ci_low=-0.12, ci_high=0.01),  # may be chance
        Estimate(value=-0.03, ci_low=-0.04, ci_high=-0.02),  # may be no more than is allowed
    ):
        assert judge(GOOD, LIMITS, with_difference(name, figure)).passed


@pytest.mark.parametrize("figure", [Estimate(value=None), Estimate(value=0.1)])
def test_a_difference_without_its_interval_fails(figure):
    report = judge(GOOD, LIMITS, with_difference("macro_auc", figure))
    assert [one.name for one in report.failed] == ["no_regression_macro_auc"]


def test_figures_of_different_splits_are_not_compared():
    other = PRODUCTION.model_copy(update={"split_hash": "d" * 64})
    report = judge(GOOD, LIMITS, other)
    assert [one.name for one in report.failed] == ["no_regression"]
    assert "cannot be compared" in report.failed[0].reason
    assert "aaaaaaaaaaaa" in report.failed[0].reason
    assert "dddddddddddd" in report.failed[0].reason


def test_a_production_model_that_was_not_measured_is_no_excuse():
    report = judge(GOOD, LIMITS, PRODUCTION.model_copy(update={"differences": None}))
    assert [one.name for one in report.failed] == ["no_regression"]


def test_without_a_production_model_there_is_nothing_to_fall_behind():
    report = judge(GOOD, LIMITS, None)
    assert report.passed
    assert "no production model" in check(report, "no_regression").reason


def test_the_production_model_does_not_fall_behind_itself():
    itself = PRODUCTION.model_copy(update={"bundle_hash": GOOD.bundle_hash, "differences": None})
    assert judge(GOOD, LIMITS, itself).passed


def test_a_verdict_on_drawn_pictures_says_so():
    report = judge(GOOD.model_copy(update={"synthetic_only": True}), LIMITS, None)
    assert report.to_tags()["gate_basis"] == "synthetic"
    assert "drawn" in report.to_lines()[1]
    assert "drawn" in report.to_html()


def test_names_of_subgroups_are_shown_and_not_obeyed():
    worst = WorstSubgroup(name="<script>", malignant_auc=near(0.6))
    shown = judge(GOOD.model_copy(update={"worst_subgroup": worst}), LIMITS, None).to_html()
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown


def test_a_verdict_cannot_contradict_its_checks():
    report = judge(GOOD, LIMITS, None)
    with pytest.raises(ValidationError, match="the checks say"):
        GateReport.model_validate(report.model_dump() | {"passed": False})
