import numpy as np
import pandas as pd
import pytest

from skin_lesion.decisions import Calibrator, malignant_probability, softmax
from skin_lesion.evaluation.calibration import (
    equal_mass_bins,
    expected_calibration_error,
    reliability_bins,
)
from skin_lesion.evaluation.calibration_figures import (
    brier_parts,
    calibration_figures,
    error_by_chance,
)
from skin_lesion.evaluation.resampling import Resamples
from skin_lesion.evaluation.sample import Sample
from skin_lesion.labels import LABELS


def drawn(n: int, seed: int = 0, *, factor: float = 2.0, images: int = 1) -> Sample:
    """`factor` times too sure before; calibrated after."""
    random = np.random.default_rng(seed)
    ideal = random.normal(0, 2, (n, 7))
    truth = (random.random((n, 1)) > softmax(ideal).cumsum(axis=1)).sum(axis=1)
    lesions = [f"g{i:05d}" for i in np.arange(n) // images]
    rows = pd.DataFrame(
        {
            "image_id": [f"i{i:05d}" for i in range(n)],
            "lesion_id": lesions,
            "group": lesions,
            "dx": [LABELS[i] for i in truth],
        }
    )
    sample = Sample(rows, factor * ideal, softmax(ideal), np.zeros((n, 1), np.float32))
    return sample.calibrated(Calibrator(temperature=factor))


def measured(sample: Sample, bins: int = 10, count: int = 200):
    return calibration_figures(
        sample, Resamples.over_lesions(sample.groups, count, seed=0), bins=bins
    )


@pytest.fixture(scope="module")
def sample() -> Sample:
    return drawn(1200, images=2)


@pytest.fixture(scope="module")
def figures(sample):
    return measured(sample)


def test_what_calibration_does_to_the_answers_stands_beside_what_it_does_to_probabilities(sample):
    from sklearn.metrics import accuracy_score, balanced_accuracy_score, recall_score

    towards_nevi = Calibrator(
        method="vector",
        scale=(1.0,) * 7,
        offset=tuple(2.0 * (label == "nv") for label in LABELS),
    )
    figures = measured(sample.calibrated(towards_nevi))
    melanoma = LABELS.index("mel")
    for side, probabilities in (
        (figures.before, softmax(sample.logits)),
        (figures.after, towards_nevi.probabilities(sample.logits)),
    ):
        truth, answers = sample.truth, probabilities.argmax(axis=1)
        assert side.accuracy.value == pytest.approx(accuracy_score(truth, answers))
        assert side.balanced_accuracy.value == pytest.approx(
            balanced_accuracy_score(truth, answers)
        )
        assert side.melanoma_recall.value == pytest.approx(
            recall_score(truth == melanoma, answers == melanoma)
        )
    assert figures.after.melanoma_recall.value < figures.before.melanoma_recall.value - 0.05


def test_no_melanoma_no_recall(sample):
    others = sample.take(np.flatnonzero(sample.truth != LABELS.index("mel")))
    assert measured(others).after.melanoma_recall.value is None


def one_class_error(score: np.ndarray, event: np.ndarray, bins: int) -> float:
    frame = pd.DataFrame({"score": score, "event": event})
    of_bins = frame.groupby(pd.qcut(frame["score"], bins))
    gaps = of_bins["event"].mean() - of_bins["score"].mean()
    return float((gaps.abs() * of_bins.size()).sum() / len(frame))


def test_overall_figures_are_those_of_scikit_learn(sample, figures):
    from sklearn.metrics import brier_score_loss, log_loss

    for side, probabilities in (
        (figures.before, softmax(sample.logits)),
        (figures.after, sample.probabilities),
    ):
        assert side.nll.value == pytest.approx(
            log_loss(sample.truth, probabilities, labels=range(7))
        )
        assert side.brier.value == pytest.approx(
            brier_score_loss(sample.truth, probabilities, labels=range(7), scale_by_half=False)
        )
        assert side.ece.value == pytest.approx(
            expected_calibration_error(probabilities, sample.truth, 10)
        )


def test_the_largest_error_is_that_of_the_worst_bin(sample, figures):
    found = reliability_bins(softmax(sample.logits), sample.truth, 10)
    assert figures.before.mce.value == pytest.approx(
        np.abs(found.accuracy - found.confidence).max()
    )


def test_errors_of_single_events_are_those_of_quantile_bins(sample, figures):
    errors = [one_class_error(sample.probabilities[:, i], sample.truth == i, 10) for i in range(7)]
    for label, error in zip(LABELS, errors, strict=True):
        assert figures.after.per_class[label].ece.value == pytest.approx(error)
    assert figures.after.classwise_ece.value == pytest.approx(np.mean(errors))
    assert figures.after.malignant_ece.value == pytest.approx(
        one_class_error(
            malignant_probability(sample.probabilities),
            np.isin(sample.truth, [0, 1, 4]),
            10,
        )
    )


@pytest.mark.parametrize("bins", [2, 10, 37])
def test_parts_of_the_brier_score_sum_up_to_it(sample, bins):
    for probabilities in (softmax(sample.logits), sample.probabilities.round(1)):
        parts = brier_parts(probabilities, sample.truth, bins)
        brier = ((probabilities - np.eye(7)[sample.truth]) ** 2).sum(axis=1).mean()
        whole = parts.reliability - parts.resolution + parts.uncertainty + parts.within_bin
        assert whole == pytest.approx(brier)
        assert min(parts.reliability, parts.resolution, parts.uncertainty) >= 0


def test_parts_of_the_brier_score_by_hand():
    # Three images at even chances of two classes, one of them right; three certain, one wrong.
    probabilities = np.zeros((6, 7))
    probabilities[:3, :2] = 0.5
    probabilities[3:, 0] = 1.0
    parts = brier_parts(probabilities, np.array([0, 1, 1, 0, 0, 1]), 2)
    # For both classes alike: off by 1/6 in one bin and 1/3 in the other, which lie 1/6 off 1/2.
    assert parts.reliability == pytest.approx(2 * (1 / 36 + 1 / 9) / 2)
    assert parts.resolution == pytest.approx(2 / 36)
    assert parts.uncertainty == pytest.approx(2 / 4)
    assert parts.within_bin == pytest.approx(0)


def test_nothing_is_hidden_in_bins_of_equal_probabilities():
    sample = drawn(400)
    probabilities = np.eye(7)[sample.truth[::-1]] * 0.5 + 0.5 / 7
    assert brier_parts(probabilities, sample.truth, 10).within_bin == pytest.approx(0, abs=1e-12)


def test_calibrating_mends_the_reliability_and_every_interval_holds_its_figure(figures):
    assert figures.after.brier_parts.reliability < figures.before.brier_parts.reliability / 3
    for change in (figures.nll_change, figures.brier_change, figures.ece_change):
        assert change.ci_low < change.value < change.ci_high < 0
    for side in (figures.before, figures.after):
        for one in (
            side.nll,
            side.brier,
            side.ece,
            side.mce,
            side.classwise_ece,
            side.malignant_ece,
            *(found.ece for found in side.per_class.values()),
        ):
            assert one.ci_low <= one.value <= one.ci_high  # fmt: skip


def test_the_error_by_chance_is_what_calibrated_labels_show():
    probabilities = drawn(1500, seed=3).probabilities
    random = np.random.default_rng(0)
    errors = []
    for _ in range(60):
        truth = (random.random((1500, 1)) > probabilities.cumsum(axis=1)).sum(axis=1)
        errors.append(expected_calibration_error(probabilities, truth, 10))
    top = probabilities.max(axis=1)
    assert error_by_chance(top, equal_mass_bins(top, 10)) == pytest.approx(np.mean(errors), rel=0.1)


def test_copies_of_the_images_within_their_lesion_do_not_narrow_an_interval():
    once = drawn(300)
    thrice = once.take(np.repeat(np.arange(300), 3))
    first, other = measured(once), measured(thrice)
    width = first.before.ece.ci_high - first.before.ece.ci_low
    assert other.before.ece.ci_high - other.before.ece.ci_low == pytest.approx(width, rel=1e-6)
    assert other.n_images == 900
    assert other.n_lesions == first.n_lesions == 300


def test_a_class_without_an_image_is_indicative_and_its_share_is_0():
    sample = drawn(300)
    sample = sample.take(np.flatnonzero(sample.truth != 3))
    found = measured(sample).after.per_class["df"]
    assert found.n_images == found.n_lesions == found.share == 0
    assert found.indicative
    assert found.ece.value == pytest.approx(found.mean_probability)


def test_one_lesion_has_figures_without_intervals():
    found = measured(drawn(6, images=6))
    assert found.n_lesions == 1
    assert found.after.ece.value is not None
    assert found.after.ece.ci_low is None


def test_the_order_of_the_images_does_not_matter(sample, figures):
    order = np.random.default_rng(0).permutation(len(sample))
    shuffled = measured(sample.take(order))
    assert shuffled.after.ece.value == pytest.approx(figures.after.ece.value)
    assert shuffled.after.ece.ci_high == pytest.approx(figures.after.ece.ci_high)
