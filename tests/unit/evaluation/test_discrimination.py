import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as reference

from skin_lesion.decisions import softmax
from skin_lesion.evaluation.calibration import expected_calibration_error
from skin_lesion.evaluation.discrimination import discrimination, per_image_and_lesion
from skin_lesion.evaluation.measured import measured
from skin_lesion.evaluation.resampling import Resamples
from skin_lesion.evaluation.sample import Sample
from skin_lesion.labels import LABELS, MALIGNANT_INDICES, MELANOMA_INDEX

TEMPERATURE = 1.7
BINS = 10
IMAGES = 260


def sample_of(logits: np.ndarray, truth: np.ndarray, groups: np.ndarray) -> Sample:
    rows = pd.DataFrame(
        {
            "image_id": [f"image {i:04d}" for i in range(len(truth))],
            "lesion_id": [f"lesion {group:04d}" for group in groups],
            "group": [f"group {group:04d}" for group in groups],
            "dx": [LABELS[index] for index in truth],
        }
    )
    features = np.zeros((len(truth), 2), np.float32)
    return Sample(rows, logits.astype(np.float32), softmax(logits, TEMPERATURE), features)


@pytest.fixture(scope="module")
def sample() -> Sample:
    random = np.random.default_rng(0)
    groups = np.concatenate([np.arange(180), random.integers(0, 180, IMAGES - 180)])
    truth = random.integers(0, 7, 180)[groups]
    # Rounded, so that there are ties.
    logits = random.normal(0, 2, (IMAGES, 7)).round(1) + 1.5 * np.eye(7)[truth]
    return sample_of(logits, truth, groups)


@pytest.fixture(scope="module")
def resamples(sample) -> Resamples:
    return Resamples.over_lesions(sample.groups, 8, seed=1)


@pytest.fixture(scope="module")
def figures(sample, resamples):
    return measured(sample, resamples, bins=BINS)


def read_off(positive, score, weights, per_cent) -> tuple[float, float]:
    """Best sensitivity at a specificity, and best specificity at a sensitivity."""
    false_rate, true_rate, _ = reference.roc_curve(
        positive, score, sample_weight=weights, drop_intermediate=False
    )
    goal = per_cent / 100
    return (
        true_rate[false_rate <= 1 - goal + 1e-9].max(),
        1 - false_rate[true_rate >= goal - 1e-9].min(),
    )


def by_scikit_learn(sample: Sample, weights: np.ndarray) -> dict[str, float]:
    truth, predicted, p = sample.truth, sample.predicted, sample.probabilities
    weighted = {"sample_weight": weights}
    malignant = np.isin(truth, MALIGNANT_INDICES)
    danger = p[:, MALIGNANT_INDICES].sum(axis=1)
    areas = [reference.roc_auc_score(truth == i, p[:, i], **weighted) for i in range(7)]
    precisions = [
        reference.average_precision_score(truth == i, p[:, i], **weighted) for i in range(7)
    ]
    found = {
        "accuracy": reference.accuracy_score(truth, predicted, **weighted),
        "balanced_accuracy": reference.balanced_accuracy_score(truth, predicted, **weighted),
        "macro_f1": reference.f1_score(truth, predicted, average="macro", **weighted),
        "weighted_f1": reference.f1_score(truth, predicted, average="weighted", **weighted),
        "kappa": reference.cohen_kappa_score(truth, predicted, **weighted),
        "macro_auc": np.mean(areas),
        "macro_average_precision": np.mean(precisions),
        "melanoma_auc": areas[MELANOMA_INDEX],
        "malignant_auc": reference.roc_auc_score(malignant, danger, **weighted),
        "melanoma.average_precision": precisions[MELANOMA_INDEX],
        "malignant.average_precision": reference.average_precision_score(
            malignant, danger, **weighted
        ),
        "brier": reference.brier_score_loss(
            truth, p, labels=range(7), scale_by_half=False, **weighted
        ),
        "nll": reference.log_loss(truth, p, labels=range(7), **weighted),
    }
    for target, positive, score in (
        ("melanoma", truth == MELANOMA_INDEX, p[:, MELANOMA_INDEX]),
        ("malignant", malignant, danger),
    ):
        for per_cent in (90, 95):
            sensitivity, specificity = read_off(positive, score, weights, per_cent)
            found[f"{target}.sensitivity_at_specificity_{per_cent}"] = sensitivity
            found[f"{target}.specificity_at_sensitivity_{per_cent}"] = specificity
    scores = reference.precision_recall_fscore_support(
        truth, predicted, labels=range(7), zero_division=0, **weighted
    )
    for i, label in enumerate(LABELS):
        for name, values in zip(("precision", "recall", "f1"), scores, strict=False):
            found[f"per_class.{label}.{name}"] = values[i]
        found[f"per_class.{label}.auc"] = areas[i]
        found[f"per_class.{label}.average_precision"] = precisions[i]
    return found


