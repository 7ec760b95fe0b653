import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from skin_lesion.decisions import ConfidenceCutoffs
from skin_lesion.evaluation.confidence_bands import choose_confidence_cutoffs, confidence_bands
from skin_lesion.evaluation.resampling import Resamples
from skin_lesion.evaluation.sample import Sample
from skin_lesion.labels import LABEL_INDEX, LABELS

MEL, NV, BCC = (LABEL_INDEX[code] for code in ("mel", "nv", "bcc"))


def answers(tops, classes):
    """Rows whose top class has the given probability; the rest is shared out."""
    tops = np.asarray(tops)
    probabilities = np.repeat((1 - tops)[:, None] / 6, 7, axis=1)
    probabilities[np.arange(len(tops)), classes] = tops
    return probabilities


def sample_of(probabilities, truth, groups):
    names = [f"g{group:05d}" for group in groups]
    rows = pd.DataFrame(
        {"image_id": [f"i{i:05d}" for i in range(len(truth))], "lesion_id": names, "group": names,
         "dx": [LABELS[i] for i in truth]}
    )  # fmt: skip
    n = len(truth)
    return Sample(rows, np.zeros((n, 7), np.float32), probabilities, np.zeros((n, 1), np.float32))


def calibrated_case(seed, n=600):
    random = np.random.default_rng(seed)
    tops = random.uniform(0.4, 1.0, n)
    truth = np.where(random.random(n) < tops, NV, MEL)
    return answers(tops, np.full(n, NV)), truth, np.arange(n)


def wilson(right):
    if not len(right):
        return 0.0
    return binomtest(int(right.sum()), len(right)).proportion_ci(method="wilson").low


@pytest.mark.parametrize("seed", range(3))
def test_each_cutoff_is_the_lowest_from_which_its_band_reaches_its_goal(seed):
    probabilities, truth, groups = calibrated_case(seed)
    found = choose_confidence_cutoffs(
        probabilities, truth, groups, high_accuracy=0.85, medium_accuracy=0.6
    )
    top, right = probabilities.max(axis=1), truth == NV
    band = (top >= found.medium) & (top < found.high)
    assert wilson(right[top >= found.high]) >= 0.85
    assert wilson(right[band]) >= 0.6
    assert all(wilson(right[top >= one]) < 0.85 for one in top[top < found.high])
    below_high = top < found.high
    assert all(wilson(right[below_high & (top >= one)]) < 0.6 for one in top[top < found.medium])


def test_the_medium_band_does_not_hide_behind_the_high_one():
    # 400 sure and right answers, 40 doubtful and wrong ones: together still 90 % right.
    tops = np.concatenate([np.linspace(0.9, 0.99, 400), np.linspace(0.5, 0.6, 40)])
    truth = np.array([NV] * 400 + [MEL] * 40)
    found = choose_confidence_cutoffs(
        answers(tops, np.full(440, NV)), truth, np.arange(440),
        high_accuracy=0.95, medium_accuracy=0.8,
    )  # fmt: skip
    assert found.band(0.55) == "low"


def test_pictures_of_one_lesion_do_not_count_as_many():
    tops = np.linspace(0.9, 0.99, 100)
    probabilities, truth = answers(tops, np.full(100, NV)), np.full(100, NV)
    goals = {"high_accuracy": 0.95, "medium_accuracy": 0.9}
    many = choose_confidence_cutoffs(probabilities, truth, np.arange(100), **goals)
    few = choose_confidence_cutoffs(probabilities, truth, np.arange(100) // 10, **goals)
    assert many.high < 0.9
    assert few.high == 1.0


def test_without_a_right_answer_no_band_is_promised():
    probabilities = answers(np.linspace(0.5, 0.9, 50), np.full(50, NV))
    found = choose_confidence_cutoffs(
        probabilities, np.full(50, MEL), np.arange(50), high_accuracy=0.9, medium_accuracy=0.6
    )
    assert (found.high, found.medium) == (1.0, 1.0)
    assert found.band(0.99) == "low"


def test_equal_answers_share_a_band():
    probabilities = answers(np.full(200, 0.8), np.full(200, NV))
    truth = np.where(np.arange(200) < 190, NV, MEL)
    found = choose_confidence_cutoffs(
        probabilities, truth, np.arange(200), high_accuracy=0.9, medium_accuracy=0.6
    )
    assert found.band(0.8) == "high"


@pytest.mark.parametrize(("high", "medium"), [(0.7, 0.8), (1.0, 0.8), (0.8, 0.0)])
def test_goals_out_of_order_are_refused(high, medium):
    with pytest.raises(ValueError, match="medium <= high"):
        choose_confidence_cutoffs(*calibrated_case(0), high_accuracy=high, medium_accuracy=medium)


def test_validation_has_to_hold_images():
    with pytest.raises(ValueError, match="at least one image"):
        choose_confidence_cutoffs(
            np.zeros((0, 7)), np.zeros(0, np.int64), np.zeros(0, np.int64),
            high_accuracy=0.9, medium_accuracy=0.6,
        )  # fmt: skip


def test_the_bands_are_counted_by_hand():
    probabilities = answers([0.95, 0.9, 0.9, 0.7, 0.6, 0.3], [NV, NV, MEL, BCC, MEL, NV])
    truth = np.array([NV, MEL, MEL, MEL, MEL, NV])
    sample = sample_of(probabilities, truth, np.array([0, 1, 2, 3, 3, 4]))
    found = confidence_bands(
        sample,
        ConfidenceCutoffs(high=0.9, medium=0.5),
        Resamples.over_lesions(sample.groups, 50, 0),
    )
    high, medium, low = found.bands
    assert [band.name for band in found.bands] == ["high", "medium", "low"]
    assert [band.n_images for band in found.bands] == [3, 2, 1]
    assert [band.n_lesions for band in found.bands] == [3, 1, 1]
    assert [band.n_melanomas for band in found.bands] == [2, 2, 0]
    assert high.accuracy.value == pytest.approx(2 / 3)
    assert medium.accuracy.value == low.share.value * 3 == 0.5
    assert high.melanoma_missed.value == high.melanoma_called_benign.value == 0.5
    # The carcinoma in place of the melanoma is a miss, but not one that is sent home.
    assert medium.melanoma_missed.value == 0.5
    assert medium.melanoma_called_benign.value == 0.0
    assert low.melanoma_missed.value is None
    assert sum(band.share.value for band in found.bands) == pytest.approx(1.0)


def test_an_empty_band_has_a_share_and_nothing_else():
    probabilities, truth, groups = calibrated_case(0, n=50)
    sample = sample_of(probabilities, truth, groups)
    found = confidence_bands(
        sample, ConfidenceCutoffs(high=0.4, medium=0.4), Resamples.over_lesions(groups, 50, 0)
    )
    assert [band.share.value for band in found.bands] == [1.0, 0.0, 0.0]
    assert found.bands[1].accuracy.value is None
    assert 0.9 < found.bands[0].share.ci_low < 1.0
