from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as reference

from skin_lesion.decisions import softmax
from skin_lesion.evaluation.comparison import COMPARED, compare, two_sided_p
from skin_lesion.evaluation.discrimination import discrimination
from skin_lesion.evaluation.resampling import Resamples
from skin_lesion.evaluation.sample import Sample
from skin_lesion.labels import LABELS, MELANOMA_INDEX

IMAGES = 300
SETTINGS = {"count": 300, "seed": 2, "bins": 10}
GROUPS = np.concatenate([np.arange(220), np.random.default_rng(1).integers(0, 220, IMAGES - 220)])
TRUTH = np.random.default_rng(2).integers(0, 7, 220)[GROUPS]
# What makes a picture hard for every model.
SHARED = np.random.default_rng(3).normal(0, 1.5, (IMAGES, 7))


def model(skill: float, seed: int, sharpness: float = 1.0) -> Sample:
    own = np.random.default_rng([4, seed]).normal(0, 0.5, (IMAGES, 7))
    logits = sharpness * (SHARED + own + skill * np.eye(7)[TRUTH])
    rows = pd.DataFrame(
        {
            "image_id": [f"image {i:04d}" for i in range(IMAGES)],
            "lesion_id": [f"lesion {group:04d}" for group in GROUPS],
            "group": [f"group {group:04d}" for group in GROUPS],
            "dx": [LABELS[index] for index in TRUTH],
        }
    )
    features = np.zeros((IMAGES, 2), np.float32)
    return Sample(rows, logits.astype(np.float32), softmax(logits), features)


@pytest.fixture(scope="module")
def weak() -> Sample:
    return model(1.0, seed=0)


@pytest.fixture(scope="module")
def strong() -> Sample:
    return model(1.6, seed=1)


def relabelled(sample: Sample, column: str, value: str) -> Sample:
    rows = sample.rows.copy()
    rows.loc[3, column] = value
    return replace(sample, rows=rows)


def test_each_figure_stands_with_both_models_values_and_the_second_less_the_first(weak, strong):
    found = compare(weak, strong, **SETTINGS)
    assert tuple(found.figures) == COMPARED
    assert (found.n_images, found.n_lesions, found.resamples) == (IMAGES, 220, 300)
    resamples = Resamples.over_lesions(weak.groups, 20, 0)
    for side, sample in (("a", weak), ("b", strong)):
        alone = discrimination(sample, resamples, bins=10).estimates
        for name, one in found.figures.items():
            assert getattr(one, side) == pytest.approx(alone[name].value)
    for one in found.figures.values():
        assert one.difference.value == pytest.approx(one.b - one.a)
    assert {name for name, one in found.figures.items() if not one.higher_is_better} == {
        "brier", "nll", "ece"
    }  # fmt: skip


def test_the_interval_and_the_p_value_are_those_of_pairs_resampled_together(weak, strong):
    one = compare(weak, strong, count=50, seed=2, bins=10).figures["melanoma_auc"]
    melanoma = weak.truth == MELANOMA_INDEX
    weights = Resamples.over_lesions(weak.groups, 50, 2).weights
    differences = [
        reference.roc_auc_score(
            melanoma, strong.probabilities[:, MELANOMA_INDEX], sample_weight=row
        )
        - reference.roc_auc_score(
            melanoma, weak.probabilities[:, MELANOMA_INDEX], sample_weight=row
        )
        for row in weights
    ]
    low, high = np.quantile(differences, [0.025, 0.975])
    assert (one.difference.ci_low, one.difference.ci_high) == pytest.approx((low, high))
    assert one.p_value == pytest.approx(two_sided_p(np.array(differences)))


def test_a_better_model_is_told_from_a_worse_one_either_way_round(weak, strong):
    there, back = compare(weak, strong, **SETTINGS), compare(strong, weak, **SETTINGS)
    for name in ("accuracy", "macro_f1", "macro_auc", "brier", "nll"):
        one, other = there.figures[name], back.figures[name]
        assert one.p_value == other.p_value < 0.02
        assert one.difference.value == pytest.approx(-other.difference.value)
        assert one.difference.ci_low == pytest.approx(-other.difference.ci_high)
        assert not one.b_is_worse
        assert other.b_is_worse


def test_pairing_shows_what_two_separate_intervals_hide(weak):
    better = model(1.25, seed=1)
    paired = compare(weak, better, **SETTINGS).figures["macro_auc"]
    resamples = Resamples.over_lesions(weak.groups, 300, 2)
    alone = [discrimination(s, resamples, bins=10).estimates["macro_auc"] for s in (weak, better)]
    assert alone[0].ci_high > alone[1].ci_low
    assert paired.difference.ci_low > 0


def test_a_model_does_not_differ_from_itself(weak):
    for one in compare(weak, weak, **SETTINGS).figures.values():
        assert one.difference.value == 0.0
        assert (one.difference.ci_low, one.difference.ci_high) in ((0.0, 0.0), (None, None))
        assert one.p_value in (1.0, None)
        assert not one.b_is_worse


