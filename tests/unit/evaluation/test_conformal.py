from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from skin_lesion.decisions import PredictionSets, softmax
from skin_lesion.evaluation.conformal import CAVEAT, coverage, fit_prediction_sets, never_empty
from skin_lesion.evaluation.conformal_plots import coverage_picture
from skin_lesion.evaluation.resampling import Resamples
from skin_lesion.evaluation.sample import Sample
from skin_lesion.labels import LABELS


def drawn(
    lesions: int, seed: int, *, shares: tuple[float, ...] = (1 / 7,) * 7
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities, truth and lesions; a lesion has 1 to 4 images that are much alike."""
    random = np.random.default_rng([seed, 5])
    images = random.integers(1, 5, lesions)
    groups = np.repeat(np.arange(lesions), images)
    truth = random.choice(7, lesions, p=shares)[groups]
    common = random.normal(0, 1, (lesions, 7))[groups]
    logits = 1.5 * np.eye(7)[truth] + common + random.normal(0, 0.7, (len(groups), 7))
    return softmax(logits), truth, groups


def sample_of(probabilities: np.ndarray, truth: np.ndarray, groups: np.ndarray) -> Sample:
    rows = pd.DataFrame(
        {
            "image_id": [f"i{i:05d}" for i in range(len(truth))],
            "lesion_id": [f"g{group:05d}" for group in groups],
            "group": [f"g{group:05d}" for group in groups],
            "dx": [LABELS[i] for i in truth],
        }
    )
    logits = np.log(np.maximum(probabilities, 1e-12))
    return Sample(rows, logits, probabilities, np.zeros((len(truth), 1), np.float32))


def measured(sample: Sample, sets: PredictionSets, count: int = 100):
    return coverage(sample, sets, Resamples.over_lesions(sample.groups, count, seed=0))


def lesion_coverage(sets: PredictionSets, seed: int) -> np.ndarray:
    """Share of new lesions all of whose images' sets hold their class, by class."""
    probabilities, truth, groups = drawn(500, seed)
    missed = ~sets.members(probabilities)[np.arange(len(truth)), truth]
    of_lesion = truth[np.unique(groups, return_index=True)[1]]
    bad = np.bincount(groups, missed) > 0
    return np.array([1 - bad[of_lesion == i].mean() for i in range(7)])


@pytest.mark.parametrize("error", [0.1, 0.25])
def test_on_average_lesions_of_every_class_are_covered_as_promised_and_hardly_more(error):
    shares = (0.3, 0.05, 0.1, 0.05, 0.1, 0.3, 0.1)
    found = []
    for seed in range(150):
        probabilities, truth, groups = drawn(400, 1000 + seed, shares=shares)
        sets = fit_prediction_sets(probabilities, truth, groups, error=error)
        found.append(np.where(sets.supported, lesion_coverage(sets, 5000 + seed), np.nan))
    means = np.nanmean(found, axis=0)
    assert (means > 1 - error - 0.012).all()
    # The excess over the promise is at most 1 / (n + 1), n being about 20 in the rarest class.
    assert (means < 1 - error + 0.07).all()
    assert means[0] < 1 - error + 0.02


def test_the_threshold_is_the_finite_sample_quantile_of_the_worst_images_by_hand():
    # Nine lesions of class 0 with 1 - p of 0.1 to 0.9; the first has a worse second image.
    of_truth = 1 - np.array([0.1, 0.95, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
    probabilities = np.zeros((10, 7))
    probabilities[:, 0], probabilities[:, 1] = of_truth, 1 - of_truth
    groups = np.array([0, 0, 1, 2, 3, 4, 5, 6, 7, 8])
    truth = np.zeros(10, np.int64)
    for error, threshold in ((0.1, 0.95), (0.2, 0.9), (0.5, 0.6), (0.9, 0.2)):
        sets = fit_prediction_sets(probabilities, truth, groups, error=error)
        assert sets.thresholds[0] == pytest.approx(threshold)
        assert sets.supported[0]


@pytest.mark.parametrize("error", [0.5, 0.2, 0.1, 0.05, 0.01])
def test_a_class_is_supported_from_one_over_error_less_one_lesions(error):
    least = round(1 / error - 1)
    for lesions, supported in ((least, True), (least - 1, False)):
        probabilities = np.full((lesions, 7), 1 / 7)
        sets = fit_prediction_sets(
            probabilities, np.zeros(lesions, np.int64), np.arange(lesions), error=error
        )
        assert sets.supported == (supported,) + (False,) * 6
        assert set(sets.thresholds[1:]) == {1.0}
        assert (sets.thresholds[0] == 1.0) is not supported


def test_images_of_one_lesion_do_not_make_a_class_supported():
    probabilities = np.full((30, 7), 1 / 7)
    sets = fit_prediction_sets(
        probabilities, np.zeros(30, np.int64), np.arange(30) // 10, error=0.1
    )
    assert not sets.supported[0]


def test_an_unsupported_class_is_in_every_set():
    probabilities, truth, groups = drawn(300, 0)
    rare = (truth == 3) & (groups > 60)
    sets = fit_prediction_sets(probabilities[~rare], truth[~rare], groups[~rare], error=0.02)
    assert not sets.supported[3]
    assert never_empty(sets, probabilities)[:, 3].all()


def test_a_threshold_depends_on_the_images_of_its_class_alone():
    probabilities, truth, groups = drawn(400, 2)
    sets = fit_prediction_sets(probabilities, truth, groups, error=0.1)
    others = probabilities.copy()
    others[truth != 4] = 1 / 7
    again = fit_prediction_sets(others, truth, groups, error=0.1)
    assert again.thresholds[4] == sets.thresholds[4]
    assert again.thresholds[5] != sets.thresholds[5]


def test_neither_the_order_of_images_nor_the_names_of_lesions_matter():
    probabilities, truth, groups = drawn(300, 3)
    order = np.random.default_rng(0).permutation(len(truth))
    assert fit_prediction_sets(
        probabilities[order], truth[order], 1000 - groups[order], error=0.1
    ) == fit_prediction_sets(probabilities, truth, groups, error=0.1)


def test_an_empty_set_gets_the_top_class_and_others_stay_as_they_are():
    sets = PredictionSets(error=0.1, thresholds=(0.4,) * 7, supported=(True,) * 7)
    probabilities = np.array([[0.5, 0.3, 0.2, 0, 0, 0, 0], [0.1, 0.2, 0.7, 0, 0, 0, 0]])
    np.testing.assert_array_equal(never_empty(sets, probabilities), np.eye(7, dtype=bool)[[0, 2]])


def test_coverage_figures_by_hand():
    sets = PredictionSets(
        error=0.1, thresholds=(0.5, 0.6, 0.4, 0.4, 0.4, 0.4, 1.0), supported=(True,) * 6 + (False,)
    )
    probabilities = np.array(
        [
            [0.6, 0.4, 0.0, 0, 0, 0, 0.0],  # {0, 1, 6}, true 0
            [0.9, 0.1, 0.0, 0, 0, 0, 0.0],  # {0, 6}, true 0
            [0.9, 0.1, 0.0, 0, 0, 0, 0.0],  # {0, 6}, true 1, lesion 1
            [0.1, 0.9, 0.0, 0, 0, 0, 0.0],  # {1, 6}, true 1, lesion 1 too
        ]
    )
    sample = sample_of(probabilities, np.array([0, 0, 1, 1]), np.array([0, 2, 1, 1]))
    found = measured(sample, sets)
    assert found.promised == pytest.approx(0.9)
    assert (found.n_images, found.n_lesions) == (4, 3)
    assert found.coverage.value == pytest.approx(0.75)
    assert found.mean_size.value == pytest.approx(9 / 4)
    assert found.sizes == (0, 0.75, 0.25, 0, 0, 0, 0)
    assert found.single.value == found.found_empty.value == 0
    assert found.single_right.value is None
    akiec, bcc, vasc = (found.per_class[label] for label in ("akiec", "bcc", "vasc"))
    assert (akiec.coverage.value, akiec.lesion_coverage.value) == (1, 1)
    assert akiec.mean_size.value == pytest.approx(2.5)
    assert akiec.in_sets.value == pytest.approx(0.75)
    assert (bcc.n_images, bcc.n_lesions) == (2, 1)
    assert (bcc.coverage.value, bcc.lesion_coverage.value) == (0.5, 0)
    assert vasc.coverage.value is vasc.mean_size.value is None
    assert vasc.in_sets.value == 1
    assert not vasc.supported
    assert found.caveat == CAVEAT


def test_what_the_top_class_adds_to_empty_sets_is_told():
    sets = PredictionSets(error=0.1, thresholds=(0.1,) * 7, supported=(True,) * 7)
    probabilities = np.array([[0.5, 0.5, 0, 0, 0, 0, 0], [0.95, 0.05, 0, 0, 0, 0, 0]])
    found = measured(sample_of(probabilities, np.array([0, 0]), np.arange(2)), sets)
    assert found.coverage_as_found == 0.5
    assert found.coverage.value == 1
    assert found.found_empty.value == 0.5
    assert found.single_right.value == 1


def test_labels_of_the_measured_sample_change_its_coverage_but_no_set():
    sets = fit_prediction_sets(*drawn(400, 4), error=0.1)
    probabilities, truth, groups = drawn(200, 5)
    honest = measured(sample_of(probabilities, truth, groups), sets)
    poisoned = measured(sample_of(probabilities, (truth + 1) % 7, groups), sets)
    assert honest.sizes == poisoned.sizes
    assert honest.mean_size == poisoned.mean_size
    assert poisoned.coverage.value < honest.coverage.value


def test_an_interval_holds_its_figure():
    sets = fit_prediction_sets(*drawn(400, 6), error=0.1)
    found = measured(sample_of(*drawn(300, 7)), sets)
    for one in (found.coverage, found.mean_size, *(c.coverage for c in found.per_class.values())):
        assert one.ci_low <= one.value <= one.ci_high


@pytest.mark.parametrize(("validation", "tested"), [(600, 300), (40, 3)])
def test_the_picture_is_drawn_with_and_without_all_classes(validation, tested):
    sets = fit_prediction_sets(*drawn(validation, 8), error=0.1)
    picture = coverage_picture(measured(sample_of(*drawn(tested, 9)), sets), "test split")
    assert min(Image.open(BytesIO(picture)).size) > 400
