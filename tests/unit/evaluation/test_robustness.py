import io
import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn import metrics as reference

from skin_lesion.decisions import Calibrator, OperatingPoint
from skin_lesion.evaluation.corruptions import CORRUPTIONS, STRENGTHS, corrupt
from skin_lesion.evaluation.resampling import Resamples
from skin_lesion.evaluation.robustness import MELANOMA_POINT, choose_subset, robustness
from skin_lesion.evaluation.robustness_figures import RobustnessFigures
from skin_lesion.evaluation.robustness_plots import robustness_plot
from skin_lesion.evaluation.sample import Sample
from skin_lesion.labels import LABELS, MALIGNANT_INDICES, MELANOMA_INDEX

POINT = OperatingPoint(
    name=MELANOMA_POINT, target="melanoma", criterion="sensitivity", goal=0.95, threshold=0.3
)
SEED = 5


def make_sample(classes: list[str], lesions: list[str] | None = None) -> Sample:
    n = len(classes)
    lesions = [f"L{i:03d}" for i in range(n)] if lesions is None else lesions
    rows = pd.DataFrame(
        {
            "image_id": [f"I{i:03d}" for i in range(n)],
            "lesion_id": lesions,
            "group": lesions,
            "dx": classes,
        }
    )
    logits = np.zeros((n, 7), np.float32)
    probabilities = Calibrator().probabilities(logits)
    return Sample(rows, logits, probabilities, np.zeros((n, 2), np.float32))


def grey_pictures(sample: Sample) -> np.ndarray:
    """A class is a grey level, 30 apart, give or take 3."""
    noise = np.random.default_rng(0).integers(-3, 4, len(sample))
    grey = (50 + 30 * sample.truth + noise).astype(np.uint8)
    return np.broadcast_to(grey[:, None, None, None], (len(sample), 36, 48, 3))


def by_grey(pixels: np.ndarray) -> np.ndarray:
    """Knows a class by its grey level, and so takes light for a diagnosis.

    The median sees past hair, rulers, ink and noise.
    """
    grey = np.median(pixels[..., 1], axis=(1, 2))
    return (-np.abs(grey[:, None] - (50 + 30 * np.arange(7))) / 5).astype(np.float32)


def indifferent(pixels: np.ndarray) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(len(pixels), 7)).astype(np.float32)


def measure(run, sample, pixels=None, points=(POINT,), **changes) -> RobustnessFigures:
    parameters = {"images": 100, "resamples": 200, "min_lesions": 3, "seed": SEED} | changes
    pixels = grey_pictures(sample) if pixels is None else pixels
    return robustness(run, Calibrator(), points, pixels, sample, **parameters)


@pytest.fixture(scope="module")
def sample() -> Sample:
    """Seven images of four classes each; two of the seven are of one lesion."""
    labels = ("bcc", "df", "mel", "nv")
    lesions = [f"{label}_{lesion}" for label in labels for lesion in (0, 0, 1, 2, 3, 4, 5)]
    return make_sample([label for label in labels for _ in range(7)], lesions)


@pytest.fixture(scope="module")
def figures(sample) -> RobustnessFigures:
    return measure(by_grey, sample)


def recall(truth, predicted, weights=None) -> float:
    """Mean over the classes that are there."""
    return reference.recall_score(
        truth, predicted, labels=np.unique(truth), average="macro", sample_weight=weights
    )


def drops(figures: RobustnessFigures, field: str) -> dict[str, list]:
    return {
        name: [getattr(step.drop, field) for step in one.strengths]
        for name, one in figures.perturbations.items()
    }


def test_a_classifier_indifferent_to_pixels_loses_nothing(sample):
    found = measure(indifferent, sample)
    for field in type(found.clean).model_fields:
        for estimates in drops(found, field).values():
            assert {(e.value, e.ci_low, e.ci_high) for e in estimates} == {(0.0, 0.0, 0.0)}
    for one in found.perturbations.values():
        assert one.mean_relative_drop.value == 0
        assert all(step.changed_predictions.value == 0 for step in one.strengths)
        assert all(step.malignant_shift.value == 0 for step in one.strengths)
    assert found.worst is None


def test_a_classifier_that_goes_by_light_fails_where_the_light_changes_and_nowhere_else(figures):
    assert figures.worst == "brightness"
    assert figures.clean.balanced_accuracy.value == 1
    for name, estimates in drops(figures, "balanced_accuracy").items():
        if name == "brightness":
            assert estimates[-1].value > 0.5
            assert estimates[-1].ci_low > 0
        else:
            assert [estimate.value for estimate in estimates] == [0] * 5, name


