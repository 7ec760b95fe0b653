"""Maps of several levels side by side are pooled exactly, so the heat-map stays exact."""

import keras
import numpy as np
import pytest

from skin_lesion.evaluation.randomisation import cascade_stages
from skin_lesion.explain.gradcam import hires_cam
from skin_lesion.labels import NUM_CLASSES
from skin_lesion.modeling.classifier import backbone_blocks, build_classifier
from skin_lesion.modeling.ensemble import build_ensemble
from skin_lesion.modeling.levels import area_weights, average_down
from skin_lesion.modeling.weights import load_pretrained
from skin_lesion.settings import BackboneConfig

from .networks import blobs, outputs, unlike_its_beginning

# 25 x 36 and 12 x 18 go down to 6 x 9: neither ratio of the height is whole.
SIZE = (50, 72)
LEVELS = ("conv_pw_1_relu", "conv_pw_3_relu")
MOBILENET = BackboneConfig(
    name="mobilenet", weights="none", feature_layer="conv_pw_5_relu", feature_levels=LEVELS
)
EFFICIENTNET = BackboneConfig(
    name="efficientnet_b0", weights="none", feature_layer="block4a_project_bn",
    feature_levels=("block2b_add", "block3a_expand_activation"),
)  # fmt: skip
BOTH = pytest.mark.parametrize("backbone", [MOBILENET, EFFICIENTNET], ids=lambda one: one.name)


def level_maps(model: keras.Model, backbone: BackboneConfig, pixels: np.ndarray) -> list:
    """Maps of the last layer and of every level, as the layers themselves give them."""
    names = [backbone.feature_layer, *backbone.feature_levels]
    network = keras.Model(model.input, [model.get_layer(name).output for name in names])
    return [keras.ops.convert_to_numpy(one) for one in network(pixels, training=False)]


@pytest.mark.parametrize(("fine", "coarse"), [(1, 1), (7, 1), (8, 4), (25, 6), (37, 36), (75, 9)])
def test_cells_are_averages_in_which_every_position_counts_alike(fine: int, coarse: int) -> None:
    weights = area_weights(fine, coarse)
    assert weights.shape == (coarse, fine)
    assert weights.min() >= 0
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(weights.sum(axis=0), coarse / fine, rtol=1e-6)


def test_a_cell_takes_a_position_by_the_share_that_it_covers() -> None:
    np.testing.assert_allclose(area_weights(3, 2), [[2 / 3, 1 / 3, 0], [0, 1 / 3, 2 / 3]])


@pytest.mark.parametrize("coarse", [0, -1, 8])
def test_a_grid_that_is_not_coarser_is_refused(coarse: int) -> None:
    with pytest.raises(ValueError, match=f"cannot average 7 positions to {coarse}"):
        area_weights(7, coarse)


