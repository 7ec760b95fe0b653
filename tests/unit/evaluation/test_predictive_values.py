import numpy as np
import pandas as pd
import pytest

from skin_lesion.decisions import OperatingPoint
from skin_lesion.evaluation.predictive_values import predictive_figures, predictive_values
from skin_lesion.evaluation.resampling import Resamples
from skin_lesion.evaluation.sample import Sample
from skin_lesion.labels import MELANOMA_INDEX

POINT = OperatingPoint(
    name="melanoma_sensitivity_90",
    target="melanoma",
    criterion="sensitivity",
    goal=0.9,
    threshold=0.5,
)


def sample_of(risks, melanoma):
    n = len(risks)
    probabilities = np.zeros((n, 7))
    probabilities[:, MELANOMA_INDEX] = risks
    probabilities[:, 0] = 1 - np.asarray(risks)
    names = [f"g{i:04d}" for i in range(n)]
    dx = np.where(melanoma, "mel", "nv")
    rows = pd.DataFrame({"image_id": names, "lesion_id": names, "group": names, "dx": dx})
    return Sample(rows, np.zeros((n, 7), np.float32), probabilities, np.zeros((n, 1), np.float32))


def noisy_sample(n=300):
    random = np.random.default_rng(0)
    melanoma = random.random(n) < 0.3
    return sample_of(np.clip(random.normal(0.35 + 0.3 * melanoma, 0.2), 0, 1), melanoma)


def test_bayes_by_hand():
    # Of 1000 pictures 10 are melanoma, 9 of them flagged, as are 20 % of 990.
    found = predictive_values(0.9, 0.8, 0.01)
    assert found.ppv == pytest.approx(9 / (9 + 198))
    assert found.npv == pytest.approx(792 / (792 + 1))


def test_shapes_are_broadcast():
    found = predictive_values(np.full((5, 1), 0.9), 0.8, np.array([0.1, 0.2, 0.5]))
    assert found.ppv.shape == found.npv.shape == (5, 3)
    assert (np.diff(found.ppv) > 0).all()
    assert (np.diff(found.npv) < 0).all()


def test_at_the_ends_of_the_prevalence_nothing_remains_to_be_found():
    found = predictive_values(0.9, 0.8, [0.0, 1.0])
    assert found.ppv.tolist() == [0.0, 1.0]
    assert found.npv.tolist() == [1.0, 0.0]


def test_a_test_that_never_flags_has_no_positive_predictive_value():
    assert np.isnan(predictive_values(0.0, 1.0, 0.1).ppv)
    assert np.isnan(predictive_values(1.0, 0.0, 0.1).npv)


@pytest.mark.parametrize("prevalence", [-0.1, 1.1, np.nan])
def test_a_prevalence_is_a_share(prevalence):
    with pytest.raises(ValueError, match="0 to 1"):
        predictive_values(0.9, 0.8, prevalence)


def test_at_the_samples_own_prevalence_they_are_the_measured_ones():
    sample = noisy_sample()
    melanoma = sample.truth == MELANOMA_INDEX
    flagged = sample.probabilities[:, MELANOMA_INDEX] >= 0.5
    found = predictive_figures(
        sample, POINT, Resamples.over_lesions(sample.groups, 200, 0), prevalences=[melanoma.mean()]
    )
    assert found.sample_prevalence == pytest.approx(melanoma.mean())
    assert found.rows[0].ppv.value == pytest.approx(melanoma[flagged].mean())
    assert found.rows[0].npv.value == pytest.approx((~melanoma)[~flagged].mean())


def test_the_intervals_are_those_of_bayes_on_each_resample():
    sample = noisy_sample()
    resamples = Resamples.over_lesions(sample.groups, 200, 0)
    melanoma = sample.truth == MELANOMA_INDEX
    flagged = sample.probabilities[:, MELANOMA_INDEX] >= 0.5
    drawn = []
    for weights in resamples.weights:
        sensitivity = np.average(flagged[melanoma], weights=weights[melanoma])
        specificity = np.average(~flagged[~melanoma], weights=weights[~melanoma])
        hits, alarms = sensitivity * 0.02, (1 - specificity) * 0.98
        drawn.append(hits / (hits + alarms))
    found = predictive_figures(sample, POINT, resamples, prevalences=(0.02, 0.2)).rows[0]
    assert found.ppv.ci_low == pytest.approx(np.quantile(drawn, 0.025), rel=1e-4)
    assert found.ppv.ci_high == pytest.approx(np.quantile(drawn, 0.975), rel=1e-4)


def test_there_is_no_interval_where_nothing_was_missed():
    melanoma = np.arange(40) < 20
    sample = sample_of(np.where(melanoma, 0.9, np.linspace(0.1, 0.6, 40)), melanoma)
    resamples = Resamples.over_lesions(sample.groups, 200, 0)
    row = predictive_figures(sample, POINT, resamples, prevalences=(0.1,)).rows[0]
    assert row.npv.value == 1.0
    assert row.npv.ci_low is None
    assert row.ppv.ci_low is not None


def test_a_sample_without_the_target_tells_nothing():
    sample = sample_of(np.linspace(0, 1, 10), np.zeros(10, bool))
    resamples = Resamples.over_lesions(sample.groups, 50, 0)
    row = predictive_figures(sample, POINT, resamples, prevalences=(0.1,)).rows[0]
    assert row.ppv.value is None
    assert row.npv.value is None