@pytest.mark.parametrize(("name", "strength"), [("brightness", 3), ("brightness", 5), ("hair", 5)])
def test_figures_agree_with_scikit_learn_on_the_perturbed_pictures(figures, sample, name, strength):
    pixels = grey_pictures(sample)
    clean, found = (
        Calibrator().probabilities(by_grey(state))
        for state in (pixels, corrupt(name, strength, pixels, SEED))
    )
    step = figures.perturbations[name].strengths[strength - 1]
    truth, malignant = sample.truth, list(MALIGNANT_INDICES)
    called, melanoma = found[:, MELANOMA_INDEX] >= 0.3, truth == MELANOMA_INDEX
    expected = {
        "balanced_accuracy": recall(truth, found.argmax(axis=1)),
        "malignant_auc": reference.roc_auc_score(
            np.isin(truth, malignant), found[:, malignant].sum(axis=1)
        ),
        "melanoma_sensitivity": reference.recall_score(melanoma, called),
        "melanoma_specificity": reference.recall_score(~melanoma, ~called),
    }
    for field, value in expected.items():
        before = getattr(figures.clean, field).value
        assert getattr(step.scores, field).value == pytest.approx(value), field
        assert getattr(step.drop, field).value == pytest.approx(before - value, abs=1e-12), field
    assert step.changed_predictions.value == pytest.approx(
        1 - reference.accuracy_score(clean.argmax(axis=1), found.argmax(axis=1))
    )
    assert step.malignant_shift.value == pytest.approx(
        np.abs(clean[:, malignant].sum(axis=1) - found[:, malignant].sum(axis=1)).mean()
    )
    assert step.amount == CORRUPTIONS[name].amounts[strength - 1]


def test_the_interval_of_a_drop_is_that_of_the_differences_within_resamples(figures, sample):
    pixels = grey_pictures(sample)
    truth = sample.truth
    before = by_grey(pixels).argmax(axis=1)
    after = by_grey(corrupt("brightness", 2, pixels, SEED)).argmax(axis=1)
    differences = [
        recall(truth, before, weights) - recall(truth, after, weights)
        for weights in Resamples.over_lesions(sample.groups, 200, SEED).weights
        if set(truth[weights > 0]) == set(truth)
    ]
    assert len(differences) > 0.95 * 200
    found = figures.perturbations["brightness"].strengths[1].drop.balanced_accuracy
    assert (found.ci_low, found.ci_high) == pytest.approx(
        tuple(np.quantile(differences, [0.025, 0.975]))
    )
    assert found.ci_low < found.value < found.ci_high


def test_the_mean_relative_drop_is_that_of_balanced_accuracy_over_the_strengths(figures):
    for one in figures.perturbations.values():
        after = np.mean([step.scores.balanced_accuracy.value for step in one.strengths])
        expected = 1 - after / figures.clean.balanced_accuracy.value
        assert one.mean_relative_drop.value == pytest.approx(expected)
    assert figures.mean_relative_drop.value == pytest.approx(
        np.mean([one.mean_relative_drop.value for one in figures.perturbations.values()])
    )


def test_every_perturbation_is_there_with_what_training_covers_of_it(figures):
    assert list(figures.perturbations) == list(CORRUPTIONS)
    for one in figures.perturbations.values():
        assert tuple(step.strength for step in one.strengths) == STRENGTHS
    coverage = {name: one.training for name, one in figures.perturbations.items()}
    covered = {name for name, text in coverage.items() if text.startswith("Covered")}
    assert covered == {"rotation", "brightness"}


def test_the_figures_survive_json(figures):
    text = json.dumps(figures.model_dump(mode="json"), allow_nan=False)
    assert RobustnessFigures.model_validate_json(text) == figures


def test_without_melanomas_only_their_sensitivity_is_missing():
    found = measure(by_grey, make_sample(["nv"] * 4 + ["bcc"] * 4 + ["df"] * 2))
    assert found.absent_classes == ("akiec", "bkl", "mel", "vasc")
    assert found.indicative_classes == ("df",)
    assert found.clean.melanoma_sensitivity.value is None
    for field in ("balanced_accuracy", "malignant_auc", "melanoma_specificity"):
        assert getattr(found.clean, field).value is not None
    worst = found.perturbations["brightness"].strengths[-1].drop
    assert worst.melanoma_sensitivity.value is None
    assert worst.balanced_accuracy.value > 0


def test_without_malignant_images_there_is_no_malignant_auc():
    found = measure(by_grey, make_sample(["nv"] * 3))
    assert found.clean.malignant_auc.value is None
    assert found.perturbations["blur"].strengths[0].drop.malignant_auc.value is None


