"""Weights come from a file, a mirror, or not at all, and are known by what they hold."""

import errno
import functools
import hashlib
import os
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import keras
import numpy as np
import pytest

from skin_lesion.modeling import weights
from skin_lesion.modeling.backbones import spec_of
from skin_lesion.modeling.classifier import build_classifier
from skin_lesion.modeling.weights import (
    WeightsError,
    former_fingerprint,
    load_pretrained,
    locate_weights,
    weights_fingerprint,
)
from skin_lesion.settings import BackboneConfig

from .published_weights import published_weights


def test_missing_weights_file_says_where_it_was_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(WeightsError, match=r"no weights at .*gone\.h5.*BACKBONE_WEIGHTS"):
        locate_weights(BackboneConfig(weights="path", path=str(tmp_path / "gone.h5")))
    monkeypatch.delenv("BACKBONE_WEIGHTS", raising=False)
    with pytest.raises(WeightsError, match="BACKBONE_WEIGHTS"):
        locate_weights(BackboneConfig(weights="path"))


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    weights = published_weights("mobilenet", tmp_path / "published.weights.h5")
    config = BackboneConfig(name="efficientnet_b0", weights="path", path=str(weights))
    with pytest.raises(WeightsError, match="does not hold weights of EfficientNetB0"):
        load_pretrained(config, build_classifier(config, (32, 32)))


def test_weights_with_another_checksum_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "some.weights.h5"
    path.write_bytes(b"weights")
    right = hashlib.sha256(b"weights").hexdigest()
    assert locate_weights(BackboneConfig(weights="path", path=str(path), sha256=right)) == path
    with pytest.raises(WeightsError, match=f"has SHA-256 {right}"):
        locate_weights(BackboneConfig(weights="path", path=str(path), sha256="0" * 64))


def test_weights_are_known_by_what_is_in_their_file_alone(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("some.weights.h5", "copy.weights.h5", "other.weights.h5")]
    for path, content, time in zip(
        paths, (b"weights", b"weights", b"Weights"), (1, 2, 1), strict=True
    ):
        path.write_bytes(content)
        os.utime(path, (time, time))
    some, copied, other = (
        weights_fingerprint(BackboneConfig(weights="path", path=str(path))) for path in paths
    )
    assert some == copied == hashlib.sha256(b"weights").hexdigest()
    assert other != some, "of the same size and time"
    stated = BackboneConfig(weights="path", path=str(paths[0]), sha256=some)
    assert weights_fingerprint(stated) == some
    absent = BackboneConfig(weights="path", path=str(tmp_path / "absent"))
    assert [weights_fingerprint(absent), former_fingerprint(absent)] == ["missing", None]
    for kind in ("none", "imagenet"):
        assert weights_fingerprint(BackboneConfig(weights=kind)) == kind
        assert former_fingerprint(BackboneConfig(weights=kind)) is None


def test_weights_that_may_not_be_read_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Path) -> str:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(weights, "_checksum", refused)
    path = tmp_path / "some.weights.h5"
    path.touch()
    with pytest.raises(WeightsError, match=f"{path} cannot be read"):
        weights_fingerprint(BackboneConfig(weights="path", path=str(path)))


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A web server on this machine that offers a folder, as a mirror of the weights would."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", folder
    server.shutdown()
    thread.join()


@pytest.fixture
def keras_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_imagenet_weights_are_downloaded_once_and_used(
    mirror: tuple[str, Path], keras_home: Path
) -> None:
    url, folder = mirror
    # MobileNet's file is the one for which its publisher states no checksum.
    weights = published_weights("mobilenet", folder / "offered.weights.h5")
    name = spec_of("mobilenet").weights_file
    _as_legacy(weights, folder / name)
    config = BackboneConfig(name="mobilenet", weights="imagenet", mirror=url)
    model = build_classifier(config, (32, 32))
    assert load_pretrained(config, model) == "imagenet"
    reference = keras.applications.MobileNet(include_top=False, weights=None)
    reference.load_weights(weights)
    for layer in reference.layers:
        for mine, theirs in zip(
            model.get_layer(layer.name).get_weights() if layer.weights else [],
            layer.get_weights(),
            strict=True,
        ):
            np.testing.assert_array_equal(mine, theirs)
    (folder / name).unlink()
    assert locate_weights(config).is_file(), "the second time nothing is downloaded"


def test_damaged_download_is_refused_and_says_what_to_do(
    mirror: tuple[str, Path], keras_home: Path
) -> None:
    url, folder = mirror
    (folder / spec_of("efficientnet_b0").weights_file).write_bytes(b"half of it")
    config = BackboneConfig(name="efficientnet_b0", weights="imagenet", mirror=url)
    with pytest.raises(WeightsError, match=r"efficientnetb0_notop\.h5.*corrupted"):
        locate_weights(config)


def test_damaged_weights_in_the_cache_say_what_to_delete_and_where_they_come_from(
    mirror: tuple[str, Path], keras_home: Path
) -> None:
    url, _ = mirror
    name = spec_of("mobilenet").weights_file
    (keras_home / "models").mkdir(parents=True)
    (keras_home / "models" / name).write_bytes(b"half of it")
    config = BackboneConfig(name="mobilenet", weights="imagenet", mirror=url)
    with pytest.raises(WeightsError, match=rf"{name}.*delete it.*{url}/{name}"):
        load_pretrained(config, build_classifier(config, (32, 32)))


def test_a_failed_download_leaves_nothing_under_the_final_name(
    mirror: tuple[str, Path], keras_home: Path
) -> None:
    url, folder = mirror
    name = spec_of("efficientnet_b0").weights_file
    (folder / name).write_bytes(b"half of it")
    config = BackboneConfig(name="efficientnet_b0", weights="imagenet", mirror=url)
    with pytest.raises(WeightsError):
        locate_weights(config)
    assert not (keras_home / "models" / name).exists()


def test_offline_machine_is_told_file_address_and_way_out(keras_home: Path) -> None:
    config = BackboneConfig(name="efficientnet_b0", weights="imagenet", mirror="http://127.0.0.1:9")
    with pytest.raises(WeightsError) as caught:
        locate_weights(config)
    message = str(caught.value)
    for part in (
        "efficientnetb0_notop.h5",
        "http://127.0.0.1:9",
        str(keras_home / "models"),
        "BACKBONE_WEIGHTS",
        "weights=none",
    ):
        assert part in message


def _as_legacy(weights: Path, target: Path) -> None:
    """Rewrite a weights file in the layout of the published ones (Keras 2 HDF5)."""
    import h5py
    from keras.src.legacy.saving import legacy_h5_format

    network = keras.applications.MobileNet(include_top=False, weights=None)
    network.load_weights(weights)
    with h5py.File(target, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, network)
