"""The optimizer: every block at its rate, decay where it belongs, a schedule that counts right."""

import keras
import numpy as np
import pytest

from skin_lesion.modeling.classifier import backbone_blocks, build_classifier
from skin_lesion.modeling.optimizer import block_rate_factors, build_optimizer, schedule
from skin_lesion.settings import BackboneConfig, FinetuneConfig, WarmupConfig

BACKBONE = BackboneConfig(name="mobilenet", weights="none", feature_layer="conv_pw_2_relu")
RATE = 1e-3


def variables(*shapes: tuple[int, ...]) -> list[keras.Variable]:
    rng = np.random.default_rng(0)
    names = ("kernel", "bias", "gamma", "beta")
    return [
        keras.Variable(rng.normal(size=shape).astype(np.float32), name=name)
        for shape, name in zip(shapes, names, strict=False)
    ]


def gradients(of: list[keras.Variable], seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [keras.ops.convert_to_tensor(rng.normal(size=v.shape).astype(np.float32)) for v in of]


def values(of: list[keras.Variable]) -> list[np.ndarray]:
    return [np.array(keras.ops.convert_to_numpy(v)) for v in of]


@pytest.fixture(scope="module")
def classifier() -> keras.Model:
    return build_classifier(BACKBONE, (32, 32))


def test_the_nearer_a_block_is_to_the_pixels_the_shorter_are_its_steps(
    classifier: keras.Model,
) -> None:
    """Adam's first step is as long as the rate whatever the gradient, so that steps tell rates."""
    factors = block_rate_factors(classifier, BACKBONE.name, 0.5)
    config = FinetuneConfig(learning_rate=RATE, weight_decay=0.0)
    optimizer = build_optimizer(config, 10, rate_factors=factors)
    learning = classifier.trainable_variables
    optimizer.build(learning)
    before = values(learning)
    optimizer.apply(gradients(learning, 1), learning)
    steps = {
        v.path: np.abs(a - b).max()
        for v, a, b in zip(learning, values(learning), before, strict=True)
    }
    for position, block in enumerate(backbone_blocks(classifier, BACKBONE.name)):
        for layer in block:
            for variable in layer.trainable_variables:
                expected = RATE * 0.5 ** (position + 1)
                assert steps[variable.path] == pytest.approx(expected, rel=0.01)
    assert steps["logits/kernel"] == pytest.approx(RATE, rel=0.01)


def test_without_factors_it_is_the_adamw_of_keras() -> None:
    config = FinetuneConfig(learning_rate=0.01, weight_decay=0.1, gradient_clip_norm=1.0)
    ours, theirs = variables((4, 3), (3,)), variables((4, 3), (3,))
    mine = build_optimizer(config, 10)
    reference = keras.optimizers.AdamW(schedule(config, 10), weight_decay=0.1, global_clipnorm=1.0)
    reference.exclude_from_weight_decay(var_names=["bias"])
    for step in range(5):
        mine.apply(gradients(ours, step), ours)
        reference.apply(gradients(theirs, step), theirs)
    for a, b in zip(values(ours), values(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)


def test_decay_goes_by_the_rate_of_its_block_and_spares_biases_and_batchnorm() -> None:
    decayed = variables((4, 3), (3,), (3,), (3,))
    config = FinetuneConfig(learning_rate=0.1, weight_decay=0.5, gradient_clip_norm=None)
    optimizer = build_optimizer(config, 10, rate_factors={decayed[0].path: 0.2})
    before = values(decayed)
    nothing = [keras.ops.zeros(v.shape) for v in decayed]
    optimizer.apply(nothing, decayed)
    kernel, *others = values(decayed)
    np.testing.assert_allclose(kernel, before[0] * (1 - 0.1 * 0.2 * 0.5), rtol=1e-6)
    for a, b in zip(others, before[1:], strict=True):
        np.testing.assert_array_equal(a, b)


def test_accumulated_batches_make_one_update_of_their_mean_gradient() -> None:
    config = FinetuneConfig(learning_rate=0.01, weight_decay=0.1, gradient_clip_norm=0.5)
    parts, whole = variables((4, 3), (3,)), variables((4, 3), (3,))
    accumulating = build_optimizer(config.model_copy(update={"accumulation_steps": 2}), 10)
    plain = build_optimizer(config, 10)
    for update in range(3):
        first, second = gradients(parts, 2 * update), gradients(parts, 2 * update + 1)
        before = values(parts)
        accumulating.apply(first, parts)
        for a, b in zip(values(parts), before, strict=True):
            np.testing.assert_array_equal(a, b)
        accumulating.apply(second, parts)
        plain.apply([(a + b) / 2 for a, b in zip(first, second, strict=True)], whole)
    for a, b in zip(values(parts), values(whole), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_the_schedule_counts_batches_however_many_make_an_update() -> None:
    config = WarmupConfig(
        epochs=4, learning_rate=RATE, accumulation_steps=2, final_learning_rate_share=0.0
    )
    learning = variables((2, 2))
    optimizer = build_optimizer(config, steps_per_epoch=3)
    rates = []
    for step in range(12):
        rates.append(float(optimizer.learning_rate))
        optimizer.apply(gradients(learning, step), learning)
    expected = [RATE * (1 + np.cos(np.pi * step / 12)) / 2 for step in range(12)]
    np.testing.assert_allclose(rates, expected, rtol=1e-4)
    assert float(optimizer.learning_rate) == pytest.approx(0.0, abs=1e-9)
