import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import roc_auc_score

from skin_lesion.evaluation.figures import Estimate
from skin_lesion.evaluation.resampling import (
    Resamples,
    estimate,
    interval,
    share,
    summed_distance,
    symmetric_estimate,
)


@pytest.fixture(scope="module")
def groups() -> np.ndarray:
    random = np.random.default_rng(2)
    return np.concatenate([np.arange(80), random.integers(0, 80, 40)])


@pytest.fixture(scope="module")
def resamples(groups) -> Resamples:
    return Resamples.over_lesions(groups, 300, seed=4)


def with_weights(*rows: list[float]) -> Resamples:
    return Resamples(np.array(rows, np.float32))


# ------------------------------------------------------------------ drawing


def test_all_images_of_a_lesion_are_drawn_together(groups, resamples):
    for group in range(80):
        of_group = resamples.weights[:, groups == group]
        assert (of_group == of_group[:, :1]).all()


def test_as_many_lesions_are_drawn_as_there_are(groups, resamples):
    _, first = np.unique(groups, return_index=True)
    assert (resamples.weights[:, first].sum(axis=1) == 80).all()


def test_a_lesion_is_drawn_as_often_as_chance_would(groups):
    _, first = np.unique(groups, return_index=True)
    draws = Resamples.over_lesions(groups, 4000, seed=0).weights[:, first]
    # Binomial with 80 draws at 1/80 each.
    np.testing.assert_allclose(draws.mean(axis=0), 1, atol=0.08)
    assert draws.var() == pytest.approx(1 - 1 / 80, rel=0.03)


def test_equal_seeds_draw_the_same_lesions_and_others_do_not(groups, resamples):
    again = Resamples.over_lesions(groups, 300, seed=4)
    other = Resamples.over_lesions(groups, 300, seed=5)
    np.testing.assert_array_equal(resamples.weights, again.weights)
    assert (resamples.weights != other.weights).any()


def test_the_original_holds_each_image_once(groups):
    assert Resamples.original(groups).weights.tolist() == [[1.0] * len(groups)]


def test_lesions_are_counted_among_the_chosen_images():
    resamples = Resamples.over_lesions(np.array([0, 0, 1, 2]), 5, seed=0)
    assert resamples.lesions() == 3
    assert resamples.lesions(np.array([True, True, False, True])) == 2
    assert with_weights([1, 1]).lesions() is None


# ------------------------------------------------------------------ sums, means, areas


def test_sums_and_means_agree_with_repeating_the_images(resamples):
    values = np.random.default_rng(0).normal(size=120)
    chosen = values > -0.5
    sums, means = resamples.sums(values), resamples.means(values)
    of_chosen = resamples.means(values, chosen)
    for row, weights in enumerate(resamples.weights.astype(int)):
        images = np.repeat(np.arange(120), weights)
        assert sums[row] == pytest.approx(values[images].sum())
        assert means[row] == pytest.approx(values[images].mean())
        assert of_chosen[row] == pytest.approx(values[images[chosen[images]]].mean())


def test_a_mean_over_no_image_is_undefined():
    means = with_weights([1, 1, 0], [0, 0, 2]).means(
        np.array([True, False, True]), np.array([True, True, False])
    )
    np.testing.assert_array_equal(means, [0.5, np.nan])


def test_a_value_outside_the_chosen_images_does_not_matter():
    means = with_weights([1, 3]).means(np.array([2.0, np.nan]), np.array([True, False]))
    assert means.tolist() == [2.0]


@pytest.mark.parametrize("decimals", [1, 9], ids=["ties", "no ties"])
def test_areas_agree_with_the_weighted_ones_of_scikit_learn(resamples, decimals):
    random = np.random.default_rng(1)
    positive = random.random(120) < 0.3
    score = (random.normal(size=120) + positive).round(decimals)
    expected = [roc_auc_score(positive, score, sample_weight=row) for row in resamples.weights[:40]]
    np.testing.assert_allclose(resamples.aucs(positive, score)[:40], expected)


def test_equal_scores_throughout_give_an_area_of_one_half(resamples):
    positive = np.arange(120) % 3 == 0
    np.testing.assert_allclose(resamples.aucs(positive, np.zeros(120)), 0.5)


def test_a_resample_of_one_kind_alone_has_no_area():
    resamples = with_weights([1, 1, 1], [1, 1, 0], [0, 0, 3])
    areas = resamples.aucs(np.array([False, False, True]), np.array([0.1, 0.7, 0.5]))
    np.testing.assert_array_equal(areas, [0.5, np.nan, np.nan])


