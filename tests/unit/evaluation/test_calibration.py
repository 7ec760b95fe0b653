import numpy as np
import pytest

from skin_lesion.decisions import softmax
from skin_lesion.evaluation.calibration import (
    LEAST_SCALE,
    TEMPERATURE_BOUNDS,
    equal_mass_bins,
    expected_calibration_error,
    fit_isotonic,
    fit_temperature,
    fit_vector,
    image_brier,
    image_nll,
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


def test_vector_scaling_finds_a_known_scale_and_offset():
    logits, truth = drawn_from_own_probabilities(20_000)
    scale = np.array([0.5, 1.0, 2.0, 1.5, 0.8, 1.2, 1.0])
    offset = np.array([-1.0, 0.5, 0.0, 1.0, -0.5, 0.2, -0.2])
    found = fit_vector((logits - offset) / scale, truth)
    np.testing.assert_allclose(found.scale, scale, rtol=0.06)
    # A common shift of all offsets changes no probability.
    np.testing.assert_allclose(
        np.array(found.offset) - np.mean(found.offset), offset - offset.mean(), atol=0.08
    )


def test_vector_scaling_is_the_minimum_that_another_optimiser_finds():
    from scipy.optimize import minimize

    logits, truth = drawn_from_own_probabilities(200, seed=4)
    logits = 2 * logits + [1, 0, 0, -1, 0, 0, 0]
    temperature = fit_temperature(logits, truth)

    def loss(parameters: np.ndarray) -> float:
        scale, offset = parameters[:7], parameters[7:]
        probabilities = softmax(logits / temperature * scale + offset)
        prior = (((scale - 1) ** 2).sum() + (offset**2).sum()) / (2 * 0.5**2)
        return -np.log(probabilities[np.arange(200), truth]).sum() + prior

    best = minimize(loss, np.repeat([1.0, 0.0], 7), method="SLSQP", options={"ftol": 1e-12})
    found = fit_vector(logits, truth)
    np.testing.assert_allclose(np.array(found.scale) * temperature, best.x[:7], atol=2e-3)
    np.testing.assert_allclose(found.offset, best.x[7:], atol=2e-3)


def test_a_class_without_an_image_keeps_a_probability_under_vector_scaling():
    logits, truth = drawn_from_own_probabilities(1500)
    logits, truth = logits[truth != 3], truth[truth != 3]
    found = fit_vector(logits, truth)
    assert -5 < found.offset[3] < 0
    assert found.probabilities(logits)[:, 3].mean() > 1e-3


def test_a_scale_stays_above_0_where_the_logit_says_the_opposite():
    logits, truth = drawn_from_own_probabilities(3000)
    logits[:, 2] *= -1
    assert fit_vector(logits, truth).scale[2] == pytest.approx(
        LEAST_SCALE / fit_temperature(logits, truth)
    )


def test_isotonic_is_that_of_scikit_learn_for_each_class_then_normalised():
    from sklearn.isotonic import IsotonicRegression

    logits, truth = drawn_from_own_probabilities(600)
    new = drawn_from_own_probabilities(200, seed=9)[0] * 1.5
    curves = np.stack(
        [
            IsotonicRegression(y_min=1 / 602, y_max=1, out_of_bounds="clip")
            .fit(softmax(logits)[:, i], truth == i)
            .predict(softmax(new)[:, i])
            for i in range(7)
        ],
        axis=1,
    )
    np.testing.assert_allclose(
        fit_isotonic(logits, truth).probabilities(new),
        curves / curves.sum(axis=1, keepdims=True),
        atol=1e-9,
    )


def test_isotonic_calls_nothing_impossible_nor_certain():
    logits = 20 * np.eye(7)[np.arange(70) % 7]
    probabilities = fit_isotonic(logits, np.arange(70) % 7).probabilities(logits)
    assert probabilities.min() == pytest.approx(1 / 72 / (1 + 6 / 72))
    assert probabilities.max() < 1


def test_isotonic_survives_constant_logits():
    truth = np.array([0, 0, 1, 2])
    probabilities = fit_isotonic(np.zeros((4, 7)), truth).probabilities(np.zeros((1, 7)))
    np.testing.assert_allclose(probabilities[0, :3] / probabilities[0, 1], [2, 1, 1])


def test_likelihood_and_brier_are_those_of_scikit_learn():
    from sklearn.metrics import brier_score_loss, log_loss

    logits, truth = drawn_from_own_probabilities(300)
    probabilities = softmax(logits)
    assert image_nll(probabilities, truth).mean() == pytest.approx(
        log_loss(truth, probabilities, labels=range(7))
    )
    assert image_brier(probabilities, truth).mean() == pytest.approx(
        brier_score_loss(truth, probabilities, labels=range(7), scale_by_half=False)
    )


def test_a_probability_rounded_to_0_has_a_finite_likelihood():
    certain = np.eye(7)[[0]]
    assert np.isfinite(image_nll(certain, np.array([1]))).all()


def test_equal_scores_share_a_bin():
    score = np.repeat([0.1, 0.2, 0.9], [50, 3, 2])
    bins = equal_mass_bins(score, 10)
    assert len(set(bins[:50])) == 1
    assert bins.max() < 10
