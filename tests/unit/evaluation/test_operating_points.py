import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, precision_score, recall_score

from skin_lesion.decisions import OperatingPoint, target_score, target_truth
from skin_lesion.evaluation.operating_points import (
    choose_operating_points,
    cross_fitted_point,
    measure_point,
)
from skin_lesion.evaluation.proportions import lesion_weights
from skin_lesion.evaluation.resampling import Resamples
from skin_lesion.evaluation.sample import Sample
from skin_lesion.labels import LABEL_INDEX, LABELS, MELANOMA_INDEX

NV = LABEL_INDEX["nv"]


def melanoma_risks(risks):
    """Rows whose melanoma probability is the risk and whose rest is naevus."""
    probabilities = np.zeros((len(risks), 7))
    probabilities[:, MELANOMA_INDEX] = risks
    probabilities[:, NV] = 1 - np.asarray(risks)
    return probabilities


def sample_of(probabilities, truth, groups):
    names = [f"g{group:05d}" for group in groups]
    rows = pd.DataFrame(
        {
            "image_id": [f"i{i:05d}" for i in range(len(truth))],
            "lesion_id": names,
            "group": names,
            "dx": [LABELS[i] for i in truth],
        }
    )
    return Sample(
        rows,
        np.log(probabilities + 1e-9).astype(np.float32),
        probabilities,
        np.zeros((len(truth), 1), np.float32),
    )


def random_case(seed, n=400, lesions=250, decimals=None):
    random = np.random.default_rng(seed)
    groups = np.unique(random.integers(0, lesions, n), return_inverse=True)[1]
    truth = random.choice(7, lesions, p=[0.05, 0.08, 0.1, 0.03, 0.2, 0.5, 0.04])[groups]
    logits = random.normal(size=(n, 7))
    logits[np.arange(n), truth] += 1.5
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    if decimals is not None:
        probabilities = np.round(probabilities, decimals)
    return probabilities, truth, groups


def point(name, probabilities, truth, groups):
    points = choose_operating_points(probabilities, truth, groups)
    return next(one for one in points if one.name == name)


def lesion_sensitivity(threshold, score, positive, groups):
    weights = lesion_weights(groups, positive)
    return weights[score >= threshold].sum() / weights.sum()


def test_the_points_are_those_that_the_model_travels_with():
    points = choose_operating_points(*random_case(0))
    assert [(one.name, one.target, one.criterion, one.goal) for one in points] == [
        ("melanoma_sensitivity_90", "melanoma", "sensitivity", 0.90),
        ("melanoma_sensitivity_95", "melanoma", "sensitivity", 0.95),
        ("malignant_sensitivity_95", "malignant", "sensitivity", 0.95),
        ("melanoma_ppv_3", "melanoma", "ppv", 0.03),
    ]


@pytest.mark.parametrize("decimals", [None, 2, 1])
@pytest.mark.parametrize("seed", range(4))
def test_a_sensitivity_threshold_is_the_largest_that_reaches_its_goal(seed, decimals):
    probabilities, truth, groups = random_case(seed, decimals=decimals)
    for one in choose_operating_points(probabilities, truth, groups)[:3]:
        score = target_score(probabilities, one.target)
        positive = target_truth(truth, one.target)
        assert lesion_sensitivity(one.threshold, score, positive, groups) >= one.goal - 1e-9
        higher = score[score >= one.threshold].min() + 1e-6
        assert lesion_sensitivity(higher, score, positive, groups) < one.goal


def test_a_threshold_lies_midway_between_two_scores():
    risks = [*np.linspace(0.5, 0.9, 10), 0.2, 0.45]
    truth = np.array([MELANOMA_INDEX] * 10 + [NV, NV])
    found = point("melanoma_sensitivity_95", melanoma_risks(risks), truth, np.arange(12))
    assert found.threshold == pytest.approx((0.45 + 0.5) / 2)


@given(st.integers(0, 50))
@settings(max_examples=15, deadline=None)
def test_rounding_of_the_scores_changes_no_decision(seed):
    probabilities, truth, groups = random_case(seed, n=120, lesions=80, decimals=2)
    noise = np.random.default_rng(seed).uniform(-1e-12, 1e-12, probabilities.shape)
    noisy = np.clip(probabilities + noise, 0, 1)
    for one in choose_operating_points(noisy, truth, groups)[:3]:
        assert (one.positive(noisy) == one.positive(probabilities)).all()


def test_each_lesion_weighs_the_same():
    # Nine lesions of one picture and one of 91: by pictures, the latter alone would decide.
    risks = [*np.linspace(0.5, 0.9, 9), *np.full(91, 0.1), 0.05]
    truth = np.array([MELANOMA_INDEX] * 100 + [NV])
    groups = np.array([*range(9), *np.full(91, 9), 10])
    found = point("melanoma_sensitivity_90", melanoma_risks(risks), truth, groups)
    assert found.threshold == pytest.approx((0.1 + 0.5) / 2)


