import numpy as np
import pytest

from skin_lesion.explain.gradcam import class_activation, overlay, upsample
from skin_lesion.inference import ServingModel
from skin_lesion.labels import LABELS


@pytest.mark.parametrize("class_index", range(len(LABELS)))
def test_closed_form_is_gradient_based_grad_cam(small_world, class_index):
    import keras
    import tensorflow as tf

    picture = small_world.images.open()[5:6]
    model = keras.models.load_model(small_world.bundle.keras_path)
    both = keras.Model(
        model.inputs, [model.get_layer("features").output, model.get_layer("logits").output]
    )
    with tf.GradientTape() as tape:
        features, logits = both([picture])
        tape.watch(features)
        # The head once more, on the watched tensor: Keras' own graph is already recorded.
        pooled = tf.reduce_mean(features, axis=(1, 2))
        logit = model.get_layer("logits")(pooled)[0, class_index]
    np.testing.assert_allclose(logit, logits[0, class_index], rtol=1e-3, atol=1e-3)
    importance = tf.reduce_mean(tape.gradient(logit, features), axis=(1, 2))[0].numpy()
    grad_cam = np.maximum((features[0].numpy() * importance).sum(axis=-1), 0)
    expected = grad_cam / grad_cam.max() if grad_cam.max() > 0 else grad_cam

    serving = ServingModel.load(small_world.bundle)
    served = serving.run(picture, with_features=True).features[0]
    actual = class_activation(served, serving.kernel, class_index)
    np.testing.assert_allclose(actual, expected, atol=1e-4)


def test_evidence_points_at_the_position_that_speaks_for_the_class():
    features = np.zeros((2, 3, 2), np.float32)
    features[0, 1] = [4.0, 0.0]
    features[1, 2] = [1.0, 0.0]
    features[1, 0] = [0.0, 5.0]  # speaks against
    kernel = np.array([[2.0], [-1.0]], np.float32)
    np.testing.assert_allclose(class_activation(features, kernel, 0), [[0, 1, 0], [0, 0, 0.25]])


def test_no_evidence_gives_an_empty_map():
    features = np.ones((2, 2, 1), np.float32)
    heat = class_activation(features, np.array([[-1.0]], np.float32), 0)
    np.testing.assert_array_equal(heat, np.zeros((2, 2)))


def test_shapes_that_do_not_fit_are_refused():
    features, kernel = np.ones((2, 2, 3), np.float32), np.ones((4, 7), np.float32)
    with pytest.raises(ValueError, match=r"\(2, 2, 3\)"):
        class_activation(features, kernel, 0)
    with pytest.raises(IndexError, match="7"):
        class_activation(features, np.ones((3, 7), np.float32), 7)


def test_upsampling_keeps_the_range_and_the_place():
    heat = np.zeros((4, 4), np.float32)
    heat[3, 0] = 1.0
    full = upsample(heat, 40, 80)
    assert full.shape == (40, 80)
    assert full.min() == 0
    assert full[-1, 0] == pytest.approx(1.0)
    assert full[:20].max() == 0


def test_overlay_leaves_the_picture_alone_where_there_is_no_evidence():
    pixels = np.random.default_rng(0).integers(0, 256, (40, 80, 3), dtype=np.uint8)
    before = pixels.copy()
    heat = np.zeros((4, 4), np.float32)
    heat[3, 0] = 1.0
    mixed = overlay(pixels, heat)
    assert mixed.dtype == np.uint8
    np.testing.assert_array_equal(mixed[:20], pixels[:20])
    assert (mixed[-1, 0] != pixels[-1, 0]).any()
    np.testing.assert_array_equal(pixels, before)
