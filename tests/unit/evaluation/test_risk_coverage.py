from itertools import permutations

import numpy as np
import pandas as pd
import pytest

from skin_lesion.evaluation.resampling import Resamples
from skin_lesion.evaluation.risk_coverage import risk_coverage
from skin_lesion.evaluation.sample import Sample
from skin_lesion.labels import LABELS


def sample_of(right: np.ndarray, top: np.ndarray, groups: np.ndarray | None = None) -> Sample:
    """Images answered with the second class at a top probability, rightly or not."""
    n = len(right)
    groups = np.arange(n) if groups is None else groups
    probabilities = np.full((n, 7), 0.0)
    probabilities[:, 1] = top
    probabilities[:, [0, *range(2, 7)]] = ((1 - top) / 6)[:, None]
    rows = pd.DataFrame(
        {
            "image_id": [f"image {i:04d}" for i in range(n)],
            "lesion_id": [f"lesion {g:04d}" for g in groups],
            "group": [f"lesion {g:04d}" for g in groups],
            "dx": [LABELS[1 if is_right else 2] for is_right in right],
        }
    )
    nothing = np.zeros((n, 7), np.float32)
    return Sample(rows, nothing, probabilities, nothing)


def brute_force(wrong: np.ndarray) -> float:
    """Mean risk of answers given in this order."""
    return float(np.mean([wrong[: k + 1].mean() for k in range(len(wrong))]))


def measured(sample: Sample, confidence=None):
    return risk_coverage(sample, Resamples.over_lesions(sample.groups, 50, 0), confidence)


@pytest.fixture(scope="module")
def sample() -> Sample:
    random = np.random.default_rng(0)
    top = random.uniform(0.3, 1, 160)
    return sample_of(random.random(160) < top, top, random.integers(0, 110, 160))


def test_the_area_is_the_mean_risk_over_all_coverages(sample) -> None:
    wrong = (sample.predicted != sample.truth)[np.argsort(-sample.probabilities.max(axis=1))]
    found = measured(sample)
    assert found.aurc.value == pytest.approx(brute_force(wrong), abs=1e-12)
    assert found.best_aurc == pytest.approx(brute_force(np.sort(wrong)), abs=1e-12)
    assert found.excess_aurc.value == pytest.approx(found.aurc.value - found.best_aurc)
    assert (found.n_images, found.n_mistakes) == (160, wrong.sum())


def test_ties_are_taken_in_every_order() -> None:
    wrong = np.array([False, True, True, False, False, True])
    confidence = np.array([0.9, 0.9, 0.6, 0.6, 0.6, 0.2])
    orders = [
        [*first, *(2 + np.array(second)), 5]
        for first in permutations(range(2))
        for second in permutations(range(3))
    ]
    expected = np.mean([brute_force(wrong[order]) for order in orders])
    found = measured(sample_of(~wrong, confidence))
    assert found.aurc.value == pytest.approx(expected, abs=1e-12)


def test_a_resample_counts_like_the_images_drawn_into_it(sample) -> None:
    weights = np.random.default_rng(1).multinomial(160, np.full(160, 1 / 160), 40)
    found = risk_coverage(sample, Resamples(weights.astype(np.float32)))
    wrong, top = sample.predicted != sample.truth, sample.probabilities.max(axis=1)
    areas = []
    for row in weights:
        # Copies of an image are equally sure and equally right, so their order is no matter.
        drawn = np.repeat(np.arange(160), row)
        areas.append(brute_force(wrong[drawn[np.argsort(-top[drawn], kind="stable")]]))
    low, high = np.quantile(areas, [0.025, 0.975])
    assert (found.aurc.ci_low, found.aurc.ci_high) == pytest.approx((low, high), abs=1e-9)


def test_points_of_the_curve_are_the_risk_among_the_surest(sample) -> None:
    wrong = (sample.predicted != sample.truth)[np.argsort(-sample.probabilities.max(axis=1))]
    found = measured(sample)
    for coverage in (0.05, 0.5, 0.8, 1.0):
        point = found.at(coverage)
        assert point.coverage == coverage
        assert point.risk.value == pytest.approx(wrong[: int(160 * coverage)].mean())
    assert found.points[-1].risk.value == pytest.approx(wrong.mean())


def test_a_perfect_order_has_no_excess_and_the_worst_has_the_most() -> None:
    right = np.arange(30) < 20
    sure = np.linspace(1, 0.5, 30)
    perfect, worst = measured(sample_of(right, sure)), measured(sample_of(right[::-1], sure))
    assert perfect.excess_aurc.value == pytest.approx(0, abs=1e-12)
    assert worst.aurc.value == pytest.approx(brute_force(np.arange(30) < 10))
    assert worst.excess_aurc.value > 0.2


def test_constant_confidence_has_the_same_risk_throughout() -> None:
    found = measured(sample_of(np.arange(40) % 4 > 0, np.full(40, 0.7)))
    assert found.aurc.value == pytest.approx(0.25)
    assert [point.risk.value for point in found.points] == pytest.approx([0.25] * 100)


@pytest.mark.parametrize("right", [True, False])
def test_without_a_mistake_or_without_a_right_answer_there_is_no_excess(right) -> None:
    found = measured(sample_of(np.full(9, right), np.linspace(0.5, 0.9, 9)))
    assert found.aurc.value == found.best_aurc == (0 if right else 1)
    assert found.excess_aurc.value == 0
    # All resamples agree, which proves nothing.
    assert found.excess_aurc.ci_low is None


def test_one_image_is_enough() -> None:
    assert measured(sample_of(np.array([False]), np.array([0.6]))).aurc.value == 1


def test_any_confidence_can_be_measured(sample) -> None:
    top = sample.probabilities.max(axis=1)
    assert measured(sample, 3 * top - 7) == measured(sample)
    assert measured(sample, -top).aurc.value > measured(sample).aurc.value


@pytest.mark.parametrize("confidence", [np.zeros(3), np.full(160, np.nan)])
def test_confidences_have_to_be_finite_and_as_many_as_images(sample, confidence) -> None:
    with pytest.raises(ValueError, match="160 finite ones"):
        measured(sample, confidence)