def test_the_referral_point_flags_every_risk_from_three_percent():
    probabilities, truth, groups = random_case(3)
    found = point("melanoma_ppv_3", probabilities, truth, groups)
    assert found.threshold == 0.03
    assert found.reached
    assert found.positive(melanoma_risks([0.03, 0.0299])).tolist() == [True, False]


@pytest.mark.parametrize(
    ("melanomas", "naevi", "reached"), [(0, 100, False), (2, 98, False), (3, 97, True), (3, 10, False)]
)  # fmt: skip
def test_the_referral_point_is_reached_where_enough_lesions_bear_its_risk_out(
    melanomas, naevi, reached
):
    truth = np.array([MELANOMA_INDEX] * melanomas + [NV] * naevi)
    found = point(
        "melanoma_ppv_3", melanoma_risks([0.5] * len(truth)), truth, np.arange(len(truth))
    )
    assert found.reached is reached


def test_a_risk_of_exactly_three_percent_is_referred():
    truth = np.array([MELANOMA_INDEX] * 3 + [NV] * 97)
    found = point("melanoma_ppv_3", melanoma_risks([0.03] * 100), truth, np.arange(100))
    assert found.reached
    assert found.positive(melanoma_risks([0.03] * 100)).all()


@pytest.mark.parametrize(
    ("name", "enough"), [("melanoma_sensitivity_90", 10), ("melanoma_sensitivity_95", 20)]
)
def test_a_goal_needs_as_many_lesions_as_let_one_be_missed(name, enough):
    for lesions in (enough - 1, enough):
        # Two pictures of each lesion: pictures are not what counts.
        groups = np.repeat(np.arange(lesions + 1), 2)
        truth = np.array([MELANOMA_INDEX] * (2 * lesions) + [NV, NV])
        risks = np.linspace(0.9, 0.1, len(truth))
        found = point(name, melanoma_risks(risks), truth, groups)
        assert found.reached is (lesions == enough)


def test_without_positives_everything_is_flagged_and_nothing_reached():
    truth = np.full(50, NV)
    risks = np.linspace(0, 0.9, 50)
    for one in choose_operating_points(melanoma_risks(risks), truth, np.arange(50)):
        assert not one.reached
        if one.criterion == "sensitivity":
            assert one.threshold == 0.0
            assert one.positive(melanoma_risks(risks)).all()


def test_without_negatives_the_threshold_is_found_all_the_same():
    risks = np.linspace(0.01, 1.0, 100)
    truth = np.full(100, MELANOMA_INDEX)
    found = point("melanoma_sensitivity_90", melanoma_risks(risks), truth, np.arange(100))
    assert found.reached
    assert found.threshold == pytest.approx(0.105)


@pytest.mark.parametrize("risk", [0.0, 0.4, 1.0])
def test_constant_scores_are_all_flagged(risk):
    truth = np.array([MELANOMA_INDEX, NV] * 30)
    probabilities = melanoma_risks([risk] * 60)
    for one in choose_operating_points(probabilities, truth, np.arange(60))[:3]:
        assert one.positive(probabilities).all()


def test_wrong_inputs_are_refused():
    probabilities, truth, groups = random_case(0)
    with pytest.raises(ValueError, match="at least one image"):
        choose_operating_points(probabilities[:0], truth[:0], groups[:0])
    with pytest.raises(ValueError, match="for every image"):
        choose_operating_points(probabilities, truth[:-1], groups)
    with pytest.raises(ValueError, match="calibrated probabilities"):
        choose_operating_points(probabilities * 2, truth, groups)
    probabilities[3, 2] = np.nan
    with pytest.raises(ValueError, match="calibrated probabilities"):
        choose_operating_points(probabilities, truth, groups)


def test_test_images_have_no_say_in_a_threshold():
    validation, test = random_case(1), sample_of(*random_case(2))
    before = choose_operating_points(*validation)
    resamples = Resamples.over_lesions(test.groups, 20, 0)
    figures = [measure_point(test, one, resamples) for one in before]
    poisoned = sample_of(np.roll(test.probabilities, 1, axis=1), test.truth, test.groups)
    worse = [measure_point(poisoned, one, resamples) for one in before]
    assert [one.point for one in worse] == [one.point for one in figures]
    assert [one.figures for one in worse] != [one.figures for one in figures]
    assert choose_operating_points(*validation) == before


def test_the_figures_are_those_of_scikit_learn():
    sample = sample_of(*random_case(5))
    resamples = Resamples.over_lesions(sample.groups, 200, 0)
    for one in choose_operating_points(*random_case(6)):
        found = measure_point(sample, one, resamples).figures
        positive = target_truth(sample.truth, one.target)
        flagged = target_score(sample.probabilities, one.target) >= one.threshold
        tn, fp, fn, tp = confusion_matrix(positive, flagged).ravel()
        assert (found.tn, found.fp, found.fn, found.tp) == (tn, fp, fn, tp)
        assert found.sensitivity.value == pytest.approx(recall_score(positive, flagged))
        assert found.specificity.value == pytest.approx(recall_score(~positive, ~flagged))
        assert found.ppv.value == pytest.approx(precision_score(positive, flagged))
        assert found.npv.value == pytest.approx(precision_score(~positive, ~flagged))
        assert found.flagged.value == pytest.approx(flagged.mean())
        assert found.number_needed_to_biopsy.value == pytest.approx((tp + fp) / tp)
        assert found.lesion_sensitivity.value == pytest.approx(
            lesion_sensitivity(one.threshold, target_score(sample.probabilities, one.target),
                               positive, sample.groups)
        )  # fmt: skip
        assert found.number_needed_to_biopsy.ci_low == pytest.approx(1 / found.ppv.ci_high)
        assert found.number_needed_to_biopsy.ci_high == pytest.approx(1 / found.ppv.ci_low)


