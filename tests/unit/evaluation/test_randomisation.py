import numpy as np
import pandas as pd
import pytest

from skin_lesion.evaluation.map_likeness import likeness
from skin_lesion.evaluation.randomisation import (
    cascade_stages,
    evidence,
    head_randomisation,
    model_randomisation,
    randomisation_figures,
    shuffled,
    unrelated_pictures,
)
from skin_lesion.evaluation.resampling import Resamples
from skin_lesion.labels import NUM_CLASSES
from skin_lesion.modeling.classifier import build_classifier
from skin_lesion.settings import BackboneConfig

N, CHANNELS = 12, 20


@pytest.fixture(scope="module")
def random():
    return np.random.default_rng(11)


@pytest.fixture(scope="module")
def head(random):
    """Features (N, h, w, C), kernel (C, 7) and a class for each picture."""
    features = np.maximum(random.normal(size=(N, 5, 6, CHANNELS)), 0).astype(np.float32)
    kernel = random.normal(size=(CHANNELS, NUM_CLASSES)).astype(np.float32)
    return features, kernel, np.arange(N) % NUM_CLASSES


def over(count):
    return Resamples.over_lesions(np.arange(count), 100, 1)


def whole(features, kernel, classes, bundle=None, pixels=None, goal=0.3):
    return randomisation_figures(
        bundle, pixels, features, kernel, classes, over(len(features)),
        repeats=8, batch_size=8, goal=goal, seed=2,
    )  # fmt: skip


def test_rank_correlation_is_that_of_pandas_with_ties(random):
    one, other = random.integers(0, 5, (2, 6, 8)).astype(float)
    expected = pd.Series(one.ravel()).corr(pd.Series(other.ravel()), method="spearman")
    assert likeness("x", [one], [other]).rank[0, 0] == pytest.approx(expected)


def test_a_map_resembles_itself_and_not_its_opposite(random):
    one = random.normal(size=(6, 8))
    same, opposite = likeness("x", [one, one], [one, -one]).rank[0]
    assert same == pytest.approx(1)
    assert opposite == pytest.approx(-1)
    like, unlike = likeness("x", [one, one], [one, -one]).structure[0]
    assert like == pytest.approx(1)
    assert unlike < 0.2


def test_a_map_that_is_the_same_everywhere_has_no_order():
    one = np.arange(12.0).reshape(3, 4)
    found = likeness("x", [one, one], [np.ones((3, 4)), one])
    figures = found.figures(over(2))
    assert figures.undefined == 1
    assert figures.rank_correlation.value == pytest.approx(1)  # of the other picture
    assert likeness("x", [one], [np.ones((3, 4))]).figures(over(1)).rank_correlation.value is None


def test_maps_below_three_cells_have_no_structural_similarity():
    one = np.arange(8.0).reshape(2, 4)
    assert likeness("x", [one], [one]).figures(over(1)).structural_similarity.value is None


def test_shuffling_keeps_the_values_and_not_their_places(random):
    weights = random.normal(size=(3, 3, 4, 8)).astype(np.float32)
    before = weights.copy()
    mixed = shuffled(weights, np.random.default_rng(1))
    assert mixed.shape == weights.shape
    np.testing.assert_array_equal(np.sort(mixed, axis=None), np.sort(weights, axis=None))
    assert (mixed != weights).mean() > 0.9
    np.testing.assert_array_equal(weights, before)


def test_a_shuffled_head_changes_the_map(head):
    figures = head_randomisation(*head, repeats=20, seed=1).figures(over(N))
    assert abs(figures.rank_correlation.value) < 0.25
    assert figures.structural_similarity.value < 0.5
    assert whole(*head).reached is True


def test_a_map_that_does_not_depend_on_the_weights_is_found_out(random, head):
    """Where all channels agree, a map is the picture's brightness, whatever was learnt."""
    _, kernel, classes = head
    brightness = random.uniform(1, 2, (N, 5, 6, 1)).astype(np.float32)
    figures = whole(np.repeat(brightness, CHANNELS, axis=-1), np.abs(kernel), classes)
    assert figures.head.rank_correlation.value == pytest.approx(1)
    assert figures.head.structural_similarity.value == pytest.approx(1)
    assert figures.reached is False


def test_equal_seeds_shuffle_alike(head):
    first, again = (head_randomisation(*head, repeats=3, seed=4).rank for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert (first != head_randomisation(*head, repeats=3, seed=5).rank).any()
    assert (first[0] != first[1]).any()


def test_unrelated_pictures_are_never_the_same_one(head):
    features, kernel, classes = (part[:2] if len(part) == N else part for part in head)
    maps = evidence(features, kernel, classes)
    expected = likeness("x", maps, maps[::-1]).rank
    found = unrelated_pictures(features, kernel, classes, repeats=5, seed=1).rank
    np.testing.assert_allclose(found, np.repeat(expected, 5, axis=0))


def test_one_picture_has_nothing_to_be_compared_with(head):
    features, kernel, classes = head
    figures = whole(features[:1], kernel, classes[:1])
    assert figures.unrelated.rank_correlation.value is None
    assert figures.head.rank_correlation.value is not None


def test_cascade_goes_from_the_logits_down_and_leaves_the_model_as_it_was(small_world):
    pixels = small_world.images.open()[:10]
    classes = np.arange(10) % NUM_CLASSES
    before = small_world.bundle.bundle_hash
    options = {"repeats": 2, "batch_size": 4, "seed": 3}
    stages = model_randomisation(small_world.bundle, pixels, classes, **options)
    assert stages[0].name == "logits"
    assert len(stages) == 2  # the classification layer and one convolution
    assert all(stage.rank.shape == (2, 10) for stage in stages)
    # The second cascade starts from the weights that were learnt: its head is shuffled once.
    assert (stages[0].rank[0] != stages[0].rank[1]).any()
    assert (stages[0].rank[0] != stages[1].rank[0]).any()
    assert small_world.bundle.bundle_hash == before


def test_figures_of_the_cascade_are_judged_by_its_last_stage(small_world, head):
    pixels = small_world.images.open()[:N]
    figures = whole(*head, bundle=small_world.bundle, pixels=pixels, goal=-1.0)
    assert len(figures.cascade) == 2
    assert figures.reached is False
    assert figures.cascade[-1].rank_correlation.value > -1


def test_the_goal_itself_is_good_enough(head):
    found = whole(*head, goal=-1.0)
    assert found.reached is False
    assert whole(*head, goal=found.head.rank_correlation.value).reached is True


def test_stages_are_the_blocks_of_a_known_backbone():
    config = BackboneConfig(name="mobilenet", weights="none", feature_layer="conv_pw_2_relu")
    model = build_classifier(config, (32, 32))
    stages = list(cascade_stages(model, "mobilenet"))
    assert [name for name, _ in stages] == ["logits", "block2", "block1", "conv1"]
    shuffled_layers = {layer.name for _, layers in stages for layer in layers}
    assert {layer.name for layer in model.layers if layer.weights} <= shuffled_layers


def test_the_scaling_of_the_pixels_is_never_shuffled():
    import keras

    image = keras.Input((8, 8, 3))
    scaled = keras.layers.Normalization(mean=[1, 2, 3], variance=[1, 1, 1], name="scaling")(image)
    features = keras.layers.Conv2D(2, 3, name="convolution")(scaled)
    pooled = keras.layers.GlobalAveragePooling2D()(features)
    model = keras.Model(image, keras.layers.Dense(7, name="logits")(pooled))
    assert [name for name, _ in cascade_stages(model, "unknown")] == ["logits", "convolution"]