@pytest.mark.parametrize("grid", [(4, 5), (3, 5), (4, 2), (1, 1)])
def test_whole_ratios_are_the_usual_average_pooling_and_the_mean_always_stays(
    grid: tuple[int, int],
) -> None:
    image = keras.Input((12, 10, 3))
    model = keras.Model(image, average_down(image, *grid))
    maps = np.random.default_rng(0).normal(size=(2, 12, 10, 3)).astype(np.float32)
    found = keras.ops.convert_to_numpy(model(maps))
    block = maps.reshape(2, grid[0], 12 // grid[0], grid[1], 10 // grid[1], 3)
    np.testing.assert_allclose(found, block.mean(axis=(2, 4)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.mean(axis=(1, 2)), maps.mean(axis=(1, 2)), atol=1e-6)


@BOTH
def test_logits_are_those_of_a_head_on_the_pooled_levels(backbone: BackboneConfig) -> None:
    model, pixels = unlike_its_beginning(backbone, SIZE), blobs(4, SIZE)
    logits, features = outputs(model, pixels)
    maps = level_maps(model, backbone, pixels)
    assert len({one.shape[1:3] for one in maps}) > 1
    assert features.shape == (*maps[0].shape[:3], sum(one.shape[3] for one in maps))
    pooled = np.concatenate([one.mean(axis=(1, 2), dtype=np.float64) for one in maps], axis=1)
    kernel, bias = model.get_layer("logits").get_weights()
    np.testing.assert_allclose(logits, pooled @ kernel + bias, rtol=1e-4, atol=1e-4)
    assert np.ptp(logits, axis=0).min() > 1e-3  # the pictures are told apart


@BOTH
def test_the_heat_map_adds_up_every_levels_share_and_sums_to_the_logit(
    backbone: BackboneConfig,
) -> None:
    model, pixels = unlike_its_beginning(backbone, SIZE), blobs(2, SIZE)
    logits, features = outputs(model, pixels)
    kernel, bias = model.get_layer("logits").get_weights()
    maps = level_maps(model, backbone, pixels)
    _, height, width, _ = features.shape
    parts = np.cumsum([one.shape[3] for one in maps])[:-1]
    for label in range(NUM_CLASSES):
        heat = hires_cam(features[0], kernel, label)
        assert heat.sum(dtype=np.float64) + bias[label] == pytest.approx(logits[0, label], abs=1e-4)
        # Level by level: the share of each position, added up over the cell that covers it.
        summed = np.zeros((height, width))
        for one, weights in zip(maps, np.split(kernel[:, label], parts), strict=True):
            share = one[0] @ weights / (one.shape[1] * one.shape[2])
            rows = area_weights(one.shape[1], height) * one.shape[1] / height
            columns = area_weights(one.shape[2], width) * one.shape[2] / width
            summed += rows @ share @ columns.T
        np.testing.assert_allclose(heat, summed, rtol=1e-3, atol=1e-5)


def test_an_ensemble_of_such_networks_is_the_mean_of_them() -> None:
    pixels = blobs(3, SIZE)
    config = MOBILENET.model_copy(update={"colour_constancy": "shades_of_grey"})
    members = [unlike_its_beginning(config, SIZE, seed) for seed in (1, 2)]
    each = np.stack([outputs(member, pixels)[0] for member in members])
    assert np.abs(each[0] - each[1]).max() > 0.1
    joined = outputs(build_ensemble(members), pixels)[0]
    np.testing.assert_allclose(joined, each.mean(axis=0), rtol=1e-4, atol=1e-4)


def test_a_saved_network_says_the_same(tmp_path) -> None:
    model, pixels = unlike_its_beginning(MOBILENET, SIZE), blobs(3, SIZE)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    np.testing.assert_array_equal(outputs(loaded, pixels)[0], outputs(model, pixels)[0])


def test_weights_fit_a_network_for_pictures_of_another_size() -> None:
    model = unlike_its_beginning(MOBILENET, SIZE)
    larger = build_classifier(MOBILENET, (64, 96))
    larger.set_weights(model.get_weights())
    assert np.isfinite(outputs(larger, blobs(1, (64, 96)))[0]).all()


def test_it_computes_in_mixed_precision_too() -> None:
    exact, pixels = unlike_its_beginning(MOBILENET, SIZE), blobs(3, SIZE)
    mixed = build_classifier(MOBILENET, SIZE, precision="mixed_bfloat16")
    mixed.set_weights(exact.get_weights())
    logits = outputs(mixed, pixels)[0]
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, outputs(exact, pixels)[0], atol=0.15)


def test_blocks_and_stages_are_those_of_the_network_without_levels() -> None:
    model = build_classifier(MOBILENET, SIZE)
    plain = build_classifier(MOBILENET.model_copy(update={"feature_levels": ()}), SIZE)

    def weighted(of: keras.Model) -> list[list[str]]:
        return [[x.name for x in block if x.weights] for block in backbone_blocks(of, "mobilenet")]

    assert weighted(model) == weighted(plain)
    stages = [name for name, _ in cascade_stages(model, "mobilenet")]
    assert stages == [name for name, _ in cascade_stages(plain, "mobilenet")]


def test_pretrained_weights_reach_it(tmp_path) -> None:
    published = keras.applications.MobileNet(include_top=False, weights=None)
    published.save_weights(tmp_path / "published.weights.h5")
    config = MOBILENET.model_copy(
        update={"weights": "path", "path": str(tmp_path / "published.weights.h5")}
    )
    model = build_classifier(config, SIZE)
    load_pretrained(config, model)
    for name in ("conv1", "conv_pw_3"):
        np.testing.assert_array_equal(
            model.get_layer(name).get_weights()[0], published.get_layer(name).get_weights()[0]
        )


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        (("conv_pw_99_relu",), "no such layer before conv_pw_5_relu"),
        (("conv_pw_6_relu",), "names 'conv_pw_6_relu', and backbone 'mobilenet' has no such layer"),
    ],
)
def test_a_level_that_the_network_does_not_reach_is_refused(
    levels: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        build_classifier(MOBILENET.model_copy(update={"feature_levels": levels}), SIZE)


@pytest.mark.parametrize("name", ["block2a_se_squeeze", "block2a_se_reshape"])
def test_a_layer_that_tells_no_place_is_refused(name: str) -> None:
    config = EFFICIENTNET.model_copy(update={"feature_levels": (name,)})
    with pytest.raises(ValueError, match=rf"{name}', which gives \(.*96,?\); expected a map"):
        build_classifier(config, SIZE)


@pytest.mark.parametrize("levels", [("a", "a"), ("a", "b")])
def test_a_layer_named_twice_is_refused(levels: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"name [ab] more than once"):
        BackboneConfig(feature_levels=levels, feature_layer="b")
