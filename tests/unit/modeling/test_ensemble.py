"""An ensemble is one network, and what it says is exactly the mean of what its members say."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score

from skin_lesion.data.manifest import Manifest
from skin_lesion.disk import DiskFullError
from skin_lesion.evaluation.randomisation import cascade_stages
from skin_lesion.explain.gradcam import hires_cam
from skin_lesion.labels import LABELS, NUM_CLASSES
from skin_lesion.modeling.bundle import ModelBundle
from skin_lesion.modeling.classifier import build_classifier
from skin_lesion.modeling.ensemble import (
    build_ensemble,
    describe_members,
    join_members,
    judge_members,
)
from skin_lesion.modeling.export import BundleFacts, make_bundle
from skin_lesion.modeling.history import EpochRecord, History
from skin_lesion.modeling.train import WarmupModel
from skin_lesion.serving_model import ServingModel
from skin_lesion.settings import BackboneConfig

SIZE = (32, 48)
MOBILENET = BackboneConfig(name="mobilenet", weights="none", feature_layer="conv_pw_4_relu")
# With a layer whose statistics are weights, and with skip connections.
EFFICIENTNET = BackboneConfig(
    name="efficientnet_b0", weights="none", feature_layer="block3a_project_bn"
)
SaveMember = Callable[..., WarmupModel]


def member(backbone: BackboneConfig, seed: int, size: tuple[int, int] = SIZE) -> keras.Model:
    """A network with weights as unlike as those of another training, statistics included."""
    keras.utils.set_random_seed(seed)
    model = build_classifier(backbone, size, dropout=0.3)
    random = np.random.default_rng(seed)
    for layer in model.layers:
        weights = layer.get_weights()
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([w + random.uniform(0, 0.2, w.shape) for w in weights])
        if isinstance(layer, keras.layers.Normalization):
            mean, variance, count = weights
            layer.set_weights([mean + 9 * seed, variance + 50 * seed, count])
            layer.finalize_state()
        if layer.name == "logits":
            layer.set_weights([2 * weights[0], random.normal(0, 1, weights[1].shape)])
    return model


def outputs(model: keras.Model, pixels: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
    """Logits and last feature maps."""
    both = keras.Model(model.input, [model.output, model.get_layer("features").output])
    return [keras.ops.convert_to_numpy(one) for one in both(pixels, training=False)]


@pytest.fixture(scope="module")
def pixels() -> NDArray[np.uint8]:
    return np.random.default_rng(5).integers(0, 256, (6, *SIZE, 3), dtype=np.uint8)


@pytest.fixture
def save_member(tmp_path: Path) -> SaveMember:
    def save(seed: int, backbone: BackboneConfig = MOBILENET, **changes: Any) -> WarmupModel:
        path = tmp_path / f"member{seed}.keras"
        member(backbone, seed, changes.pop("size", SIZE)).save(path)
        values = {"path": path, "backbone": backbone, "pretrained_on": "nothing", "epochs": 3}
        return WarmupModel(**(values | changes))

    return save


@pytest.mark.parametrize("backbone", [MOBILENET, EFFICIENTNET], ids=lambda one: one.name)
@pytest.mark.parametrize("number", [2, 3])
def test_logits_are_the_mean_of_the_members_logits(
    backbone: BackboneConfig, number: int, pixels: NDArray[np.uint8]
) -> None:
    models = [member(backbone, seed) for seed in range(1, number + 1)]
    each = np.stack([outputs(model, pixels)[0] for model in models])
    joined = outputs(build_ensemble(models), pixels)[0]
    assert np.abs(each - each.mean(axis=0)).max() > 0.1  # the members disagree
    np.testing.assert_allclose(joined, each.mean(axis=0), rtol=1e-5, atol=1e-5)


def test_the_map_of_a_class_is_the_mean_of_the_members_maps_and_sums_to_the_logit(
    pixels: NDArray[np.uint8],
) -> None:
    models = [member(MOBILENET, seed) for seed in (1, 2, 3)]
    ensemble = build_ensemble(models)
    logits, features = outputs(ensemble, pixels)
    kernel, bias = ensemble.get_layer("logits").get_weights()
    per_member = [(outputs(m, pixels)[1], m.get_layer("logits").get_weights()[0]) for m in models]
    for picture in range(len(pixels)):
        for label in range(NUM_CLASSES):
            found = hires_cam(features[picture], kernel, label)
            maps = [hires_cam(maps[picture], head, label) for maps, head in per_member]
            np.testing.assert_allclose(found, np.mean(maps, axis=0), rtol=1e-5, atol=1e-6)
            total = found.sum(dtype=np.float64) + bias[label]
            assert total == pytest.approx(logits[picture, label], abs=1e-5)


def test_the_members_stay_as_they_are_and_learn_nothing_from_each_other(
    pixels: NDArray[np.uint8],
) -> None:
    models = [member(MOBILENET, seed) for seed in (1, 2)]
    before = [outputs(model, pixels)[0] for model in models]
    ensemble = build_ensemble(models)
    for layer in ensemble.layers:
        layer.set_weights([0 * weights for weights in layer.get_weights()])
    for model, logits in zip(models, before, strict=True):
        np.testing.assert_array_equal(outputs(model, pixels)[0], logits)


def test_a_saved_ensemble_says_the_same(save_member: SaveMember, pixels: NDArray[np.uint8]) -> None:
    members = [save_member(seed, EFFICIENTNET) for seed in (1, 2)]
    joined = join_members(members)
    load = keras.saving.load_model
    each = [outputs(load(one.path, compile=False), pixels)[0] for one in members]
    found = outputs(load(joined.path, compile=False), pixels)[0]
    np.testing.assert_allclose(found, np.mean(each, axis=0), rtol=1e-5, atol=1e-5)
    assert (joined.backbone, joined.pretrained_on, joined.epochs) == (EFFICIENTNET, "nothing", 6)


def test_an_ensemble_was_trained_by_the_code_of_all_its_members(save_member: SaveMember) -> None:
    joined = join_members([save_member(1, trained_by=("a", "b")), save_member(2)])
    assert joined.trained_by == ("a", "b", "")


def test_a_full_disk_is_told_with_what_is_needed(
    save_member: SaveMember, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = [save_member(1), save_member(2)]

    def save(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(keras.Model, "save", save)
    with pytest.raises(DiskFullError, match=r"TMPDIR.* MiB are needed, .* MiB are free"):
        join_members(members)


def test_operations_that_are_no_layers_are_copied_too(pixels: NDArray[np.uint8]) -> None:
    """Two members bring operations of one name, which one graph must not hold."""

    def odd(seed: int) -> keras.Model:
        keras.utils.set_random_seed(seed)
        image = keras.Input((*SIZE, 3), dtype="uint8", name="image")
        x = keras.ops.sqrt(keras.ops.cast(image, "float32") / 255.0)
        x = keras.layers.Conv2D(4, 3, name="conv")(x)
        x = keras.layers.Activation("linear", name="features")(x)
        pooled = keras.layers.GlobalAveragePooling2D(name="pool")(x)
        return keras.Model(image, keras.layers.Dense(NUM_CLASSES, name="logits")(pooled))

    models = [odd(1), odd(2)]
    each = np.stack([outputs(model, pixels)[0] for model in models])
    joined = outputs(build_ensemble(models), pixels)[0]
    np.testing.assert_allclose(joined, each.mean(axis=0), rtol=1e-5, atol=1e-5)


def test_a_bundle_of_an_ensemble_serves_what_its_members_say(
    save_member: SaveMember,
    make_data: Any,
    manifest: Manifest,
    tmp_path: Path,
    pixels: NDArray[np.uint8],
) -> None:
    members = [save_member(seed) for seed in (1, 2, 3)]
    data = make_data(SIZE)
    described = describe_members(
        [history(7, 0.5), history(3, 0.6), history(4, 0.7)], "abc", (0.1, 0.2, 0.3)
    )
    facts = BundleFacts("stretch", "test", "parent", members=described)
    target = tmp_path / "bundle"
    make_bundle(join_members(members), data.images, data.split, manifest, facts, target)
    bundle = ModelBundle.open(target)
    assert bundle.contract.members == described
    assert [one.training_run_id for one in described] == ["run7", "run3", "run4"]
    assert [(one.fold, one.epoch_kept, one.val_macro_f1) for one in described] == [
        (1, 8, 0.5), (2, 4, 0.6), (3, 5, 0.7),
    ]  # fmt: skip
    assert [one.alone_macro_f1 for one in described] == [0.1, 0.2, 0.3]
    served = ServingModel.load(bundle, threads=1).run(pixels, with_features=True)
    models = [keras.saving.load_model(one.path, compile=False) for one in members]
    each = np.stack([outputs(model, pixels)[0] for model in models])
    np.testing.assert_allclose(served.logits, each.mean(axis=0), rtol=1e-4, atol=1e-4)
    assert served.features is not None
    with np.load(bundle.serving_path.with_name("head.npz")) as head:
        maps = served.features @ head["kernel"] / np.prod(served.features.shape[1:3])
        total = maps.sum(axis=(1, 2)) + head["bias"]
    np.testing.assert_allclose(total, served.logits, rtol=1e-4, atol=1e-4)


def test_members_are_judged_alone_on_the_validation_split(
    save_member: SaveMember, make_data: Any
) -> None:
    """One of them has learnt to tell the colours of the classes, the other has not."""
    learnt, _ = members = [save_member(seed) for seed in (1, 2)]
    data = make_data(SIZE)
    pixels, truth = np.asarray(data.images.open()), data.split.rows["dx"].to_numpy()
    train, val = data.split.indices("train"), data.split.indices("val")
    model = keras.saving.load_model(learnt.path, compile=False)
    pooled = outputs(model, pixels)[1].mean(axis=(1, 2))
    mean, spread = pooled.mean(axis=0), pooled.std(axis=0) + 1e-6
    seen = (pooled - mean) / spread
    fitted = LogisticRegression(max_iter=3000).fit(seen[train], truth[train])
    assert tuple(fitted.classes_) == LABELS  # both in alphabetical order
    kernel = fitted.coef_.T / spread[:, None]
    model.get_layer("logits").set_weights([kernel, fitted.intercept_ - mean @ kernel])
    model.save(learnt.path)
    said = fitted.predict(seen[val])
    expected = f1_score(truth[val], said, labels=list(LABELS), average="macro", zero_division=0)
    assert expected > 0.5
    # A batch size that does not divide the pictures.
    found = judge_members(members, data.images, data.split, batch_size=5)
    assert found[0] == pytest.approx(expected)
    assert found[1] < found[0]


def history(best: int, score: float) -> History:
    """A phase whose best epoch lies between worse ones."""
    records = tuple(
        EpochRecord(
            epoch=epoch, learning_rate=1.0, seconds=1.0, images_per_second=1.0,
            metrics={"val_macro_f1": score if epoch == best else score / 2},
        )
        for epoch in range(best - 1, best + 2)
    )  # fmt: skip
    return History(
        phase="finetune", description="", records=records, best_epoch=best,
        trainable_parameters=1, mlflow_run_id=f"run{best}",
    )  # fmt: skip


def test_the_blocks_of_all_members_are_destroyed_together_in_the_check_of_the_maps() -> None:
    """The cascade of randomisation goes by names, which an ensemble must not make unrecognisable."""
    single = member(MOBILENET, 1)
    ensemble = build_ensemble([single, member(MOBILENET, 2)])
    alone = {name: len(layers) for name, layers in cascade_stages(single, "mobilenet")}
    joined = {name: len(layers) for name, layers in cascade_stages(ensemble, "mobilenet")}
    assert list(joined) == list(alone)
    assert joined == {name: 2 * n if name != "logits" else n for name, n in alone.items()}


def test_one_member_makes_no_ensemble(save_member: SaveMember) -> None:
    with pytest.raises(ValueError, match="got 1 members; an ensemble has at least 2"):
        join_members([save_member(1)])


def test_members_of_other_networks_are_refused_by_what_differs(save_member: SaveMember) -> None:
    other = MOBILENET.model_copy(update={"feature_layer": "conv_pw_3_relu"})
    with pytest.raises(
        ValueError,
        match=r"member 3 does not fit member 1: feature_layer is 'conv_pw_3_relu', not "
        r"'conv_pw_4_relu'; pretrained_on is 'imagenet', not 'nothing'\.",
    ):
        join_members(
            [save_member(1), save_member(2), save_member(3, other, pretrained_on="imagenet")]
        )


def test_where_the_first_weights_lay_does_not_matter(save_member: SaveMember) -> None:
    moved = MOBILENET.model_copy(update={"path": "/elsewhere.h5", "mirror": "there"})
    assert join_members([save_member(1), save_member(2, moved)]).epochs == 6


def test_members_for_pictures_of_other_sizes_are_refused(save_member: SaveMember) -> None:
    with pytest.raises(ValueError, match=r"pictures of \[\(32, 48, 3\), \(64, 48, 3\)\]"):
        join_members([save_member(1), save_member(2, size=(64, 48))])
