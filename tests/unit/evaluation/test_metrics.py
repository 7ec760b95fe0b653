import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as reference

from skin_lesion.decisions import softmax
from skin_lesion.evaluation.metrics import confusion_counts, measure
from skin_lesion.evaluation.ranking import binary_auc
from skin_lesion.evaluation.resampling import Resamples
from skin_lesion.evaluation.sample import Sample
from skin_lesion.evaluation.summary import SplitFigures
from skin_lesion.labels import LABELS, MALIGNANT_INDICES, MELANOMA_INDEX

TEMPERATURE = 1.7


@pytest.fixture(scope="module")
def logits() -> np.ndarray:
    # Rounded, so that there are ties.
    return np.random.default_rng(0).normal(0, 2, (400, 7)).round(1).astype(np.float32)


@pytest.fixture(scope="module")
def truth(logits) -> np.ndarray:
    random = np.random.default_rng(1)
    guesses = random.integers(0, 7, len(logits))
    return np.where(random.random(len(logits)) < 0.5, logits.argmax(axis=1), guesses)


def sample_of(logits, truth, lesions=None, temperature: float = TEMPERATURE) -> Sample:
    lesions = [str(i) for i in range(len(truth))] if lesions is None else lesions
    rows = pd.DataFrame(
        {"image_id": [str(i) for i in range(len(truth))], "lesion_id": lesions, "group": lesions,
         "dx": [LABELS[i] for i in truth]}
    )  # fmt: skip
    probabilities = softmax(logits, temperature) if len(logits) else np.empty((0, 7))
    return Sample(rows, logits, probabilities, np.empty((len(truth), 0), np.float32))


def figures(logits, truth, lesions=None, temperature: float = TEMPERATURE) -> SplitFigures:
    sample = sample_of(logits, truth, lesions, temperature)
    resamples = (
        Resamples.over_lesions(sample.groups, 50, seed=0)
        if len(sample)
        else Resamples(np.empty((50, 0), np.float32))
    )
    return measure(sample, resamples, bins=10, purpose="test")


def test_every_figure_agrees_with_scikit_learn(logits, truth):
    found = figures(logits, truth)
    predicted = logits.argmax(axis=1)
    probabilities = softmax(logits, TEMPERATURE)
    expected = {
        "accuracy": reference.accuracy_score(truth, predicted),
        "balanced_accuracy": reference.balanced_accuracy_score(truth, predicted),
        "macro_f1": reference.f1_score(truth, predicted, average="macro"),
        "weighted_f1": reference.f1_score(truth, predicted, average="weighted"),
        "macro_auc": reference.roc_auc_score(truth, probabilities, multi_class="ovr"),
        "melanoma_auc": reference.roc_auc_score(
            truth == MELANOMA_INDEX, probabilities[:, MELANOMA_INDEX]
        ),
        "malignant_auc": reference.roc_auc_score(
            np.isin(truth, MALIGNANT_INDICES), probabilities[:, MALIGNANT_INDICES].sum(axis=1)
        ),
        "nll": reference.log_loss(truth, probabilities),
        "nll_uncalibrated": reference.log_loss(truth, softmax(logits)),
        "brier": reference.brier_score_loss(
            truth, probabilities, labels=range(7), scale_by_half=False
        ),
    }
    assert {name: getattr(found, name) for name in expected} == pytest.approx(expected)
    np.testing.assert_array_equal(found.confusion, reference.confusion_matrix(truth, predicted))
    precision, recall, f1, n = reference.precision_recall_fscore_support(truth, predicted)
    for i, label in enumerate(LABELS):
        one = found.per_class[label]
        assert (one.precision, one.recall, one.f1, one.n) == pytest.approx(
            (precision[i], recall[i], f1[i], n[i])
        )
        assert one.auc == pytest.approx(reference.roc_auc_score(truth == i, probabilities[:, i]))


def test_rows_of_the_confusion_matrix_are_true_classes():
    logits = np.eye(7, dtype=np.float32)[[0, 1, 1, 6]]
    counts = confusion_counts(sample_of(logits, np.array([0, 0, 0, 6])))
    assert counts[0].tolist() == [1, 2, 0, 0, 0, 0, 0]
    assert counts[6, 6] == 1
    assert counts.sum() == 4


def test_auc_counts_ties_half():
    positive = np.array([True, True, False, False])
    assert binary_auc(positive, np.array([0.5, 0.9, 0.5, 0.1])) == pytest.approx(3.5 / 4)


@pytest.mark.parametrize("positive", [[True, True], [False, False]])
def test_auc_of_one_kind_alone_is_undefined(positive):
    assert binary_auc(np.array(positive), np.array([0.1, 0.9])) is None


def test_means_run_over_the_classes_present_and_the_absent_are_named(logits, truth):
    kept = ~np.isin(truth, [3, 6])
    found = figures(logits[kept], truth[kept])
    predicted = logits[kept].argmax(axis=1)
    present = [0, 1, 2, 4, 5]
    assert found.absent_classes == ("df", "vasc")
    assert found.per_class["df"].model_dump() == {
        "precision": None, "recall": None, "f1": None, "auc": None, "n": 0
    }  # fmt: skip
    assert found.balanced_accuracy == pytest.approx(
        reference.recall_score(truth[kept], predicted, labels=present, average="macro")
    )
    assert found.macro_f1 == pytest.approx(
        reference.f1_score(truth[kept], predicted, labels=present, average="macro")
    )
    probabilities = softmax(logits[kept], TEMPERATURE)
    areas = [reference.roc_auc_score(truth[kept] == i, probabilities[:, i]) for i in present]
    assert found.macro_auc == pytest.approx(np.mean(areas))


def test_a_class_never_predicted_has_precision_zero(logits, truth):
    shy = logits.copy()
    shy[:, 4] = -100
    assert figures(shy, truth).per_class["mel"].precision == 0.0


def test_a_split_of_benign_lesions_alone_has_no_malignant_auc(logits):
    found = figures(logits, np.full(len(logits), 5))
    assert found.malignant_auc is None
    assert found.melanoma_auc is None
    assert found.macro_auc is None
    assert found.weighted_f1 == pytest.approx(found.macro_f1)


def test_lesions_are_counted_once(logits, truth):
    lesions = np.repeat(np.array([f"lesion {i}" for i in range(100)], dtype=object), 4)
    found = figures(logits, truth, lesions)
    assert (found.n_images, found.n_lesions) == (400, 100)


def test_temperature_moves_no_answer(logits, truth):
    cold, hot = (figures(logits, truth, temperature=value) for value in (0.1, 10.0))
    assert cold.confusion == hot.confusion
    assert cold.nll != hot.nll


def test_an_empty_split_is_refused():
    with pytest.raises(ValueError, match="no images"):
        figures(np.empty((0, 7)), np.empty(0, np.int64))


def test_every_interval_holds_its_figure_and_is_named_like_it(logits, truth):
    found = figures(logits, truth)
    assert {"accuracy", "macro_f1", "melanoma_auc", "per_class.mel.recall"} <= set(found.intervals)
    for name in ("accuracy", "balanced_accuracy", "macro_f1", "melanoma_auc", "brier"):
        ends = found.intervals[name]
        assert ends.ci_low < getattr(found, name) < ends.ci_high