def test_equal_answers_with_other_probabilities_differ_in_calibration_alone(weak):
    found = compare(weak, model(1.0, seed=0, sharpness=3.0), **SETTINGS).figures
    assert found["accuracy"].difference.value == 0.0
    assert found["accuracy"].p_value == 1.0
    assert found["ece"].b > found["ece"].a
    assert found["nll"].b_is_worse


def test_a_difference_in_calibration_error_has_no_interval_to_rely_on(weak, strong):
    for name, one in compare(weak, strong, **SETTINGS).figures.items():
        assert (one.p_value is None) == (one.difference.ci_low is None) == (name == "ece")


def test_rows_are_matched_by_image_id(weak, strong):
    mixed = strong.take(np.random.default_rng(0).permutation(IMAGES))
    assert compare(weak, mixed, **SETTINGS) == compare(weak, strong, **SETTINGS)


def test_two_equally_good_models_are_seldom_told_apart():
    p_values = np.array(
        [
            compare(model(1.0, seed=2 * i), model(1.0, seed=2 * i + 1), count=60, seed=i, bins=5)
            .figures["accuracy"]
            .p_value
            for i in range(20)
        ]
    )
    assert (p_values < 0.05).sum() <= 4
    assert 0.3 < p_values.mean() < 0.8


@pytest.mark.parametrize(
    ("differences", "expected"),
    [
        ([1.0] * 99, 0.02),  # none on the other side: 2 * 1 / 100
        ([1.0] * 97 + [-1.0] * 2, 0.06),
        ([1.0] * 97 + [-1.0] + [0.0], 0.06),  # a tie is no difference
        ([0.0] * 99, 1.0),
        ([1.0] * 50 + [-1.0] * 49, 1.0),
        ([np.nan] * 5 + [1.0] * 99, 0.02),
    ],
)
def test_the_p_value_by_hand(differences, expected):
    assert two_sided_p(np.array(differences)) == pytest.approx(expected)
    assert two_sided_p(-np.array(differences)) == pytest.approx(expected)


def test_a_figure_that_neither_model_has_is_left_open(weak, strong):
    kept = np.flatnonzero(weak.truth != MELANOMA_INDEX)
    found = compare(weak.take(kept), strong.take(kept), **SETTINGS)
    one = found.figures["melanoma_auc"]
    assert (one.a, one.b, one.difference.value, one.p_value) == (None, None, None, None)
    assert not one.b_is_worse
    assert found.figures["macro_auc"].p_value is not None
    assert "NaN" not in found.model_dump_json()


def test_a_class_of_two_lesions_does_not_leave_the_comparison_without_an_interval(weak, strong):
    rare = LABELS.index("df")
    lesions = np.unique(GROUPS[rare == TRUTH])[:2]
    kept = np.flatnonzero((rare != TRUTH) | np.isin(GROUPS, lesions))
    a, b = weak.take(kept), strong.take(kept)
    resamples = Resamples.over_lesions(a.groups, 300, seed=2)
    lacking = resamples.sums(a.truth == rare) == 0
    assert lacking.mean() > 0.05
    assert compare(a, b, **SETTINGS).thin_classes == ("df",)
    assert compare(weak, strong, **SETTINGS).thin_classes == ()
    assert discrimination(a, resamples, bins=10).estimates["macro_f1"].ci_low is None
    macro_f1 = compare(a, b, **SETTINGS).figures["macro_f1"].difference
    assert macro_f1.ci_low < macro_f1.value < macro_f1.ci_high

    # By hand: where the class is lacking, the mean over the six others of both.
    def by_hand(sample: Sample, weights: np.ndarray) -> float:
        return reference.f1_score(
            sample.truth,
            sample.predicted,
            labels=np.unique(sample.truth[weights > 0]),
            average="macro",
            sample_weight=weights,
            zero_division=0,
        )

    differences = [by_hand(b, weights) - by_hand(a, weights) for weights in resamples.weights]
    low, high = np.quantile(differences, [0.025, 0.975])
    assert (macro_f1.ci_low, macro_f1.ci_high) == (pytest.approx(low), pytest.approx(high))


def test_other_images_are_refused(weak, strong):
    with pytest.raises(ValueError, match=r"1 image\(s\) are in the first .* 'image 0000'"):
        compare(weak, strong.take(np.arange(1, IMAGES)), **SETTINGS)
    with pytest.raises(ValueError, match="2 in the second alone"):
        compare(weak.take(np.arange(2, IMAGES)), strong, **SETTINGS)


@pytest.mark.parametrize(("column", "value"), [("dx", "other"), ("group", "other")])
def test_the_same_images_with_another_truth_or_lesion_are_refused(weak, strong, column, value):
    with pytest.raises(ValueError, match=rf"1 image\(s\) another '{column}', such as 'image 0003'"):
        compare(weak, relabelled(strong, column, value), **SETTINGS)


def test_an_image_given_twice_is_refused(weak):
    twice = weak.take(np.append(np.arange(IMAGES), 5))
    with pytest.raises(ValueError, match="'image 0005' occurs more than once"):
        compare(twice, twice, **SETTINGS)


def test_no_images_are_refused(weak):
    empty = weak.take(np.arange(0))
    with pytest.raises(ValueError, match="no images"):
        compare(empty, empty, **SETTINGS)