def test_every_figure_agrees_with_scikit_learn(sample, figures):
    expected = by_scikit_learn(sample, np.ones(IMAGES))
    assert figures.point.keys() - expected.keys() == {"ece"}
    assert {name: figures.point[name] for name in expected} == pytest.approx(expected)


def test_every_figure_of_a_resample_agrees_with_weights_in_scikit_learn(sample, resamples, figures):
    assert figures.resampled.keys() == figures.point.keys()
    for row, weights in enumerate(resamples.weights):
        expected = by_scikit_learn(sample, weights)
        found = {name: figures.resampled[name][row] for name in expected}
        assert found == pytest.approx(expected)


def test_the_calibration_error_of_a_resample_keeps_the_bins_of_the_sample(
    sample, resamples, figures
):
    confidence = sample.probabilities.max(axis=1)
    right = sample.predicted == sample.truth
    edges = np.quantile(confidence, np.linspace(0, 1, BINS + 1))
    inside = pd.cut(confidence, edges, right=False, labels=False)
    inside = np.where(np.isnan(inside), BINS - 1, inside)
    for row, weights in enumerate(resamples.weights):
        error = 0.0
        for one in range(BINS):
            w = weights * (inside == one)
            if w.sum():
                gap = np.average(right, weights=w) - np.average(confidence, weights=w)
                error += w.sum() / weights.sum() * abs(gap)
        assert figures.resampled["ece"][row] == pytest.approx(error)


@pytest.mark.parametrize("bins", [1, 4, 400])
def test_any_number_of_bins_gives_the_calibration_error_of_the_summary(sample, resamples, bins):
    found = measured(sample, resamples, bins=bins).point["ece"]
    expected = expected_calibration_error(sample.probabilities, sample.truth, bins)
    assert found == pytest.approx(expected)


def test_the_intervals_run_around_the_figures(sample):
    found = discrimination(sample, Resamples.over_lesions(sample.groups, 400, 0), bins=BINS)
    assert (found.n_images, found.n_lesions) == (IMAGES, 180)
    assert sum(found.class_lesions.values()) == 180
    for name, one in found.estimates.items():
        assert one.ci_low <= one.value <= one.ci_high, name
        assert 0.01 < one.ci_high - one.ci_low < 0.8, name


def test_no_class_absent_from_the_sample_has_figures(sample):
    rest = sample.take(np.flatnonzero(~np.isin(sample.truth, [3, MELANOMA_INDEX])))
    found = discrimination(rest, Resamples.over_lesions(rest.groups, 100, 0), bins=BINS)
    assert found.class_lesions["df"] == 0
    for name in ("precision", "recall", "f1", "auc", "average_precision"):
        assert found.estimates[f"per_class.df.{name}"].value is None
    for name in ("melanoma_auc", "melanoma.sensitivity_at_specificity_90"):
        assert found.estimates[name].model_dump() == dict.fromkeys(("value", "ci_low", "ci_high"))
    present = [0, 1, 2, 5, 6]
    assert found.estimates["macro_f1"].value == pytest.approx(
        reference.f1_score(rest.truth, rest.predicted, labels=present, average="macro")
    )
    assert found.estimates["macro_f1"].ci_low is not None


def test_a_class_of_one_lesion_leaves_means_over_classes_without_an_interval():
    # A third of the resamples lack the lesion, and are of six classes instead of seven.
    random = np.random.default_rng(0)
    truth = np.append(np.arange(120) % 6, 6)
    sample = sample_of(random.normal(size=(121, 7)), truth, np.arange(121))
    found = discrimination(sample, Resamples.over_lesions(sample.groups, 200, 0), bins=5).estimates
    for name in ("macro_f1", "balanced_accuracy", "macro_auc", "per_class.vasc.recall"):
        assert found[name].value is not None
        assert found[name].ci_low is None
    for name in ("accuracy", "weighted_f1", "kappa", "nll"):
        assert found[name].ci_low is not None


def test_a_class_never_called_has_precision_zero(sample):
    shy = sample_of(np.where(np.arange(7) == 4, -100.0, sample.logits), sample.truth, sample.groups)
    found = measured(shy, Resamples.over_lesions(shy.groups, 20, 0), bins=BINS)
    assert found.point["per_class.mel.precision"] == 0.0
    assert (found.resampled["per_class.mel.precision"] == 0.0).all()
    # Of no image nothing is known.
    assert found.estimate("per_class.mel.precision").ci_high is None
    assert found.estimate("per_class.mel.recall").ci_high > 0


def test_a_model_without_a_mistake_gets_no_certainty(sample):
    perfect = sample_of(9.0 * np.eye(7)[sample.truth], sample.truth, sample.groups)
    resamples = Resamples.over_lesions(perfect.groups, 200, 0)
    found = discrimination(perfect, resamples, bins=BINS)
    melanomas = found.class_lesions["mel"]
    recall = found.estimates["per_class.mel.recall"]
    assert (recall.value, recall.ci_high) == (1.0, 1.0)
    assert recall.ci_low == pytest.approx(0.025 ** (1 / melanomas))
    assert found.estimates["accuracy"].ci_low == pytest.approx(0.025 ** (1 / 180))
    assert found.estimates["melanoma_auc"].value == 1.0
    assert found.estimates["melanoma_auc"].ci_low is None


