"""Curves and counts of the page of evidence agree with the recorded figures per lesion."""

import numpy as np
import pytest

from app.clinic.evidence_curves import confusion, reliability, roc, roc_band
from skin_lesion.evaluation.report import EvaluationReport, sample_of_test
from skin_lesion.evaluation.sample import Sample
from skin_lesion.labels import LABELS
from tests.small_world import QUICK


@pytest.fixture(scope="module")
def lesions(small_report: EvaluationReport) -> Sample:
    return sample_of_test(small_report.predictions).one_per_lesion()


@pytest.mark.parametrize("label", LABELS)
def test_the_area_under_a_curve_is_the_recorded_auc(
    lesions: Sample, small_report: EvaluationReport, label: str
) -> None:
    curve = roc(lesions, label)
    assert curve is not None
    assert (np.diff(curve.sensitivity) <= 0).all()
    estimates = small_report.summary.evidence.discrimination.lesions.estimates
    recorded = estimates[f"per_class.{label}.auc"].value
    # A curve of 101 steps cuts corners, of which few lesions have large ones.
    area = np.trapezoid(curve.sensitivity, curve.specificity)
    assert area == pytest.approx(recorded, abs=0.03)


def test_a_curve_lies_in_its_band_nearly_everywhere(lesions: Sample) -> None:
    curve = roc(lesions, "mel")
    band = roc_band(lesions, "mel", count=QUICK.resamples, seed=3)
    assert curve is not None
    assert band is not None
    assert (band.low <= band.high).all()
    middle = np.interp(band.specificity, curve.specificity, curve.sensitivity)
    inside = (middle >= band.low - 1e-9) & (middle <= band.high + 1e-9)
    assert inside.mean() > 0.9


def test_a_class_that_is_all_there_is_has_no_curve(lesions: Sample) -> None:
    alone = lesions.take(np.flatnonzero(lesions.truth == 0))
    assert roc(alone, LABELS[0]) is None
    assert roc(alone, LABELS[1]) is None
    assert roc_band(alone, LABELS[0], count=10, seed=1) is None


def test_the_matrix_counts_each_lesion_once(
    lesions: Sample, small_report: EvaluationReport
) -> None:
    counts = confusion(lesions)
    figures = small_report.summary.evidence.discrimination.lesions
    assert counts.sum() == figures.n_lesions
    assert counts.sum(axis=1).tolist() == [figures.class_lesions[label] for label in LABELS]
    accuracy = np.trace(counts) / counts.sum()
    assert accuracy == pytest.approx(figures.estimates["accuracy"].value)


@pytest.mark.parametrize("believed", ["top", "malignant", "melanoma"])
def test_bins_share_the_lesions_out_and_hold_their_intervals(
    lesions: Sample, believed: str
) -> None:
    bins = reliability(lesions, believed, 5)  # type: ignore[arg-type]
    assert sum(one.lesions for one in bins) == len(lesions)
    assert [one.said for one in bins] == sorted(one.said for one in bins)
    for one in bins:
        assert 0.0 <= one.ci_low <= one.seen <= one.ci_high <= 1.0
        assert one.ci_low < one.ci_high


def test_what_came_true_is_counted_of_the_event_that_the_probability_is_of(
    lesions: Sample,
) -> None:
    bins = reliability(lesions, "melanoma", 4)
    found = sum(one.seen * one.lesions for one in bins)
    assert found == pytest.approx((lesions.truth == LABELS.index("mel")).sum())
