import numpy as np
import pandas as pd
import pytest

from skin_lesion.decisions import Calibrator, softmax
from skin_lesion.evaluation import calibration_choice
from skin_lesion.evaluation.calibration import fit_temperature
from skin_lesion.evaluation.calibration_choice import (
    METHODS,
    choose_calibrator,
    cross_fit,
    fit_calibrator,
    lesion_folds,
    lesion_standard_error,
)
from skin_lesion.evaluation.resampling import Resamples
from skin_lesion.evaluation.sample import Sample
from skin_lesion.labels import LABELS


def sample_of(logits: np.ndarray, truth: np.ndarray, groups: np.ndarray) -> Sample:
    rows = pd.DataFrame(
        {
            "image_id": [f"i{i:05d}" for i in range(len(truth))],
            "group": [f"g{group:05d}" for group in groups],
            "dx": [LABELS[i] for i in truth],
        }
    ).assign(lesion_id=lambda frame: frame["group"])
    return Sample(rows, logits, softmax(logits), np.zeros((len(truth), 1), np.float32))


def drawn(n: int, seed: int = 0, *, scale=1.0, offset=0.0, images: int = 2) -> Sample:
    """Lesions of `images` images each; softmax(scale * logits + offset) is calibrated."""
    random = np.random.default_rng(seed)
    ideal = random.normal(0, 2, (n, 7))
    truth = (random.random((n, 1)) > softmax(ideal).cumsum(axis=1)).sum(axis=1)
    return sample_of((ideal - offset) / scale, truth, np.arange(n) // images)


CHOICE = {"folds": 5, "seed": 3, "bins": 10, "tolerated_loss": 0.02}


def choose(sample: Sample, **changes: float):
    return choose_calibrator(sample, **(CHOICE | changes))


def test_temperature_wins_where_a_temperature_is_all_that_is_wrong():
    choice = choose(drawn(2000, scale=0.4))
    assert choice.figures.method == choice.calibrator.method == "temperature"
    assert choice.calibrator.temperature == pytest.approx(2.5, rel=0.1)
    assert choice.figures.identified


def test_vector_scaling_wins_where_classes_are_shifted():
    choice = choose(drawn(2000, offset=np.array([3.0, 0, 0, -3, 0, 2, 0])))
    assert choice.figures.method == choice.calibrator.method == "vector"
    vector = {figures.method: figures for figures in choice.figures.methods}["vector"]
    assert vector.nll_gain > vector.nll_gain_error > 0
    assert vector.answers_changed > 0.1


def test_isotonic_wins_where_the_probabilities_are_bent():
    random = np.random.default_rng(0)
    log_odds = random.normal(0, 1.5, 1500)
    truth = (random.random(1500) > 1 / (1 + np.exp(-log_odds))).astype(np.int64)
    logits = np.full((1500, 7), -30.0)
    logits[:, 0], logits[:, 1] = log_odds**5, 0.0
    choice = choose(sample_of(logits, truth, np.arange(1500)))
    assert choice.figures.method == choice.calibrator.method == "isotonic"


def test_more_freedom_must_beat_temperature_by_more_than_its_standard_error(monkeypatch):
    sample = drawn(800, offset=np.array([1.0, 0, 0, 0, 0, -1.0, 0]), seed=2)
    vector = {f.method: f for f in choose(sample).figures.methods}["vector"]
    assert vector.eligible == (vector.nll_gain > vector.nll_gain_error)
    gain = vector.nll_gain
    for error, eligible in ((gain * 0.99, True), (gain * 1.01, False)):
        monkeypatch.setattr(
            calibration_choice, "lesion_standard_error", lambda *_, error=error: error
        )
        found = {f.method: f for f in choose(sample).figures.methods}
        assert found["vector"].eligible is eligible
        assert found["temperature"].eligible


def shifted_to_the_frequent_class(n: int = 3000) -> Sample:
    """Nevi are common and melanomas rare; the model answers as if both were alike, and so finds them."""
    random = np.random.default_rng(4)
    truth = np.where(random.random(n) < 0.9, LABELS.index("nv"), LABELS.index("mel"))
    logits = np.full((n, 7), -9.0)
    logits[:, LABELS.index("nv")] = random.normal(0.7 * (truth == LABELS.index("nv")), 0.5, n)
    logits[:, LABELS.index("mel")] = random.normal(0.7 * (truth == LABELS.index("mel")), 0.5, n)
    return sample_of(logits, truth, np.arange(n))


def test_a_better_likelihood_is_not_bought_with_missed_melanomas():
    sample = shifted_to_the_frequent_class()
    choice = choose(sample)
    methods = {f.method: f for f in choice.figures.methods}
    vector, temperature = methods["vector"], methods["temperature"]
    assert vector.nll_gain > vector.nll_gain_error
    assert vector.melanoma_recall < 0.5 < 0.8 < temperature.melanoma_recall
    assert vector.balanced_accuracy_change < -vector.balanced_accuracy_change_error
    assert not vector.eligible
    assert choice.figures.method == "temperature"
    assert choose(sample, tolerated_loss=0.5).figures.method == "vector"


def with_melanomas_lost_and_a_rare_class_found(n: int = 4000) -> Sample:
    """Likelihood gains where a rare class is found at last, and where melanomas are called nevi."""
    random = np.random.default_rng(6)
    nv, mel, df = (LABELS.index(label) for label in ("nv", "mel", "df"))
    truth = random.choice([nv, mel, df], n, p=[0.88, 0.09, 0.03])
    logits = np.full((n, 7), -9.0)
    logits[:, nv] = random.normal(0.7 * (truth == nv), 0.5, n)
    logits[:, mel] = random.normal(0.7 * (truth == mel), 0.5, n)
    # Told from the others well, but never enough to be the answer.
    logits[:, df] = random.normal(np.where(truth == df, -1.0, -8.0), 0.5, n)
    return sample_of(logits, truth, np.arange(n))


def test_a_rare_class_found_does_not_pay_for_missed_melanomas():
    sample = with_melanomas_lost_and_a_rare_class_found()
    choice = choose(sample)
    vector = {f.method: f for f in choice.figures.methods}["vector"]
    assert vector.nll_gain > vector.nll_gain_error
    assert vector.balanced_accuracy_change > 0.02
    assert vector.melanoma_recall_change < -0.02
    assert not vector.eligible
    assert choice.figures.method in ("none", "temperature")


def test_balanced_accuracy_is_the_usual_one():
    from sklearn.metrics import balanced_accuracy_score

    sample = shifted_to_the_frequent_class(400)
    choice = choose(sample)
    methods = {f.method: f for f in choice.figures.methods}
    for method, figures in methods.items():
        fold_of = lesion_folds(sample.truth, sample.groups, folds=5, seed=3)
        answers = cross_fit(method, sample.logits, sample.truth, fold_of).argmax(axis=1)
        assert figures.balanced_accuracy == pytest.approx(
            balanced_accuracy_score(sample.truth, answers)
        )
        assert figures.balanced_accuracy_change == pytest.approx(
            figures.balanced_accuracy - methods["temperature"].balanced_accuracy
        )


def test_a_calibrated_model_is_left_alone_or_nearly():
    choice = choose(drawn(2000, seed=1))
    assert choice.figures.method in ("none", "temperature")
    assert choice.calibrator.temperature == pytest.approx(1, abs=0.06)


def test_the_frozen_calibrator_is_fitted_on_all_of_validation():
    sample = drawn(600, scale=0.5)
    choice = choose(sample)
    assert choice.calibrator.temperature == fit_temperature(sample.logits, sample.truth)
    assert choice.figures.temperature == choice.calibrator.temperature


def test_cross_fitted_values_are_those_of_a_calibrator_fitted_without_the_fold():
    sample = drawn(300, scale=0.5)
    choice = choose(sample)
    fold_of = lesion_folds(sample.truth, sample.groups, folds=5, seed=3)
    for fold in range(5):
        inside = fold_of == fold
        fit = Calibrator(temperature=fit_temperature(sample.logits[~inside], sample.truth[~inside]))
        np.testing.assert_array_equal(
            choice.cross_fitted[inside], fit.probabilities(sample.logits[inside])
        )
        assert choice.figures.fold_temperatures[fold] == fit.temperature
    of_truth = choice.cross_fitted[np.arange(300), sample.truth]
    assert choice.figures.methods[1].nll == pytest.approx(-np.log(of_truth).mean())


@pytest.mark.parametrize("method", METHODS)
def test_a_cross_fitted_value_never_depends_on_the_labels_of_its_own_lesion(method):
    sample = drawn(240, scale=0.5, images=3)
    fold_of = lesion_folds(sample.truth, sample.groups, folds=4, seed=0)
    before = cross_fit(method, sample.logits, sample.truth, fold_of)
    lesion = sample.groups == 17
    poisoned = np.where(lesion, (sample.truth + 3) % 7, sample.truth)
    after = cross_fit(method, sample.logits, poisoned, fold_of)
    own_fold = fold_of == fold_of[lesion][0]
    np.testing.assert_array_equal(before[own_fold], after[own_fold])
    # The poison works: other folds are fitted on it.
    assert (method == "none") == np.array_equal(before[~own_fold], after[~own_fold])


def test_a_lesion_lies_in_one_fold_and_classes_are_spread_evenly():
    random = np.random.default_rng(0)
    of_lesion = np.repeat([0, 1, 2], [150, 40, 10])
    groups = np.repeat(np.arange(200), random.integers(1, 4, 200))
    truth = of_lesion[groups]
    fold_of = lesion_folds(truth, groups, folds=5, seed=0)
    for group in range(200):
        assert len(set(fold_of[groups == group])) == 1
    for label in range(3):
        counts = np.bincount(fold_of[truth == label], minlength=5)
        assert counts.max() - counts.min() <= 3
        assert counts.min() > 0


def test_few_lesions_of_any_kind_give_folds_with_images_on_both_sides():
    random = np.random.default_rng(0)
    for seed in range(200):
        n_groups = int(random.integers(2, 8))
        groups = np.concatenate([np.arange(n_groups), random.integers(0, n_groups, 6)])
        truth = random.integers(0, random.integers(1, 8), len(groups))
        fold_of = lesion_folds(truth, groups, folds=5, seed=seed)
        assert set(fold_of) == set(range(fold_of.max() + 1))
        assert 1 <= fold_of.max() < min(5, n_groups)


def test_the_seed_alone_decides_the_folds():
    sample = drawn(400, scale=0.5)
    first, again, other = (choose(sample, seed=seed) for seed in (1, 1, 2))
    assert first.figures == again.figures
    np.testing.assert_array_equal(first.cross_fitted, again.cross_fitted)
    assert first.figures.fold_temperatures != other.figures.fold_temperatures
    assert first.calibrator == other.calibrator


def test_a_model_without_mistakes_is_left_alone():
    truth = np.arange(700) % 7
    choice = choose(sample_of(5 * np.eye(7)[truth], truth, np.arange(700)))
    assert choice.calibrator == Calibrator()
    assert choice.figures.method == "none"
    assert not choice.figures.identified
    np.testing.assert_array_equal(choice.cross_fitted, softmax(5 * np.eye(7)[truth]))


@pytest.mark.parametrize("method", METHODS)
def test_no_method_learns_certainty_from_images_without_a_mistake(method):
    truth = np.arange(70) % 7
    assert fit_calibrator(method, 5 * np.eye(7)[truth], truth) == Calibrator()


def test_a_model_worse_than_chance_is_not_identified():
    truth = np.arange(70) % 7
    choice = choose(sample_of(-5 * np.eye(7)[truth], truth, np.arange(70)))
    assert choice.figures.temperature == pytest.approx(20, rel=1e-3)
    assert not choice.figures.identified


def test_with_few_lesions_nothing_beyond_a_temperature_is_chosen():
    choice = choose(drawn(90, offset=np.array([3.0, 0, 0, -3, 0, 2, 0]), images=1))
    assert choice.figures.method in ("none", "temperature")
    assert [f.eligible for f in choice.figures.methods] == [True, True, False, False]


def test_fewer_lesions_than_folds_give_fewer_folds():
    assert choose(drawn(30, images=10)).figures.folds == 3


def test_one_lesion_cannot_be_calibrated():
    with pytest.raises(ValueError, match="at least 2"):
        choose(drawn(10, images=10))


def test_the_standard_error_is_the_usual_one_where_lesions_have_one_image():
    from scipy.stats import sem

    values = np.random.default_rng(0).normal(size=50)
    assert lesion_standard_error(values, np.arange(50)) == pytest.approx(sem(values))


def test_copies_of_an_image_in_its_lesion_do_not_shrink_the_standard_error():
    values = np.random.default_rng(0).normal(size=50)
    assert lesion_standard_error(np.repeat(values, 3), np.repeat(np.arange(50), 3)) == (
        pytest.approx(lesion_standard_error(values, np.arange(50)))
    )


def test_the_standard_error_is_that_of_a_bootstrap_over_lesions():
    random = np.random.default_rng(0)
    groups = np.repeat(np.arange(300), random.integers(1, 6, 300))
    values = random.normal(size=300)[groups] + random.normal(size=len(groups))
    bootstrap = Resamples.over_lesions(groups, 4000, seed=0).means(values).std()
    assert lesion_standard_error(values, groups) == pytest.approx(bootstrap, rel=0.06)


def test_nothing_given_is_changed():
    sample = drawn(200, scale=0.5)
    logits, truth = sample.logits.copy(), sample.truth.copy()
    choose(sample)
    np.testing.assert_array_equal(sample.logits, logits)
    np.testing.assert_array_equal(sample.truth, truth)
