"""Predictive values at any prevalence, lesion by lesion, agree with what the evaluation recorded."""

from dataclasses import replace

import numpy as np
import pytest

from app.clinic.evidence_values import REFERRAL, PointValues, point_values
from skin_lesion.evaluation.figures import Estimate
from skin_lesion.evaluation.report import EvaluationReport, sample_of_test
from skin_lesion.evaluation.resampling import estimate
from tests.small_world import QUICK


@pytest.fixture(scope="module")
def points(small_report: EvaluationReport) -> dict[str, PointValues]:
    return point_values(
        sample_of_test(small_report.predictions),
        small_report.summary.evidence.operating_points,
        count=QUICK.resamples,
        seed=small_report.summary.seed,
    )


def test_the_resampled_rates_are_those_of_the_recorded_intervals(
    points: dict[str, PointValues],
) -> None:
    for one in points.values():
        for drawn, recorded in (
            (one.sensitivity, one.figures.lesion_sensitivity),
            (one.specificity, one.figures.lesion_specificity),
        ):
            found = estimate(recorded.value, drawn)
            if found.ci_low is not None:  # else the exact interval is what is recorded
                assert found == recorded


@pytest.mark.parametrize("prevalence", [0.001, 0.03, 0.5])
def test_predictive_values_are_those_of_bayes(
    points: dict[str, PointValues], prevalence: float
) -> None:
    for one in points.values():
        row = one.at(prevalence)
        sensitivity = one.figures.lesion_sensitivity.value
        specificity = one.figures.lesion_specificity.value
        assert sensitivity is not None
        assert specificity is not None
        true, false = sensitivity * prevalence, (1 - specificity) * (1 - prevalence)
        assert row.ppv.value == pytest.approx(true / (true + false))
        for found in (row.ppv, row.npv):
            assert found.value is not None
            assert found.ci_low is not None
            assert found.ci_high is not None
            assert found.ci_low - 1e-12 <= found.value <= found.ci_high + 1e-12


def test_a_more_common_disease_makes_a_flag_mean_more(points: dict[str, PointValues]) -> None:
    for one in points.values():
        ppv = [one.at(prevalence).ppv.value or 0.0 for prevalence in (0.01, 0.05, 0.2, 0.5)]
        assert ppv == sorted(ppv)


def test_a_point_that_missed_nothing_does_not_promise_that_it_never_will(
    points: dict[str, PointValues],
) -> None:
    one = next(iter(points.values()))
    sure = replace(
        one,
        sensitivity=np.ones_like(one.sensitivity),
        figures=one.figures.model_copy(
            update={"lesion_sensitivity": Estimate(value=1.0, ci_low=0.7, ci_high=1.0)}
        ),
    )
    npv = sure.at(0.1).npv
    assert npv.value == 1.0
    assert npv.ci_low is not None
    assert npv.ci_low < 1.0


def test_the_prevalence_for_a_predictive_value_is_where_it_is_reached(
    points: dict[str, PointValues],
) -> None:
    for one in points.values():
        needed = one.prevalence_for(REFERRAL)
        assert needed is not None
        assert one.at(needed).ppv.value == pytest.approx(REFERRAL)


def test_a_point_that_finds_nothing_never_reaches_a_predictive_value(
    points: dict[str, PointValues],
) -> None:
    one = next(iter(points.values()))
    blind = replace(
        one,
        figures=one.figures.model_copy(update={"lesion_sensitivity": Estimate(value=0.0)}),
    )
    assert blind.prevalence_for(REFERRAL) is None
    unknown = replace(
        one,
        figures=one.figures.model_copy(update={"lesion_sensitivity": Estimate(value=None)}),
    )
    assert unknown.prevalence_for(REFERRAL) is None
    assert unknown.at(0.03).ppv == Estimate(value=None)
