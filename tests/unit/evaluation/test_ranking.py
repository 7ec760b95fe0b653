import numpy as np
import pytest
from sklearn import metrics as reference

from skin_lesion.evaluation.ranking import Ranking

RANDOM = np.random.default_rng(8)
POSITIVE = RANDOM.random(90) < 0.3
SCORES = {
    "no ties": RANDOM.normal(size=90) + POSITIVE,
    "ties": (RANDOM.normal(size=90) + POSITIVE).round(),
    "constant": np.zeros(90),
    "perfect": POSITIVE.astype(float),
    "reversed": 1.0 - POSITIVE,
}
WEIGHTS = RANDOM.poisson(1.0, (40, 90)).astype(np.float32)


@pytest.fixture(params=SCORES)
def score(request) -> np.ndarray:
    return SCORES[request.param]


@pytest.fixture
def ranked(score) -> Ranking:
    return Ranking.of(WEIGHTS, POSITIVE, score)


def by_hand(positive, score, weights=None) -> Ranking:
    weights = [[1.0] * len(score)] if weights is None else weights
    return Ranking.of(np.array(weights, np.float32), np.array(positive, bool), np.array(score))


def roc(score, weights) -> tuple[np.ndarray, np.ndarray]:
    return reference.roc_curve(POSITIVE, score, sample_weight=weights, drop_intermediate=False)[:2]


def test_areas_agree_with_scikit_learn(score, ranked):
    expected = [reference.roc_auc_score(POSITIVE, score, sample_weight=row) for row in WEIGHTS]
    np.testing.assert_allclose(ranked.aucs(), expected)


def test_average_precisions_agree_with_scikit_learn(score, ranked):
    expected = [
        reference.average_precision_score(POSITIVE, score, sample_weight=row) for row in WEIGHTS
    ]
    np.testing.assert_allclose(ranked.average_precisions(), expected)


@pytest.mark.parametrize("goal", [0.5, 0.9, 0.95, 1.0])
def test_what_is_read_off_the_curve_is_the_best_point_that_reaches_the_goal(score, ranked, goal):
    sensitivities = ranked.sensitivities_at_specificity(goal)
    specificities = ranked.specificities_at_sensitivity(goal)
    for row, weights in enumerate(WEIGHTS):
        false_rate, true_rate = roc(score, weights)
        reached = false_rate <= 1 - goal + 1e-9
        assert sensitivities[row] == pytest.approx(true_rate[reached].max())
        reached = true_rate >= goal - 1e-9
        assert specificities[row] == pytest.approx(1 - false_rate[reached].min())


def test_the_operating_points_by_hand():
    # From the top: + + - + - - - - - -: three positives, seven negatives.
    ranked = by_hand([0, 0, 0, 0, 0, 0, 1, 0, 1, 1], np.arange(10.0))
    # With no false positive two of three are found; six of seven negatives are 0.857.
    assert ranked.sensitivities_at_specificity(0.90).tolist() == pytest.approx([2 / 3])
    assert ranked.sensitivities_at_specificity(6 / 7).tolist() == pytest.approx([1.0])
    assert ranked.specificities_at_sensitivity(0.90).tolist() == pytest.approx([6 / 7])
    assert ranked.specificities_at_sensitivity(2 / 3).tolist() == pytest.approx([1.0])


def test_a_tie_across_the_goal_falls_on_the_safe_side():
    # Both positives tie with three of the ten negatives.
    ranked = by_hand([1, 1] + [0] * 10, [0.8] * 5 + [0.1] * 7)
    assert ranked.sensitivities_at_specificity(0.90).tolist() == [0.0]
    assert ranked.sensitivities_at_specificity(0.70).tolist() == [1.0]
    assert ranked.specificities_at_sensitivity(0.50).tolist() == pytest.approx([0.7])


def test_a_goal_that_is_met_exactly_is_met_whatever_rounding_says():
    assert 0.55 * 100 > 55
    # 55 of 100 negatives lie below the positive; then the same with the kinds exchanged.
    score = [0.5] + [0.1] * 55 + [0.9] * 45
    assert by_hand([1] + [0] * 100, score).sensitivities_at_specificity(0.55).tolist() == [1.0]
    score = [0.5] + [0.9] * 55 + [0.1] * 45
    assert by_hand([0] + [1] * 100, score).specificities_at_sensitivity(0.55).tolist() == [1.0]


def test_average_precision_by_hand():
    # Ranks of the positives from the top: 1 and 3.
    ranked = by_hand([0, 1, 0, 1], np.arange(4.0))
    assert ranked.average_precisions().tolist() == pytest.approx([(1 / 1 + 2 / 3) / 2])


@pytest.mark.parametrize("kind", [True, False])
def test_one_kind_of_image_alone_leaves_the_curve_undefined(kind):
    ranked = by_hand([kind] * 4, np.arange(4.0))
    assert np.isnan(ranked.aucs()).all()
    assert np.isnan(ranked.sensitivities_at_specificity(0.9)).all()
    assert np.isnan(ranked.specificities_at_sensitivity(0.9)).all()
    np.testing.assert_array_equal(ranked.average_precisions(), [1.0 if kind else np.nan])


def test_the_weights_are_left_as_they_are():
    before = WEIGHTS.copy()
    Ranking.of(WEIGHTS, POSITIVE, SCORES["ties"]).average_precisions()
    np.testing.assert_array_equal(WEIGHTS, before)