def fixed(threshold):
    return OperatingPoint(
        name="fixed", target="melanoma", criterion="sensitivity", goal=0.9, threshold=threshold
    )


def test_a_threshold_of_zero_flags_everything():
    sample = sample_of(*random_case(7))
    resamples = Resamples.over_lesions(sample.groups, 50, 0)
    found = measure_point(sample, fixed(0.0), resamples).figures
    assert (found.fn, found.tn) == (0, 0)
    assert (found.sensitivity.value, found.specificity.value) == (1.0, 0.0)
    assert 0 < found.specificity.ci_high < 0.1
    assert found.npv.value is None


def test_a_threshold_of_one_flags_certainty_alone():
    probabilities = melanoma_risks([1.0, 0.999, 0.5, 0.2])
    truth = np.array([MELANOMA_INDEX, MELANOMA_INDEX, NV, NV])
    sample = sample_of(probabilities, truth, np.arange(4))
    resamples = Resamples.over_lesions(sample.groups, 50, 0)
    found = measure_point(sample, fixed(1.0), resamples).figures
    assert (found.tp, found.fn, found.fp, found.tn) == (1, 1, 0, 2)
    none = measure_point(sample_of(probabilities * 0.9, truth, np.arange(4)), fixed(1.0), resamples)
    assert none.figures.ppv.value is None
    assert none.figures.number_needed_to_biopsy.value is None


def test_no_positives_leave_the_sensitivity_open():
    sample = sample_of(melanoma_risks([0.1, 0.6, 0.7]), np.full(3, NV), np.arange(3))
    found = measure_point(sample, fixed(0.5), Resamples.over_lesions(sample.groups, 50, 0)).figures
    assert found.sensitivity.value is None
    assert found.ppv.value == 0.0
    assert found.number_needed_to_biopsy.value is None
    assert found.positive_lesions == 0


def test_resamples_of_other_images_are_refused():
    sample = sample_of(*random_case(7))
    with pytest.raises(ValueError, match="draw them from the sample"):
        measure_point(sample, fixed(0.5), Resamples.over_lesions(np.arange(5), 10, 0))


def test_a_fold_is_judged_at_the_threshold_found_without_it():
    probabilities, truth, groups = random_case(8)
    resamples = Resamples.over_lesions(groups, 50, 0)
    chosen = point("melanoma_sensitivity_90", probabilities, truth, groups)
    found = cross_fitted_point(probabilities, truth, groups, chosen, resamples, folds=4, seed=3)
    from sklearn.model_selection import GroupKFold

    flagged = np.zeros(len(truth), bool)
    thresholds = []
    for others, fold in GroupKFold(4, shuffle=True, random_state=3).split(truth, truth, groups):
        assert not set(groups[others]) & set(groups[fold])
        refitted = point(chosen.name, probabilities[others], truth[others], groups[others])
        flagged[fold] = probabilities[fold, MELANOMA_INDEX] >= refitted.threshold
        thresholds.append(refitted.threshold)
    assert found.fold_thresholds == tuple(thresholds)
    assert found.cross_fitted.tp == (flagged & (truth == MELANOMA_INDEX)).sum()
    assert found.cross_fitted.fp == (flagged & (truth != MELANOMA_INDEX)).sum()
    assert found.fitted.lesion_sensitivity.value >= 0.9 - 1e-9


def test_cross_fitting_shows_the_optimism_of_few_lesions():
    # With nine melanomas in nine lesions none may be missed, so each one left out lowest is.
    risks = [*np.linspace(0.1, 0.9, 9), *np.linspace(0.01, 0.05, 9)]
    truth = np.array([MELANOMA_INDEX] * 9 + [NV] * 9)
    groups = np.arange(18)
    chosen = point("melanoma_sensitivity_95", melanoma_risks(risks), truth, groups)
    found = cross_fitted_point(
        melanoma_risks(risks), truth, groups, chosen, Resamples.over_lesions(groups, 50, 0),
        folds=18, seed=0,
    )  # fmt: skip
    assert found.fitted.fn == 0
    assert found.cross_fitted.fn == 1


def test_one_lesion_cannot_be_cross_fitted():
    chosen = fixed(0.5)
    groups = np.zeros(3, np.int64)
    with pytest.raises(ValueError, match="at least 2"):
        cross_fitted_point(
            melanoma_risks([0.1, 0.2, 0.3]), np.full(3, NV), groups, chosen,
            Resamples.over_lesions(groups, 5, 0), folds=5, seed=0,
        )  # fmt: skip
