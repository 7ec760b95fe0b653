"""What a bundle serves is the network with all its options, and the proof of parity covers them."""

import errno
import io
import json
import logging
import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from skin_lesion.data.manifest import Manifest
from skin_lesion.disk import DiskFullError
from skin_lesion.explain.gradcam import class_activation, hires_cam
from skin_lesion.inference import PREDICTED, Predictor
from skin_lesion.labels import LABEL_INDEX, LABELS
from skin_lesion.modeling import export
from skin_lesion.modeling.bundle import ModelBundle
from skin_lesion.modeling.export import (
    PARITY_TOLERANCE,
    BundleFacts,
    ExportError,
    export_serving,
    make_bundle,
    parity,
)
from skin_lesion.modeling.train import TrainingData, WarmupModel
from skin_lesion.modeling.views import PLAIN, all_views
from skin_lesion.serving_model import ServingModel
from skin_lesion.settings import BackboneConfig, ExportConfig

from .conftest import MakeData
from .networks import blobs, outputs, unlike_its_beginning

SQUARE, WIDE = (40, 40), (36, 48)
PLAIN_NETWORK = BackboneConfig(name="mobilenet", weights="none", feature_layer="conv_pw_3_relu")
LEVELS = PLAIN_NETWORK.model_copy(update={"feature_levels": ("conv_pw_1_relu", "conv_pw_2_relu")})
GREY = PLAIN_NETWORK.model_copy(update={"colour_constancy": "shades_of_grey"})
SKIPPING = BackboneConfig(
    name="efficientnet_b0", weights="none", feature_layer="block2b_add", stochastic_depth=0.5
)
EVERYTHING = SKIPPING.model_copy(
    update={"feature_levels": ("block1a_project_bn",), "colour_constancy": "shades_of_grey"}
)
ONE, ALL = ExportConfig(), ExportConfig(views="all")
CASES = pytest.mark.parametrize(
    ("backbone", "size", "config"),
    [
        pytest.param(LEVELS, WIDE, ONE, id="levels"),
        pytest.param(GREY, WIDE, ONE, id="shades of grey"),
        pytest.param(SKIPPING, WIDE, ONE, id="stochastic depth"),
        pytest.param(PLAIN_NETWORK, SQUARE, ALL, id="8 views"),
        pytest.param(PLAIN_NETWORK, WIDE, ALL, id="4 views"),
        pytest.param(EVERYTHING, SQUARE, ALL, id="everything"),
    ],
)


def bundled(
    folder: Path,
    backbone: BackboneConfig,
    data: TrainingData,
    manifest: Manifest,
    config: ExportConfig,
) -> ModelBundle:
    path = folder / "trained.keras"
    unlike_its_beginning(backbone, data.image_size).save(path)
    trained = WarmupModel(path, backbone, "nothing", epochs=1)
    facts = BundleFacts("stretch", "test", None, export=config)
    return make_bundle(trained, data.images, data.split, manifest, facts, folder / "bundle")


