import numpy as np
import pytest

from skin_lesion.decisions import softmax
from skin_lesion.evaluation.calibration import (
    TEMPERATURE_BOUNDS,
    calibrate,
    expected_calibration_error,
    fit_temperature,
    negative_log_likelihood,
    reliability_bins,
)


def drawn_from_own_probabilities(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are perfectly calibrated, and labels drawn from them."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, (n, 7))
    cumulative = softmax(logits).cumsum(axis=1)
    return logits, (random.random((n, 1)) > cumulative).sum(axis=1)


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_temperature_undoes_a_scaling_of_the_logits(factor):
    logits, truth = drawn_from_own_probabilities(20_000)
    assert fit_temperature(factor * logits, truth) == pytest.approx(factor, rel=0.03)


def test_temperature_is_the_minimum_of_the_likelihood_on_a_fine_grid():
    logits, truth = drawn_from_own_probabilities(150, seed=3)
    grid = np.geomspace(*TEMPERATURE_BOUNDS, 4001)
    best = grid[np.argmin([negative_log_likelihood(2 * logits, truth, t) for t in grid])]
    assert fit_temperature(2 * logits, truth) == pytest.approx(best, rel=2e-3)


def test_bins_by_hand():
    top = np.array([0.5, 0.6, 0.7, 0.9])
    probabilities = np.zeros((4, 7))
    probabilities[:, 0] = top
    probabilities[:, 1] = 1 - top
    truth = np.array([0, 3, 0, 0])  # right, wrong, right, right
    bins = reliability_bins(probabilities, truth, 2)
    np.testing.assert_allclose(bins.confidence, [0.55, 0.8])
    np.testing.assert_allclose(bins.accuracy, [0.5, 1.0])
    np.testing.assert_array_equal(bins.count, [2, 2])
    assert bins.calibration_error == pytest.approx((0.05 + 0.2) / 2)


def test_bins_hold_equally_many_images():
    logits, truth = drawn_from_own_probabilities(1000)
    counts = reliability_bins(softmax(logits), truth, 15).count
    assert counts.sum() == 1000
    assert counts.max() - counts.min() <= 2


def test_calibration_error_does_not_depend_on_the_order_of_images():
    logits, truth = drawn_from_own_probabilities(300)
    probabilities = softmax(logits.round())  # many ties
    order = np.random.default_rng(0).permutation(300)
    assert expected_calibration_error(probabilities, truth, 15) == pytest.approx(
        expected_calibration_error(probabilities[order], truth[order], 15), abs=1e-12
    )


def test_calibrated_probabilities_have_a_small_error_and_certain_ones_a_large_one():
    logits, truth = drawn_from_own_probabilities(20_000)
    assert expected_calibration_error(softmax(logits), truth, 15) < 0.02
    certain = softmax(100 * logits)
    share_wrong = (logits.argmax(axis=1) != truth).mean()
    assert expected_calibration_error(certain, truth, 15) == pytest.approx(share_wrong, abs=0.02)


def test_each_group_is_judged_at_a_temperature_fitted_without_it():
    logits, truth = drawn_from_own_probabilities(120, seed=5)
    groups = np.repeat(np.array([f"g{i}" for i in range(6)], dtype=object), 20)
    logits[groups == "g2"] *= 4  # one group unlike the others
    found = calibrate(logits, truth, groups, folds=6, bins=5, seed=0)
    temperatures = np.empty(120)
    for group in set(groups):
        inside = groups == group
        temperatures[inside] = fit_temperature(logits[~inside], truth[~inside])
    assert found.nll_cross_fitted == pytest.approx(
        negative_log_likelihood(logits, truth, temperatures)
    )
    assert found.ece_cross_fitted == pytest.approx(
        expected_calibration_error(softmax(logits, temperatures), truth, 5)
    )
    assert sorted(found.fold_temperatures) == pytest.approx(sorted(set(temperatures)))
    assert found.temperature == pytest.approx(fit_temperature(logits, truth))
    assert found.identified
    assert found.nll_cross_fitted > negative_log_likelihood(logits, truth, found.temperature)


def test_the_seed_alone_decides_the_folds():
    logits, truth = drawn_from_own_probabilities(200)
    groups = np.array([f"g{i // 2}" for i in range(200)], dtype=object)
    first, again, other = (
        calibrate(logits, truth, groups, folds=5, bins=10, seed=seed) for seed in (1, 1, 2)
    )
    assert first == again
    assert first.fold_temperatures != other.fold_temperatures
    assert first.temperature == other.temperature


def test_a_model_without_mistakes_is_not_made_certain():
    logits = 5 * np.eye(7)[np.arange(70) % 7]
    groups = np.arange(70).astype(str).astype(object)
    found = calibrate(logits, np.arange(70) % 7, groups, folds=5, bins=5, seed=0)
    assert found.temperature == 1
    assert not found.identified


def test_a_model_worse_than_chance_is_reported_at_the_bound():
    logits = -5 * np.eye(7)[np.arange(70) % 7]
    groups = np.arange(70).astype(str).astype(object)
    found = calibrate(logits, np.arange(70) % 7, groups, folds=5, bins=5, seed=0)
    assert found.temperature == pytest.approx(TEMPERATURE_BOUNDS[1], rel=1e-3)
    assert not found.identified


def test_fewer_groups_than_folds_give_fewer_folds():
    logits, truth = drawn_from_own_probabilities(30)
    groups = np.repeat(np.array(["a", "b", "c"], dtype=object), 10)
    assert calibrate(logits, truth, groups, folds=5, bins=5, seed=0).folds == 3


def test_one_group_cannot_be_calibrated():
    logits, truth = drawn_from_own_probabilities(10)
    with pytest.raises(ValueError, match="at least 2"):
        calibrate(logits, truth, np.full(10, "a", dtype=object), folds=5, bins=5, seed=0)
