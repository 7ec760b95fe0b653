"""Every backbone keeps the same promises."""

from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow

from skin_lesion.data.manifest import Manifest
from skin_lesion.explain.gradcam import class_activation
from skin_lesion.inference import ServingModel
from skin_lesion.labels import LABEL_INDEX, NUM_CLASSES
from skin_lesion.modeling.backbones import BACKBONES, spec_of
from skin_lesion.modeling.classifier import backbone_blocks, build_classifier, set_trainable_blocks
from skin_lesion.modeling.export import PARITY_TOLERANCE, BundleFacts, make_bundle
from skin_lesion.modeling.train import (
    FROZEN_WARMUP,
    TRANSFER_FINETUNE,
    train_finetune,
    train_warmup,
)
from skin_lesion.modeling.weights import load_pretrained
from skin_lesion.settings import BackboneConfig, FinetuneConfig, WarmupConfig

from .conftest import MakeData
from .published_weights import published_weights

IN_EVERY_RUN = ("efficientnet_b0", "mobilenet")
# The other variants differ in width and depth alone; B4 at the size that it is used at takes as long as
# all that every run tries here.
MARKS = {
    "mobilenet": (),
    "efficientnet_b0": pytest.mark.slow,
}
CASES = [
    *(
        pytest.param(name, (32, 32), id=name, marks=MARKS.get(name, pytest.mark.exhaustive))
        for name in BACKBONES
    ),
    pytest.param(
        "efficientnet_b4", (380, 380), id="efficientnet_b4-380", marks=pytest.mark.exhaustive
    ),
]


@pytest.fixture
def eager_where_slow(request: pytest.FixtureRequest) -> Iterator[None]:
    """Compiling the large networks takes minutes, far longer than the one step they are run for."""
    tensorflow.config.run_functions_eagerly(
        request.node.callspec.params["name"] not in IN_EVERY_RUN
    )
    yield
    tensorflow.config.run_functions_eagerly(False)


@pytest.mark.parametrize(("name", "size"), CASES)
def test_backbone_trains_both_phases_exports_and_explains(
    name: str,
    size: tuple[int, int],
    make_data: MakeData,
    manifest: Manifest,
    tmp_path: Path,
    eager_where_slow: None,
) -> None:
    weights = published_weights(name, tmp_path / "published.weights.h5")
    backbone = BackboneConfig(name=name, weights="path", path=str(weights))
    data = make_data(size, per_class=3)
    batch = 7 if size[0] < 100 else 2

    warm = train_warmup(data, backbone, WarmupConfig(epochs=1, batch_size=batch))
    assert warm.history.description == FROZEN_WARMUP
    head = keras.saving.load_model(warm.model.path, compile=False).get_layer("logits")
    assert warm.history.trainable_parameters == head.count_params()

    tuned = train_finetune(
        data, warm.model, FinetuneConfig(epochs=1, unfreeze_epochs=1, batch_size=batch)
    )
    assert tuned.history.description == TRANSFER_FINETUNE
    assert tuned.history.trainable_parameters > warm.history.trainable_parameters

    tensorflow.config.run_functions_eagerly(False)
    facts = BundleFacts(resize_mode="stretch", code_version="test", training_run_id=None)
    bundle = make_bundle(tuned.model, data.images, data.split, manifest, facts, tmp_path / "bundle")
    assert bundle.contract.parity_max_abs_difference <= PARITY_TOLERANCE
    assert bundle.contract.pretrained_on.startswith("sha256:")

    outputs = ServingModel.load(bundle).run(
        np.asarray(data.images.open()[:2]), batch_size=2, with_features=True
    )
    assert outputs.logits.shape == (2, NUM_CLASSES)
    assert np.isfinite(outputs.logits).all()
    with np.load(bundle.path / "serving" / "head.npz") as head_weights:
        pooled = outputs.features.mean(axis=(1, 2))
        np.testing.assert_allclose(
            pooled @ head_weights["kernel"] + head_weights["bias"], outputs.logits, atol=1e-4
        )
        heat = class_activation(outputs.features[0], head_weights["kernel"], LABEL_INDEX["mel"])
    assert heat.shape == outputs.features.shape[1:3]


