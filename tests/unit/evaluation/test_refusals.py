import numpy as np
import pandas as pd
import pytest

from skin_lesion.decisions import Limits, OodGate, softmax
from skin_lesion.evaluation.cannot_assess import OutlierSample
from skin_lesion.evaluation.refusals import REASONS, Gates, measure_refusals
from skin_lesion.evaluation.resampling import Resamples
from skin_lesion.evaluation.sample import Sample
from skin_lesion.labels import LABELS, MELANOMA_INDEX
from skin_lesion.quality import Quality

IMAGES = 120
GOOD = Quality(2.0, 150.0, 0.0, 0.0, 30.0, 1.0, 450.0, 4 / 3)
BLURRED = Quality(0.1, 150.0, 0.0, 0.0, 30.0, 1.0, 450.0, 4 / 3)
SMALL = Quality(0.1, 150.0, 0.0, 0.0, 30.0, 1.0, 50.0, 4 / 3)
# Energies of these logits lie far below and far above the threshold.
SURE, UNSURE = 9.0, -9.0
GATES = Gates(
    {"short_side": Limits(low=100), "sharpness": Limits(low=1.0)},
    OodGate(score="energy", threshold=0.0),
    None,
)


def logits_of(answers: np.ndarray, unlike: np.ndarray) -> np.ndarray:
    level = np.where(unlike, UNSURE, SURE)[:, None]
    return (level + 3 * np.eye(7)[answers]).astype(np.float32)


@pytest.fixture(scope="module")
def truth() -> np.ndarray:
    return np.arange(IMAGES) % 6  # no image of the last class


@pytest.fixture(scope="module")
def unlike() -> np.ndarray:
    return np.arange(IMAGES) % 5 == 0


@pytest.fixture(scope="module")
def qualities() -> list[Quality]:
    return [SMALL if i < 3 else BLURRED if i < 12 else GOOD for i in range(IMAGES)]


@pytest.fixture(scope="module")
def sample_of_test(truth, unlike) -> Sample:
    answers = np.where(np.arange(IMAGES) % 4 == 0, (truth + 1) % 7, truth)
    logits = logits_of(answers, unlike)
    rows = pd.DataFrame(
        {
            "image_id": [f"image {i:04d}" for i in range(IMAGES)],
            "lesion_id": [f"lesion {i // 2:04d}" for i in range(IMAGES)],
            "group": [f"lesion {i // 2:04d}" for i in range(IMAGES)],
            "dx": [LABELS[k] for k in truth],
        }
    )
    return Sample(rows, logits, softmax(logits), np.zeros((IMAGES, 2), np.float32))


def outliers_of(sources: list[str], unlike: list[bool], qualities: list[Quality]) -> OutlierSample:
    names = np.array(sources)
    logits = logits_of(np.zeros(len(names), int), np.array(unlike))
    features = np.zeros((len(names), 2), np.float32)
    return OutlierSample(names, names, logits, features, tuple(qualities))


@pytest.fixture(scope="module")
def outliers() -> dict[str, OutlierSample]:
    return {
        "crops": outliers_of(
            ["camera", "camera", "retina", "retina", "brick"],
            [True, False, True, True, False],
            [GOOD, BLURRED, BLURRED, GOOD, GOOD],
        ),
        "skin": outliers_of(["skin"] * 2, [False, False], [GOOD, GOOD]),
    }


@pytest.fixture(scope="module")
def figures(sample_of_test, qualities, outliers):
    suspicious = sample_of_test.predicted == MELANOMA_INDEX
    lesions = Resamples.over_lesions(sample_of_test.groups, 60, 0)
    return measure_refusals(sample_of_test, qualities, outliers, GATES, suspicious, lesions, seed=0)


def test_a_picture_counts_for_its_first_reason_alone(figures, unlike) -> None:
    assert tuple(figures.reasons) == REASONS
    assert figures.reasons["too_small"] == 3
    assert figures.reasons["too_blurred"] == 9
    assert figures.reasons["unlike_training"] == unlike[12:].sum()
    assert figures.by_quality.value == pytest.approx(12 / IMAGES)
    assert figures.by_likeness.value == pytest.approx(unlike[12:].sum() / IMAGES)
    assert figures.refused.value == pytest.approx(sum(figures.reasons.values()) / IMAGES)


def test_refusals_are_counted_in_every_class(figures, truth, unlike) -> None:
    refused = unlike | (np.arange(IMAGES) < 12)
    for index, label in enumerate(LABELS):
        row = figures.per_class[label]
        assert row.n_images == (truth == index).sum()
        assert row.n_refused == (refused & (truth == index)).sum()
        if row.n_images:
            assert row.refused.value == pytest.approx(row.n_refused / row.n_images)
        else:
            assert row.refused.value is None


def test_answers_are_judged_on_all_accepted_and_withheld_images(
    figures, sample_of_test, truth, unlike
) -> None:
    refused = unlike | (np.arange(IMAGES) < 12)
    right = sample_of_test.predicted == truth
    of_melanoma = truth == MELANOMA_INDEX
    found_melanoma = sample_of_test.predicted == MELANOMA_INDEX
    for answers, of in (
        (figures.everything, np.ones(IMAGES, bool)),
        (figures.accepted, ~refused),
        (figures.withheld, refused),
    ):
        assert answers.n_images == of.sum()
        assert answers.accuracy.value == pytest.approx(right[of].mean())
        assert answers.n_melanomas == (of & of_melanoma).sum()
        sensitivity = found_melanoma[of & of_melanoma].mean()
        assert answers.melanoma_sensitivity.value == pytest.approx(sensitivity)


def test_only_photographs_that_no_choice_saw_are_reported(figures) -> None:
    crops = figures.outliers["crops"]
    assert (crops.n_images, crops.n_clusters) == (4, 2)
    assert crops.by_source == {"camera": 1.0, "retina": 1.0}
    assert crops.by_quality.value == 0.5
    assert crops.unlike.value == 0.75
    assert figures.outliers["skin"].refused.value == 0
    assert figures.separations["energy"].n_outliers == {"crops": 4, "skin": 2}


def test_no_test_picture_has_a_say_in_the_fate_of_another(sample_of_test, qualities) -> None:
    reasons = GATES.reasons(sample_of_test, qualities)
    some = np.array([0, 7, 30, 31, 77])
    alone = GATES.reasons(sample_of_test.take(some), [qualities[i] for i in some])
    assert np.array_equal(alone, reasons[some])


def test_without_an_operating_point_there_is_no_sensitivity(sample_of_test, qualities) -> None:
    lesions = Resamples.over_lesions(sample_of_test.groups, 20, 0)
    found = measure_refusals(sample_of_test, qualities, {}, GATES, None, lesions, seed=0)
    assert found.accepted.melanoma_sensitivity.value is None
    assert found.outliers == {}


def test_figures_survive_the_way_through_json(figures) -> None:
    assert type(figures).model_validate_json(figures.model_dump_json()) == figures