def test_without_the_frozen_point_there_are_no_melanoma_figures():
    other = POINT.model_copy(update={"name": "malignant_sensitivity_90"})
    found = measure(by_grey, make_sample(["nv", "mel"]), points=[other])
    assert found.operating_point is None
    assert found.clean.melanoma_sensitivity.value is None
    assert found.clean.melanoma_specificity.value is None


def test_a_model_without_a_right_answer_has_nothing_to_lose():
    found = measure(lambda pixels: np.eye(7)[[0] * len(pixels)], make_sample(["nv", "mel"]))
    assert found.clean.balanced_accuracy.value == 0
    assert found.mean_relative_drop.value is None
    assert found.worst is None


def test_the_order_of_the_images_does_not_matter(sample):
    run = by_grey
    order = np.random.default_rng(1).permutation(len(sample))
    pixels = grey_pictures(sample)
    there, here = (
        measure(run, sample.take(index), pixels[index], images=12)
        for index in (order, np.arange(len(sample)))
    )
    for field in type(here.clean).model_fields:
        for name, estimates in drops(here, field).items():
            assert [e.value for e in drops(there, field)[name]] == pytest.approx(
                [e.value for e in estimates], abs=1e-12
            )


def test_pixels_and_logits_that_do_not_fit_are_refused(sample):
    with pytest.raises(ValueError, match="27 pictures and a sample of 28"):
        measure(by_grey, sample, grey_pictures(sample)[1:])
    with pytest.raises(ValueError, match=r"gave logits \(28, 6\); expected \(28, 7\)"):
        measure(lambda pixels: by_grey(pixels)[:, :6], sample)


def test_a_subset_holds_the_classes_as_evenly_as_they_allow():
    counts = {"nv": 60, "mel": 20, "bkl": 11, "df": 3, "vasc": 1}
    sample = make_sample([label for label, count in counts.items() for _ in range(count)])
    chosen = sample.take(choose_subset(sample, 40, 0))
    found = dict(zip(LABELS, chosen.class_counts.tolist(), strict=True))
    # 3 and 1 are all there are; the other 36 are shared out among three, of which one has 11.
    assert found == {
        "akiec": 0, "bcc": 0, "bkl": 11, "df": 3, "mel": 13, "nv": 12, "vasc": 1,
    }  # fmt: skip


def test_a_small_subset_prefers_the_rare_classes():
    sample = make_sample(["nv"] * 50 + ["mel"] * 20 + ["df"] * 2)
    assert set(sample.truth[choose_subset(sample, 2, 0)]) == {
        LABELS.index("df"),
        LABELS.index("mel"),
    }


def test_a_second_image_of_a_lesion_comes_only_after_every_lesion():
    lesions = ["a"] * 5 + ["b", "c", "d"]
    sample = make_sample(["nv"] * 8, lesions)
    for seed in range(10):
        assert len(set(sample.groups[choose_subset(sample, 4, seed)])) == 4
        five = sample.groups[choose_subset(sample, 5, seed)]
        assert sorted(np.bincount(five).tolist()) == [1, 1, 1, 2]


def test_a_subset_depends_on_seed_and_image_ids_alone(sample):
    chosen = choose_subset(sample, 9, 0)
    np.testing.assert_array_equal(choose_subset(sample, 9, 0), chosen)
    assert any(set(choose_subset(sample, 9, seed)) != set(chosen) for seed in range(1, 5))
    order = np.random.default_rng(1).permutation(len(sample))
    shuffled = sample.take(order)
    there = shuffled.rows["image_id"].iloc[choose_subset(shuffled, 9, 0)]
    assert set(there) == set(sample.rows["image_id"].iloc[chosen])


def test_a_subset_of_more_than_all_is_all(sample):
    np.testing.assert_array_equal(choose_subset(sample, 1000, 0), np.arange(len(sample)))


def test_a_subset_of_nothing_is_refused(sample):
    with pytest.raises(ValueError, match="asked for 0 of 28 images"):
        choose_subset(sample, 0, 0)
    with pytest.raises(ValueError, match="asked for 5 of 0 images"):
        choose_subset(sample.take(np.array([], dtype=np.int64)), 5, 0)


def test_the_plot_is_drawn_with_and_without_melanoma_figures(figures):
    bare = measure(by_grey, make_sample(["nv", "nv", "bcc"]), points=[])
    for one in (figures, bare):
        image = Image.open(io.BytesIO(robustness_plot(one)))
        assert (image.format, image.size) == ("PNG", (1950, 910))
        assert np.asarray(image.convert("L")).std() > 10