@pytest.mark.parametrize("name", IN_EVERY_RUN)
def test_blocks_are_freed_from_the_output_and_batchnorm_stays_frozen(name: str) -> None:
    model = build_classifier(BackboneConfig(name=name, weights="none"), (32, 32))
    blocks = backbone_blocks(model, name)
    set_trainable_blocks(model, name, 2, train_batchnorm=False)
    for position, block in enumerate(blocks):
        for layer in block:
            free = position < 2 and not isinstance(layer, keras.layers.BatchNormalization)
            assert layer.trainable is free, layer.name
    assert model.get_layer("logits").trainable
    freed = {variable.path for variable in model.trainable_variables}
    convolutions = [x.name for x in blocks[0] if "conv" in x.name and x.weights]
    assert any(path.split("/")[0] in convolutions for path in freed)
    assert not any("gamma" in path for path in freed)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in IN_EVERY_RUN else pytest.mark.slow)
        for name in BACKBONES
    ],
)
def test_every_layer_that_learns_belongs_to_exactly_one_block_and_every_block_learns(
    name: str,
) -> None:
    """A block without trainable weights would be a stage of the training that frees nothing."""
    model = build_classifier(BackboneConfig(name=name, weights="none"), (32, 32))
    blocks = backbone_blocks(model, name)
    grouped = [layer.name for block in blocks for layer in block]
    learning = {x.name for x in model.layers if x.trainable_variables and x.name != "logits"}
    assert learning <= set(grouped)
    assert len(grouped) == len(set(grouped))
    for free in range(1, len(blocks) + 1):
        before = len(model.trainable_variables) if free > 1 else 2
        set_trainable_blocks(model, name, free, train_batchnorm=False)
        assert len(model.trainable_variables) > before, blocks[free - 1][0].name
    assert len(backbone_blocks(model, name)) == len(blocks), "frozen or not"


def test_the_blocks_of_an_efficientnet_are_its_seven_its_stem_and_its_top() -> None:
    name = "efficientnet_b0"
    model = build_classifier(BackboneConfig(name=name, weights="none"), (32, 32))
    first = [block[0].name.partition("_")[0] for block in backbone_blocks(model, name)]
    assert [one[:6] for one in first] == [
        "top", *(f"block{number}" for number in range(7, 0, -1)), "stem",
    ]  # fmt: skip


def test_imagenet_normalization_equals_that_of_keras(tmp_path: Path) -> None:
    """Keras adds a layer for the published files of B0-B7; ours gives the same pixels without it."""
    from keras.src.applications.efficientnet import IMAGENET_STDDEV_RGB

    published = keras.applications.EfficientNetB0(include_top=False, weights=None)
    layer = next(x for x in published.layers if isinstance(x, keras.layers.Normalization))
    mean, stored = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
    layer.set_weights([mean, stored, *layer.get_weights()[2:]])
    path = tmp_path / "b0.weights.h5"
    published.save_weights(path)

    config = BackboneConfig(name="efficientnet_b0", weights="path", path=str(path))
    model = build_classifier(config, (32, 32))
    load_pretrained(config, model)
    mine = next(x for x in model.layers if isinstance(x, keras.layers.Normalization))
    pixels = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3)).astype(np.float32) / 255
    expected = (pixels - mean) / np.sqrt(stored) / np.sqrt(np.float32(IMAGENET_STDDEV_RGB))
    np.testing.assert_allclose(mine(pixels), expected, rtol=1e-5)
    stem = keras.Model(model.input, mine.output)
    np.testing.assert_allclose(stem(np.uint8(pixels * 255 + 0.5)), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", IN_EVERY_RUN)
def test_pixels_go_in_from_0_to_255_and_are_scaled_once(name: str, tmp_path: Path) -> None:
    """The backbone inside the classifier answers as the published network does on its own scale."""
    weights = published_weights(name, tmp_path / "published.weights.h5")
    config = BackboneConfig(name=name, weights="path", path=str(weights))
    model = build_classifier(config, (64, 64))
    load_pretrained(config, model)
    reference = getattr(keras.applications, spec_of(name).keras_name)(
        include_top=False, weights=None
    )
    reference.load_weights(weights)
    if name == "efficientnet_b0":  # what Keras puts into a layer of its own for ImageNet
        layer = next(x for x in reference.layers if isinstance(x, keras.layers.Normalization))
        mean, variance, *rest = layer.get_weights()
        layer.set_weights([mean, variance * np.float32([0.229, 0.224, 0.225]), *rest])
        layer.finalize_state()
    pixels = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3)).astype(np.uint8)
    scale = keras.applications.mobilenet.preprocess_input if name == "mobilenet" else lambda x: x
    expected = reference(scale(pixels.astype(np.float32)), training=False)
    features = keras.Model(model.input, model.get_layer("features").output)
    np.testing.assert_allclose(features(pixels, training=False), expected, rtol=1e-3, atol=1e-4)


def test_unknown_backbone_is_named_with_the_choices() -> None:
    with pytest.raises(ValueError, match=r"unknown backbone 'resnet'.*efficientnet_b0"):
        spec_of("resnet")


def test_unknown_feature_layer_is_named_with_the_choices() -> None:
    config = BackboneConfig(name="mobilenet", weights="none", feature_layer="conv_pw_99")
    with pytest.raises(ValueError, match=r"no layer 'conv_pw_99'.*conv_pw_13_relu"):
        build_classifier(config, (32, 32))