def test_a_probability_of_nought_for_the_truth_is_not_an_endless_error():
    truth = np.array([0, 1])
    sample = sample_of(np.zeros((2, 7)), truth, truth)
    certain = Sample(sample.rows, sample.logits, np.eye(7)[[0, 0]], sample.features)
    found = measured(certain, Resamples.over_lesions(truth, 9, 0), bins=1)
    assert 18 < found.point["nll"] < np.inf
    assert np.isfinite(found.resampled["nll"]).all()


def test_one_lesion_has_figures_without_intervals_but_for_shares():
    sample = sample_of(np.eye(7)[[4, 5]], np.array([4, 4]), np.array([0, 0]))
    found = discrimination(sample, Resamples.over_lesions(sample.groups, 50, 0), bins=3)
    assert (found.n_images, found.n_lesions) == (2, 1)
    assert found.estimates["accuracy"].model_dump() == {
        "value": 0.5, "ci_low": None, "ci_high": None
    }  # fmt: skip
    bounded = {name for name, one in found.estimates.items() if one.ci_low is not None}
    assert bounded == {"per_class.mel.precision"}
    assert found.estimates["per_class.mel.precision"].ci_low == pytest.approx(0.025)


def test_per_lesion_each_lesion_counts_once(sample):
    found = per_image_and_lesion(sample, count=50, seed=3, bins=BINS)
    assert (found.images.n_images, found.images.n_lesions) == (IMAGES, 180)
    assert (found.lesions.n_images, found.lesions.n_lesions) == (180, 180)
    first = sample.rows.groupby("group")["image_id"].min()
    kept = sample.rows["image_id"].isin(first)
    expected = (sample.predicted == sample.truth)[kept].mean()
    assert found.lesions.estimates["accuracy"].value == pytest.approx(expected)
    assert found.lesions.estimates != found.images.estimates


def test_the_order_of_the_images_does_not_matter(sample):
    mixed = sample.take(np.random.default_rng(0).permutation(IMAGES))
    first = per_image_and_lesion(sample, count=50, seed=3, bins=BINS)
    again = per_image_and_lesion(mixed, count=50, seed=3, bins=BINS)
    for unit in ("images", "lesions"):
        for name, one in getattr(first, unit).estimates.items():
            other = getattr(again, unit).estimates[name]
            assert one.model_dump() == pytest.approx(other.model_dump())


@pytest.mark.parametrize("bins", [1, 10])
def test_the_interval_of_a_calibration_error_holds_that_of_a_calibrated_model(bins):
    """Its true error is 0, which no percentile of a mean of distances reaches in ten bins."""
    random = np.random.default_rng(5)
    held = 0
    for seed in range(40):
        logits = random.normal(0, 1.5, (150, 7))
        drawn = softmax(logits, TEMPERATURE).cumsum(axis=1) > random.random((150, 1))
        sample = sample_of(logits, drawn.argmax(axis=1), np.arange(150))
        found = measured(sample, Resamples.over_lesions(sample.groups, 100, seed), bins=bins)
        ece = found.estimate("ece")
        assert ece.ci_low <= ece.value <= ece.ci_high
        held += ece.ci_low == 0.0
        assert bins == 1 or np.quantile(found.resampled["ece"], 0.025) > 0.01
    assert held >= 36


def test_the_interval_of_a_calibration_error_holds_that_of_a_model_too_sure_of_itself():
    """Right in 70 of 100 answers that it gives 0.946."""
    random = np.random.default_rng(5)
    confidence = softmax(8.0 * np.eye(7)[:1], TEMPERATURE).max()
    held = 0
    for seed in range(40):
        truth = np.where(random.random(150) < 0.7, 0, 1)
        sample = sample_of(np.tile(8.0 * np.eye(7)[:1], (150, 1)), truth, np.arange(150))
        resamples = Resamples.over_lesions(sample.groups, 100, seed)
        ece = measured(sample, resamples, bins=10).estimate("ece")
        held += ece.ci_low <= confidence - 0.7 <= ece.ci_high
        assert ece.ci_low > 0.1
    assert held >= 36


def test_nothing_undefined_reaches_the_file(sample):
    rest = sample.take(np.flatnonzero(sample.truth == 5))
    text = per_image_and_lesion(rest, count=20, seed=0, bins=BINS).model_dump_json()
    assert "NaN" not in text
    assert "Infinity" not in text


def test_an_empty_sample_is_refused(sample):
    with pytest.raises(ValueError, match="no images"):
        per_image_and_lesion(sample.take(np.arange(0)), count=5, seed=0, bins=BINS)


def test_resamples_of_other_images_are_refused(sample):
    other = Resamples.over_lesions(np.arange(7), 5, 0)
    with pytest.raises(ValueError, match="7 images and the sample holds 260"):
        discrimination(sample, other, bins=BINS)
