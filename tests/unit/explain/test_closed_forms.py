"""The closed forms against automatic differentiation of the same head."""

import numpy as np
import pytest

from skin_lesion.explain.gradcam import class_activation, grad_cam_plus_plus, hires_cam
from skin_lesion.labels import LABELS

CLASSES = range(len(LABELS))


@pytest.fixture(scope="module")
def learnt(small_world):
    """Feature map of a picture, shape (h, w, C), and the Keras head above it, in float64."""
    import keras

    model = keras.models.load_model(small_world.bundle.keras_path)
    network = keras.Model(model.inputs, model.get_layer("features").output)
    features = np.asarray(network([small_world.images.open()[5:6]]))[0]
    kernel, bias = model.get_layer("logits").get_weights()
    image = keras.Input(features.shape, dtype="float64")
    pooled = keras.layers.GlobalAveragePooling2D(dtype="float64")(image)
    dense = keras.layers.Dense(len(LABELS), dtype="float64")
    head = keras.Model(image, dense(pooled))
    dense.set_weights([kernel, bias])
    return features, head, kernel, bias


def normalised(evidence):
    positive = np.maximum(evidence, 0)
    return positive / positive.max() if positive.max() > 0 else positive


def gradient(head, features, class_index):
    import tensorflow as tf

    maps = tf.constant(features[None], tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(maps)
        logit = head(maps)[0, class_index]
    return tape.gradient(logit, maps)[0].numpy()


def derivatives_of_the_score(head, features, class_index):
    """First, second and third derivative of exp(logit) by each value of the map alone."""
    import tensorflow as tf

    # One copy of the map for each value, which alone is moved: pure derivatives, no cross terms.
    copies = tf.constant(np.repeat(features[None], features.size, axis=0), tf.float64)
    one_each = tf.reshape(tf.eye(features.size, dtype=tf.float64), copies.shape)
    moved = tf.zeros(features.size, tf.float64)
    with tf.GradientTape() as third:
        third.watch(moved)
        with tf.GradientTape() as second:
            second.watch(moved)
            with tf.GradientTape() as first:
                first.watch(moved)
                logit = head(copies + one_each * moved[:, None, None, None])[:, class_index]
                score = tf.exp(logit)
            one = first.gradient(score, moved)
        two = second.gradient(one, moved)
    three = third.gradient(two, moved)
    return (derivative.numpy().reshape(features.shape) for derivative in (one, two, three))


@pytest.mark.parametrize("class_index", CLASSES)
def test_hires_cam_is_feature_map_times_gradient(learnt, class_index):
    features, head, kernel, _ = learnt
    expected = (features * gradient(head, features, class_index)).sum(axis=-1)
    np.testing.assert_allclose(hires_cam(features, kernel, class_index), expected, atol=1e-4)


@pytest.mark.parametrize("class_index", CLASSES)
def test_hires_cam_is_grad_cam_before_relu_and_normalisation(learnt, class_index):
    features, head, kernel, _ = learnt
    importance = gradient(head, features, class_index).mean(axis=(0, 1))
    grad_cam = (features * importance).sum(axis=-1)
    np.testing.assert_allclose(hires_cam(features, kernel, class_index), grad_cam, atol=1e-4)
    shown = class_activation(features, kernel, class_index)
    np.testing.assert_allclose(shown, normalised(grad_cam), atol=1e-4)


@pytest.mark.parametrize("class_index", CLASSES)
def test_contributions_add_up_to_the_logit(learnt, class_index):
    features, head, kernel, bias = learnt
    total = hires_cam(features, kernel, class_index).sum() + bias[class_index]
    assert total == pytest.approx(float(head(features[None])[0, class_index]), abs=1e-4)


@pytest.mark.parametrize("class_index", CLASSES)
def test_grad_cam_plus_plus_is_that_of_its_paper(learnt, class_index):
    """Equations 10 and 19 to 21 of arXiv:1710.11063, with every derivative taken automatically."""
    features, head, kernel, _ = learnt
    one, two, three = derivatives_of_the_score(head, features, class_index)
    total = features.sum(axis=(0, 1))
    denominator = 2 * two + total * three
    alpha = np.divide(two, denominator, out=np.zeros_like(two), where=denominator != 0)
    importance = (alpha * np.maximum(one, 0)).sum(axis=(0, 1))
    expected = normalised((features * importance).sum(axis=-1))
    assert expected.max() == 1
    actual = grad_cam_plus_plus(features, kernel, class_index)
    np.testing.assert_allclose(actual, expected, atol=1e-4)


def test_grad_cam_plus_plus_holds_a_strong_channel_back():
    features = np.zeros((1, 3, 2), np.float32)
    features[0, 0, 0], features[0, 1, 1] = 12.0, 3.0
    kernel = np.array([[1.0], [2.0]], np.float32)
    # Means are 4 and 1, so the weights are 1 / (2 + 4) and 2 / (2 + 2): 12 / 6 and 3 / 2.
    np.testing.assert_allclose(grad_cam_plus_plus(features, kernel, 0), [[1, 0.75, 0]])
    np.testing.assert_allclose(class_activation(features, kernel, 0), [[1, 0.5, 0]])


def test_grad_cam_plus_plus_leaves_out_what_speaks_against():
    features = np.ones((2, 2, 2), np.float32)
    features[0, 0, 1] = 100
    kernel = np.array([[1.0], [-5.0]], np.float32)
    np.testing.assert_allclose(grad_cam_plus_plus(features, kernel, 0), np.ones((2, 2)))
    assert not grad_cam_plus_plus(features, -np.abs(kernel), 0).any()


def test_a_channel_without_a_positive_coefficient_is_left_out():
    features = np.stack([np.full((2, 2), -3.0), np.eye(2)], axis=-1).astype(np.float32)
    kernel = np.array([[1.0], [1.0]], np.float32)
    np.testing.assert_allclose(grad_cam_plus_plus(features, kernel, 0), np.eye(2))


@pytest.mark.parametrize("explain", [hires_cam, grad_cam_plus_plus])
def test_shapes_that_do_not_fit_are_refused(explain):
    features = np.ones((2, 2, 3), np.float32)
    with pytest.raises(ValueError, match=r"\(2, 2, 3\)"):
        explain(features, np.ones((4, 7), np.float32), 0)
    with pytest.raises(IndexError, match="7"):
        explain(features, np.ones((3, 7), np.float32), 7)
