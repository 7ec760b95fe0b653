import numpy as np
import pytest
from scipy.stats import binomtest

from skin_lesion.evaluation.figures import Estimate
from skin_lesion.evaluation.proportions import (
    cut_points,
    lesion_share,
    lesion_weights,
    sums_above,
    wilson_ends,
)
from skin_lesion.evaluation.resampling import Resamples


def test_the_counted_images_of_a_lesion_share_weight_one():
    groups = np.array([0, 0, 0, 1, 2, 2])
    of = np.array([True, True, False, True, False, False])
    assert lesion_weights(groups, of).tolist() == [0.5, 0.5, 0, 1, 0, 0]
    assert lesion_weights(groups).tolist() == [1 / 3] * 3 + [1, 0.5, 0.5]


def test_nothing_counted_weighs_nothing():
    assert not lesion_weights(np.array([0, 1]), np.zeros(2, bool)).any()


def test_each_lesion_weighs_the_same():
    groups = np.array([0, 0, 0, 1])
    hits = np.array([True, True, True, False])
    resamples = Resamples.over_lesions(groups, 400, 0)
    assert lesion_share(resamples, hits, groups, np.ones(4, bool)).value == 0.5


def test_the_interval_of_a_share_is_that_of_the_resampled_shares():
    random = np.random.default_rng(0)
    groups = np.sort(random.integers(0, 60, 100))
    groups = np.unique(groups, return_inverse=True)[1]
    hits, of = random.random(100) < 0.6, random.random(100) < 0.7
    resamples = Resamples.over_lesions(groups, 300, 1)
    found = lesion_share(resamples, hits, groups, of)
    weights = resamples.weights * lesion_weights(groups, of)
    drawn = (weights * hits).sum(axis=1) / weights.sum(axis=1)
    assert found.ci_low == pytest.approx(np.quantile(drawn, 0.025), abs=1e-6)
    assert found.ci_high == pytest.approx(np.quantile(drawn, 0.975), abs=1e-6)


def test_where_all_lesions_agree_the_interval_is_the_exact_binomial_one():
    groups = np.repeat(np.arange(5), 20)
    hits = np.ones(100, bool)
    resamples = Resamples.over_lesions(groups, 50, 0)
    exact = binomtest(5, 5).proportion_ci(method="exact")
    found = lesion_share(resamples, hits, groups, hits)
    assert (found.ci_low, found.ci_high) == pytest.approx((exact.low, exact.high))


def test_a_share_of_nothing_has_no_value():
    groups = np.arange(3)
    resamples = Resamples.over_lesions(groups, 20, 0)
    found = lesion_share(resamples, np.ones(3, bool), groups, np.zeros(3, bool))
    assert found == Estimate(value=None)


def test_wilson_agrees_with_scipy():
    cases = [(0, 5), (3, 5), (5, 5), (180, 200), (0, 1), (1, 1)]
    low, high = wilson_ends(*np.array(cases, dtype=float).T)
    expected = [binomtest(k, n).proportion_ci(method="wilson") for k, n in cases]
    assert low == pytest.approx([one.low for one in expected])
    assert high == pytest.approx([one.high for one in expected])


def test_a_share_of_nothing_may_be_anything():
    assert wilson_ends(np.zeros(1), np.zeros(1)).tolist() == [[0.0], [1.0]]


def test_cuts_lie_midway_between_different_scores():
    assert cut_points(np.array([0.6, 0.2, 0.6, 0.4])) == pytest.approx([0.1, 0.3, 0.5])
    assert cut_points(np.array([0.0, 1.0])) == pytest.approx([0.0, 0.5])


def test_scores_that_differ_by_rounding_alone_are_not_cut_apart():
    scores = np.array([0.1 + 0.2, 0.3, 0.7])
    assert len(cut_points(scores)) == 2
    tiny = np.array([1e-12, 2e-12])  # small is not the same as equal
    assert len(cut_points(tiny)) == 2


def test_sums_above_are_those_counted_one_by_one():
    random = np.random.default_rng(1)
    scores, values = random.integers(0, 6, 40) / 5, random.random(40)
    cuts = np.array([0.0, 0.2, 0.5, 1.0, 1.1])
    expected = [values[scores >= cut].sum() for cut in cuts]
    assert sums_above(scores, cuts, values) == pytest.approx(expected)
