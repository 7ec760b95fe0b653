"""The mean over views is the mean of what the network says of each view, its heat-map included."""

import keras
import numpy as np
import pytest

from skin_lesion.explain.gradcam import hires_cam
from skin_lesion.labels import NUM_CLASSES
from skin_lesion.modeling.ensemble import build_ensemble
from skin_lesion.modeling.views import PLAIN, all_views, average_views
from skin_lesion.settings import BackboneConfig

from .networks import blobs, outputs, unlike_its_beginning

SIZES = pytest.mark.parametrize("size", [(40, 40), (36, 48)], ids=["square", "4:3"])
CONFIG = BackboneConfig(
    name="mobilenet", weights="none", feature_layer="conv_pw_3_relu",
    feature_levels=("conv_pw_1_relu",), colour_constancy="shades_of_grey",
)  # fmt: skip


@pytest.fixture(scope="module")
def classifiers() -> dict[tuple[int, int], keras.Model]:
    return {size: unlike_its_beginning(CONFIG, size) for size in ((40, 40), (36, 48))}


@SIZES
def test_views_are_all_symmetries_that_keep_the_shape(size: tuple[int, int]) -> None:
    views = all_views(*size)
    assert views[0] == PLAIN
    picture = np.arange(np.prod(size)).reshape(1, *size, 1)
    seen = {view.of(picture).tobytes() for view in views}
    assert len(seen) == len(views) == (8 if size[0] == size[1] else 4)
    assert {view.of(picture).shape for view in views} == {picture.shape}
    if size[0] == size[1]:
        assert {np.rot90(picture, turns, (1, 2)).tobytes() for turns in range(4)} <= seen


@SIZES
def test_undoing_a_view_gives_the_picture_back(size: tuple[int, int]) -> None:
    pixels = blobs(2, size)
    image = keras.Input((*size, 3), dtype="uint8")
    for view in all_views(*size):
        seen = view.of(pixels)
        np.testing.assert_array_equal(view.undone(seen), pixels)
        both = keras.Model(image, [view.symbolic(image), view.symbolic_undone(image)])
        forth, back = (keras.ops.convert_to_numpy(one) for one in both(pixels))
        np.testing.assert_array_equal(forth, seen)
        np.testing.assert_array_equal(back, view.undone(pixels))


@SIZES
def test_logits_and_maps_are_the_means_over_the_views(
    size: tuple[int, int], classifiers: dict[tuple[int, int], keras.Model]
) -> None:
    classifier, pixels, views = classifiers[size], blobs(3, size), all_views(*size)
    each = [outputs(classifier, view.of(pixels)) for view in views]
    logits = np.stack([one for one, _ in each])
    maps = np.stack(
        [view.undone(features) for view, (_, features) in zip(views, each, strict=True)]
    )
    found = average_views(classifier, views)(pixels, training=False)
    assert np.ptp(logits, axis=0).max() > 0.05  # the views are not told the same
    np.testing.assert_allclose(found["logits"], logits.mean(axis=0), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found["features"], maps.mean(axis=0), rtol=1e-4, atol=1e-4)


@SIZES
def test_the_heat_map_is_the_mean_of_the_maps_turned_back_and_sums_to_the_logit(
    size: tuple[int, int], classifiers: dict[tuple[int, int], keras.Model]
) -> None:
    classifier, pixels, views = classifiers[size], blobs(1, size), all_views(*size)
    kernel, bias = classifier.get_layer("logits").get_weights()
    found = average_views(classifier, views)(pixels, training=False)
    logits, features = (keras.ops.convert_to_numpy(found[k])[0] for k in ("logits", "features"))
    for label in range(NUM_CLASSES):
        heat = hires_cam(features, kernel, label)
        assert heat.sum(dtype=np.float64) + bias[label] == pytest.approx(logits[label], abs=1e-4)
        apart = [
            view.undone(
                hires_cam(outputs(classifier, view.of(pixels))[1][0], kernel, label)[
                    None, ..., None
                ]
            )[0, ..., 0]
            for view in views
        ]
        np.testing.assert_allclose(heat, np.mean(apart, axis=0), rtol=1e-3, atol=1e-5)


@SIZES
def test_the_answer_for_a_mirrored_picture_is_the_same_and_its_map_is_mirrored(
    size: tuple[int, int], classifiers: dict[tuple[int, int], keras.Model]
) -> None:
    pixels, views = blobs(2, size), all_views(*size)
    model = average_views(classifiers[size], views)
    plain = model(pixels, training=False)
    for view in views:
        turned = model(view.of(pixels), training=False)
        np.testing.assert_allclose(turned["logits"], plain["logits"], rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(
            view.undone(np.asarray(turned["features"])), plain["features"], rtol=1e-3, atol=1e-4
        )


def test_an_ensemble_is_averaged_over_its_views_too() -> None:
    size = (40, 40)
    ensemble = build_ensemble([unlike_its_beginning(CONFIG, size, seed) for seed in (1, 2)])
    pixels, views = blobs(2, size), all_views(*size)
    found = average_views(ensemble, views)(pixels, training=False)
    each = np.stack([outputs(ensemble, view.of(pixels))[0] for view in views])
    np.testing.assert_allclose(found["logits"], each.mean(axis=0), rtol=1e-4, atol=1e-4)
