"""The loss: what makes up for rare classes acts once, and as it is published."""

from typing import get_args

import keras
import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from skin_lesion.data.loader import TrainingBatches
from skin_lesion.modeling.losses import training_loss
from skin_lesion.settings import AugmentConfig, Imbalance

from .conftest import MakeData

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(5, 7)).astype(np.float32)
TARGETS = RNG.dirichlet(np.ones(7), 5).astype(np.float32)  # as mixed pictures have them
COUNTS = dict(
    zip(("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc"), range(10, 80, 10), strict=True)
)


def loss_of(make_data: MakeData, smoothing: float = 0.0, **policy: object) -> float:
    plan = make_data(policy=AugmentConfig(**policy)).plan.model_copy(
        update={"train_counts": COUNTS}
    )
    return float(training_loss(plan, smoothing)(TARGETS, LOGITS))


@pytest.mark.parametrize("imbalance", ["none", "class_weights", "balanced_sampling"])
def test_corrections_of_the_loader_leave_the_loss_alone(
    imbalance: str, make_data: MakeData
) -> None:
    expected = -(TARGETS * log_softmax(LOGITS, axis=1)).sum(axis=1).mean()
    assert loss_of(make_data, imbalance=imbalance) == pytest.approx(expected, rel=1e-5)


def test_focal_loss_counts_what_is_certain_for_less(make_data: MakeData) -> None:
    p = softmax(LOGITS, axis=1)
    expected = -(TARGETS * (1 - p) ** 1.5 * np.log(p)).sum(axis=1).mean()
    found = loss_of(make_data, imbalance="focal", focal_gamma=1.5)
    assert found == pytest.approx(expected, rel=1e-5)


def test_adjusted_logits_know_how_common_a_class_is(make_data: MakeData) -> None:
    prior = np.array(list(COUNTS.values())) / sum(COUNTS.values())
    expected = -(TARGETS * log_softmax(LOGITS + 0.7 * np.log(prior), axis=1)).sum(axis=1).mean()
    found = loss_of(make_data, imbalance="logit_adjustment", logit_adjustment_tau=0.7)
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("imbalance", get_args(Imbalance))
def test_targets_are_smoothed_whatever_the_correction(imbalance: str, make_data: MakeData) -> None:
    smoothed = 0.9 * TARGETS + 0.1 / 7
    plan = make_data(policy=AugmentConfig(imbalance=imbalance)).plan
    found = training_loss(plan, 0.1)(TARGETS, LOGITS)
    expected = training_loss(plan, 0.0)(smoothed, LOGITS)
    assert float(found) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize("imbalance", get_args(Imbalance))
def test_no_two_corrections_act_together(imbalance: str, make_data: MakeData) -> None:
    data = make_data(policy=AugmentConfig(imbalance=imbalance))
    counts = data.plan.train_counts | {"df": 2}
    rows = data.split.rows
    rare = rows.index[(rows["dx"] == "df") & (rows["split"] == "train")][2:]
    rows.loc[rare, "split"] = "val"
    from skin_lesion.data.augment import make_plan

    plan = make_plan(data.split, data.plan.policy, seed=1)
    assert plan.train_counts == counts
    plain = type(training_loss(plan, 0.0)) is keras.losses.CategoricalCrossentropy
    even = set(plan.class_weights.values()) == {1.0}
    as_is = np.allclose(plan.served_shares(), plan.prior())
    changed = {"loss": not plain, "weights": not even, "sampling": not as_is}
    expected = {
        "class_weights": "weights", "balanced_sampling": "sampling", "focal": "loss",
        "logit_adjustment": "loss",
    }  # fmt: skip
    assert [name for name, is_so in changed.items() if is_so] == [
        expected[imbalance] for _ in range(imbalance in expected)
    ]
    weights = TrainingBatches(data.images, data.split, plan, 8)[0][2]
    assert (np.ptp(plan.weight_vector()) > 0) == (imbalance == "class_weights")
    assert weights.shape == (8,)