# ------------------------------------------------------------------ intervals


def test_the_interval_leaves_out_a_fortieth_on_each_side():
    found = interval(np.arange(401.0))
    assert (found.ci_low, found.ci_high) == pytest.approx((10.0, 390.0))


@pytest.mark.parametrize(("undefined", "given"), [(5, True), (6, False)])
def test_a_figure_too_often_undefined_has_no_interval(undefined, given):
    values = np.arange(100.0)
    values[:undefined] = np.nan
    assert (interval(values) is not None) == given
    assert (estimate(0.5, values).ci_low is not None) == given
    assert (symmetric_estimate(0.5, values, low=-99, high=99).ci_low is not None) == given


@pytest.mark.parametrize("value", [None, np.nan])
def test_an_undefined_figure_has_no_interval_either(value):
    assert estimate(value, np.arange(100.0)) == Estimate(value=None)


def test_a_figure_equal_in_all_resamples_has_no_interval():
    assert estimate(0.7, np.full(100, 0.7)) == Estimate(value=0.7)
    assert estimate(1.0, np.ones(100)) == Estimate(value=1.0)
    assert symmetric_estimate(0.1, np.full(100, 0.1), low=0, high=1) == Estimate(value=0.1)
    assert summed_distance(np.array([0.1, -0.2]), np.tile([0.1, -0.2], (9, 1))).ci_low is None


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_share_without_exception_has_the_exact_interval_for_its_lesions(value):
    # 60 images of 20 lesions.
    resamples = Resamples.over_lesions(np.arange(60) // 3, 200, seed=0)
    found = share(resamples, np.full(60, bool(value)))
    expected = binomtest(int(20 * value), 20).proportion_ci(0.95, method="exact")
    assert (found.ci_low, found.ci_high) == pytest.approx((expected.low, expected.high))


def test_a_share_counts_only_the_images_asked_for():
    resamples = Resamples.over_lesions(np.arange(200), 500, seed=0)
    hits, of = np.arange(200) % 4 == 0, np.arange(200) % 2 == 0
    found = share(resamples, hits, of)
    assert found.value == 0.5
    assert found.ci_low < 0.5 < found.ci_high
    assert share(resamples, hits, np.zeros(200, bool)) == Estimate(value=None)


def test_a_symmetric_interval_by_hand():
    # Distances from 0.3 are 0 to 0.4; 95 % of them are at most 0.38.
    resampled = 0.3 + np.linspace(0, 0.4, 101)
    found = symmetric_estimate(0.3, resampled, low=0.0, high=1.0)
    assert (found.ci_low, found.ci_high) == pytest.approx((0.0, 0.68))


def test_a_sum_of_distances_by_hand():
    # The second part is off by 0 to 0.04: 0.039 at 97.5 %. The sums are 0.26 to 0.3.
    resampled = np.stack([np.full(101, 0.2), -0.1 + np.linspace(0, 0.04, 101)], axis=1)
    found = summed_distance(np.array([0.2, -0.1]), resampled)
    assert (found.value, found.ci_low, found.ci_high) == pytest.approx((0.3, 0.261, 0.3))


# ------------------------------------------------------------------ what an interval promises


def coverage(truth: float, found: list[Estimate]) -> float:
    return float(np.mean([one.ci_low <= truth <= one.ci_high for one in found]))


def test_the_interval_holds_the_truth_in_95_of_100_samples_and_would_not_by_image():
    """120 lesions of four images each, all four right or all four wrong."""
    random = np.random.default_rng(3)
    lesion = np.repeat(np.arange(120), 4)
    by_lesion, by_image = [], []
    for seed in range(100):
        hits = (random.random(120) < 0.7)[lesion]
        by_lesion.append(share(Resamples.over_lesions(lesion, 200, seed), hits))
        by_image.append(share(Resamples.over_lesions(np.arange(480), 200, seed), hits))
    assert 0.89 <= coverage(0.7, by_lesion) <= 0.99
    assert coverage(0.7, by_image) < 0.80


def test_the_interval_of_an_area_holds_the_truth_in_95_of_100_samples():
    random = np.random.default_rng(6)
    truth = 0.7602499389  # of two normal distributions one standard deviation apart
    found = []
    for seed in range(100):
        positive = np.arange(150) % 3 == 0
        score = random.normal(size=150) + positive
        areas = Resamples.over_lesions(np.arange(150), 200, seed).aucs(positive, score)
        found.append(estimate(roc_auc_score(positive, score), areas))
    assert 0.89 <= coverage(truth, found) <= 0.99