def by_hand(bundle: ModelBundle, pixels: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
    """Logits and maps from the Keras model, one view after the other."""
    model = keras.saving.load_model(bundle.keras_path, compile=False)
    views = all_views(*pixels.shape[1:3]) if bundle.contract.views > 1 else (PLAIN,)
    each = [outputs(model, view.of(pixels)) for view in views]
    maps = [view.undone(features) for view, (_, features) in zip(views, each, strict=True)]
    return [np.mean([logits for logits, _ in each], axis=0), np.mean(maps, axis=0)]


@CASES
def test_a_bundle_serves_and_explains_exactly_what_its_network_says(
    backbone: BackboneConfig,
    size: tuple[int, int],
    config: ExportConfig,
    make_data: MakeData,
    manifest: Manifest,
    tmp_path: Path,
) -> None:
    bundle = bundled(tmp_path, backbone, make_data(size, per_class=3), manifest, config)
    contract = bundle.contract
    assert contract.views == (1 if config.views == "one" else 8 if size == SQUARE else 4)
    assert contract.feature_levels == backbone.feature_levels
    assert contract.colour_constancy == backbone.colour_constancy
    assert contract.stochastic_depth == backbone.stochastic_depth
    assert contract.parity_max_abs_difference <= PARITY_TOLERANCE

    pixels = blobs(5, size)
    logits, maps = by_hand(bundle, pixels)
    serving = ServingModel.load(bundle, threads=1)
    served = serving.run(pixels, with_features=True)
    assert served.features is not None
    np.testing.assert_allclose(served.logits, logits, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(served.features, maps, rtol=1e-3, atol=2e-3)
    with np.load(bundle.serving_path.with_name("head.npz")) as head:
        bias = head["bias"]
    for label in range(len(LABELS)):
        heat = hires_cam(served.features[0], serving.kernel, label)
        total = heat.sum(dtype=np.float64) + bias[label]
        assert total == pytest.approx(served.logits[0, label], abs=1e-3)

    # The same through the path of the app: an encoded picture in, an answer with its heat-map out.
    buffer = io.BytesIO()
    enlarged = Image.fromarray(pixels[0]).resize((size[1] * 4, size[0] * 4), Image.Resampling.BOX)
    enlarged.save(buffer, "PNG")
    [answer] = Predictor(bundle, threads=1).predict([buffer.getvalue()], heat_map_of=PREDICTED)
    assert answer.status == "ok"
    assert answer.probabilities is not None
    assert answer.heat_map is not None
    seen = answer.heat_map.pixels[None]  # what the network was given
    logits, maps = by_hand(bundle, seen)
    probabilities = np.exp(logits[0]) / np.exp(logits[0]).sum()
    np.testing.assert_allclose(list(answer.probabilities.values()), probabilities, atol=1e-4)
    expected = class_activation(maps[0], serving.kernel, LABEL_INDEX[answer.heat_map.label])
    np.testing.assert_allclose(answer.heat_map.heat, expected, atol=5e-3)


def test_batches_of_any_size_give_the_same_answers_over_views(
    make_data: MakeData, manifest: Manifest, tmp_path: Path
) -> None:
    bundle = bundled(tmp_path, PLAIN_NETWORK, make_data(SQUARE, per_class=3), manifest, ALL)
    serving, pixels = ServingModel.load(bundle, threads=1), blobs(5, SQUARE)
    whole = serving.run(pixels, batch_size=100, with_features=True)
    for batch_size in (1, 8, 16):
        parts = serving.run(pixels, batch_size=batch_size, with_features=True)
        np.testing.assert_allclose(parts.logits, whole.logits, atol=1e-4)
        np.testing.assert_allclose(parts.features, whole.features, atol=1e-4)


def test_equal_networks_give_equal_bundles_and_the_cost_of_views_is_told(
    make_data: MakeData, manifest: Manifest, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = make_data(WIDE, per_class=3)
    first = bundled(tmp_path, PLAIN_NETWORK, data, manifest, ALL)
    trained = WarmupModel(tmp_path / "trained.keras", PLAIN_NETWORK, "nothing", epochs=1)
    facts = BundleFacts("stretch", "test", None, export=ALL)
    with caplog.at_level(logging.INFO, export.__name__):
        second = make_bundle(trained, data.images, data.split, manifest, facts, tmp_path / "second")
    assert second.bundle_hash == first.bundle_hash
    assert "averaging over 4 views makes a pass of the network take" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.INFO, export.__name__):
        make_bundle(
            trained, data.images, data.split, manifest, BundleFacts("stretch", "test", None),
            tmp_path / "third",
        )  # fmt: skip
    assert "views" not in caplog.text


def test_the_export_of_one_view_is_no_proof_for_several(tmp_path: Path) -> None:
    unlike_its_beginning(PLAIN_NETWORK, WIDE).save(tmp_path / "model.keras")
    export_serving(tmp_path / "model.keras", tmp_path / "serving")
    pixels = blobs(5, WIDE)
    assert parity(tmp_path, pixels) <= PARITY_TOLERANCE
    assert parity(tmp_path, pixels, all_views(*WIDE)) > PARITY_TOLERANCE
    shutil.rmtree(tmp_path / "serving")
    export_serving(tmp_path / "model.keras", tmp_path / "serving", every_view=True)
    assert parity(tmp_path, pixels, all_views(*WIDE)) <= PARITY_TOLERANCE
    assert parity(tmp_path, pixels) > PARITY_TOLERANCE


def test_features_that_do_not_explain_the_logits_are_found(tmp_path: Path) -> None:
    """Heat-maps come from the exported features and the head beside them: both are proven."""
    unlike_its_beginning(PLAIN_NETWORK, WIDE).save(tmp_path / "model.keras")
    export_serving(tmp_path / "model.keras", tmp_path / "serving")
    with np.load(tmp_path / "serving" / "head.npz") as head:
        kernel, bias = head["kernel"], head["bias"]
    np.savez(tmp_path / "serving" / "head.npz", kernel=kernel[::-1], bias=bias)
    assert parity(tmp_path, blobs(3, WIDE)) > PARITY_TOLERANCE


def test_an_export_that_forgot_the_views_makes_no_bundle(
    make_data: MakeData, manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forgetful(keras_path: Path, folder: Path, *, every_view: bool) -> None:
        export_serving(keras_path, folder)

    monkeypatch.setattr(export, "export_serving", forgetful)
    with pytest.raises(ExportError, match="serving export and Keras model differ"):
        bundled(tmp_path, PLAIN_NETWORK, make_data(WIDE, per_class=3), manifest, ALL)
    assert not (tmp_path / "bundle").exists()
    assert [path.name for path in tmp_path.glob(".bundle-*")] == []


def test_another_process_is_told_of_the_views(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On JAX the export is handed to a process with TensorFlow; here only the backend's name lies."""
    unlike_its_beginning(PLAIN_NETWORK, WIDE).save(tmp_path / "model.keras")
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    export._export_elsewhere_unless_tensorflow(
        tmp_path / "model.keras", tmp_path / "serving", every_view=True
    )
    monkeypatch.undo()
    assert parity(tmp_path, blobs(3, WIDE), all_views(*WIDE)) <= PARITY_TOLERANCE


def test_a_contract_from_before_the_options_says_that_none_is_in_use(
    make_data: MakeData, manifest: Manifest, tmp_path: Path
) -> None:
    bundle = bundled(tmp_path, PLAIN_NETWORK, make_data(WIDE, per_class=3), manifest, ONE)
    path = bundle.path / "contract.json"
    values: dict[str, Any] = json.loads(path.read_text())
    for name in ("feature_levels", "colour_constancy", "stochastic_depth", "views"):
        del values[name]
    path.write_text(json.dumps(values))
    assert ModelBundle.open(bundle.path).contract == bundle.contract
    assert bundle.contract.options == {}


def test_a_bundle_that_finds_no_room_says_so_and_leaves_nothing(
    make_data: MakeData, manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: Path, folder: Path, **__: bool) -> None:
        folder.mkdir()
        (folder / "model.xml").write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(export, "export_serving", full)
    data = make_data(WIDE, per_class=3)
    (tmp_path / "place").mkdir()
    with pytest.raises(DiskFullError, match=r"bundle of the trained model.*MiB are needed"):
        bundled(tmp_path / "place", PLAIN_NETWORK, data, manifest, ONE)
    assert not [path for path in (tmp_path / "place").rglob("*") if "bundle" in path.name]
