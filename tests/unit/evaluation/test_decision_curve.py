import numpy as np
import pandas as pd
import pytest

from skin_lesion.evaluation.decision_curve import (
    THRESHOLDS,
    decision_curve,
    decision_figures,
    draw_decision_curves,
)
from skin_lesion.evaluation.resampling import Resamples
from skin_lesion.evaluation.sample import Sample
from skin_lesion.labels import LABEL_INDEX

MEL, NV, BCC = (LABEL_INDEX[code] for code in ("mel", "nv", "bcc"))


def sample_of(risks, dx, groups=None):
    """Images with these melanoma probabilities; the rest is naevus."""
    n = len(risks)
    probabilities = np.zeros((n, 7))
    probabilities[:, MEL] = risks
    probabilities[:, NV] = 1 - np.asarray(risks)
    names = [f"g{i:04d}" for i in (range(n) if groups is None else groups)]
    images = [f"i{i:04d}" for i in range(n)]
    rows = pd.DataFrame({"image_id": images, "lesion_id": names, "group": names, "dx": dx})
    return Sample(rows, np.zeros((n, 7), np.float32), probabilities, np.zeros((n, 1), np.float32))


def noisy_sample(n=240):
    random = np.random.default_rng(0)
    melanoma = np.repeat(random.random(n // 2) < 0.25, 2)
    risks = np.clip(random.normal(0.2 + 0.35 * melanoma, 0.2), 0, 1)
    return sample_of(risks, np.where(melanoma, "mel", "nv"), np.arange(n) // 2)


def test_net_benefit_by_hand():
    # At 20 %: two finds and one false alarm, which costs a quarter of a find, in eight pictures.
    sample = sample_of([0.9, 0.2, 0.1, 0.5, 0.1, 0.1, 0.1, 0.0], ["mel"] * 3 + ["nv"] * 5)
    resamples = Resamples.over_lesions(sample.groups, 50, 0)
    row = decision_figures(sample, "melanoma", resamples, thresholds=(0.2,)).rows[0]
    assert row.model.value == pytest.approx((2 - 0.25) / 8)
    assert row.treat_all.value == pytest.approx((3 - 5 / 4) / 8)
    assert row.gain.value == pytest.approx(0.0)
    assert row.spared_per_100.value == pytest.approx(0.0)


def test_what_is_spared_is_the_gain_over_treating_all_in_false_alarms():
    # A perfect model spares the six benign pictures of ten, whatever the threshold.
    sample = sample_of([1.0] * 4 + [0.0] * 6, ["mel"] * 4 + ["nv"] * 6)
    resamples = Resamples.over_lesions(sample.groups, 50, 0)
    figures = decision_figures(sample, "melanoma", resamples, thresholds=(0.05, 0.3))
    assert [row.spared_per_100.value for row in figures.rows] == pytest.approx([60, 60])
    assert figures.prevalence == pytest.approx(0.4)


def test_a_model_that_flags_all_does_as_well_as_treating_all():
    sample = sample_of([0.9] * 10, ["mel"] * 3 + ["nv"] * 7)
    curve = decision_curve(
        sample, "melanoma", Resamples.over_lesions(sample.groups, 50, 0), thresholds=THRESHOLDS
    )
    assert curve.model == pytest.approx(curve.treat_all)
    assert curve.treat_all[29] == pytest.approx(0.0)  # nothing is gained at the prevalence itself


def test_a_model_that_flags_none_does_nothing():
    sample = sample_of([0.0] * 10, ["mel"] * 3 + ["nv"] * 7)
    curve = decision_curve(
        sample, "melanoma", Resamples.over_lesions(sample.groups, 50, 0), thresholds=THRESHOLDS
    )
    assert not curve.model.any()


def test_gain_is_over_the_better_of_all_and_none():
    sample = noisy_sample()
    resamples = Resamples.over_lesions(sample.groups, 50, 0)
    low, high = decision_figures(sample, "melanoma", resamples, thresholds=(0.05, 0.45)).rows
    assert low.gain.value == pytest.approx(low.model.value - low.treat_all.value)
    assert high.treat_all.value < 0
    assert high.gain.value == pytest.approx(high.model.value)


def test_the_band_is_that_of_the_resampled_net_benefits():
    sample = noisy_sample()
    resamples = Resamples.over_lesions(sample.groups, 150, 0)
    curve = decision_curve(sample, "melanoma", resamples, thresholds=np.array([0.1, 0.4]))
    melanoma, score = sample.truth == MEL, sample.probabilities[:, MEL]
    rows = decision_figures(sample, "melanoma", resamples, thresholds=(0.1, 0.4)).rows
    for i, risk in enumerate(curve.thresholds):
        drawn, gains = [], []
        for weights in resamples.weights.astype(float):
            price = risk / (1 - risk) / weights.sum()
            flagged = score >= risk
            drawn.append(
                weights[melanoma & flagged].sum() / weights.sum()
                - weights[~melanoma & flagged].sum() * price
            )
            of_all = weights[melanoma].sum() / weights.sum() - weights[~melanoma].sum() * price
            gains.append(drawn[-1] - max(of_all, 0))
        assert rows[i].gain.ci_low == pytest.approx(np.quantile(gains, 0.025), abs=1e-6)
        assert rows[i].gain.ci_high == pytest.approx(np.quantile(gains, 0.975), abs=1e-6)
        assert curve.low[i] == pytest.approx(np.quantile(drawn, 0.025), abs=1e-6)
        assert curve.high[i] == pytest.approx(np.quantile(drawn, 0.975), abs=1e-6)


def test_malignant_goes_by_the_summed_risk():
    sample = sample_of([0.3, 0.0, 0.0], ["bcc", "nv", "nv"])
    sample.probabilities[0, NV], sample.probabilities[0, BCC] = 0.3, 0.4
    resamples = Resamples.over_lesions(sample.groups, 20, 0)
    figures = decision_figures(sample, "malignant", resamples, thresholds=(0.5,))
    assert figures.rows[0].model.value == pytest.approx(1 / 3)


def test_without_positives_the_model_can_only_do_harm():
    sample = sample_of([0.9, 0.1, 0.1, 0.1], ["nv"] * 4)
    resamples = Resamples.over_lesions(sample.groups, 20, 0)
    row = decision_figures(sample, "melanoma", resamples, thresholds=(0.5,)).rows[0]
    assert row.model.value == pytest.approx(-0.25)
    assert row.treat_all.value == pytest.approx(-1.0)


@pytest.mark.parametrize("risk", [0.0, 1.0, -0.1])
def test_a_threshold_is_a_risk_between_none_and_certainty(risk):
    sample = noisy_sample()
    with pytest.raises(ValueError, match="above 0 and below 1"):
        decision_figures(
            sample, "melanoma", Resamples.over_lesions(sample.groups, 5, 0), thresholds=(risk,)
        )


def test_the_thresholds_reach_from_one_to_fifty_percent():
    assert THRESHOLDS[[0, -1]].tolist() == [0.01, 0.5]
    assert np.diff(THRESHOLDS) == pytest.approx(0.01)


def test_curves_without_a_positive_are_drawn():
    sample = sample_of([0.9, 0.1, 0.1, 0.1], ["nv"] * 4)
    resamples = Resamples.over_lesions(sample.groups, 20, 0)
    curve = decision_curve(sample, "melanoma", resamples, thresholds=THRESHOLDS)
    assert draw_decision_curves([curve]).startswith(b"\x89PNG")
