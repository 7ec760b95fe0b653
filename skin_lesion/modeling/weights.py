"""Pretrained weights of backbones: found or fetched, checked, and loaded.

They are loaded here and not by `keras.applications`, for three reasons: a mirror or a file works the same
way as the publisher's address, an offline machine gets an error that says what to do, and the graph is the
same whether or not weights are loaded (see `backbones.py`).
"""

import hashlib
import importlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from skin_lesion.modeling.backbones import BackboneSpec, spec_of
from skin_lesion.settings import BackboneConfig

if TYPE_CHECKING:
    import keras

# Standard deviations of the ImageNet channels as `keras.applications.efficientnet` defines them.
IMAGENET_STDDEV = (0.229, 0.224, 0.225)
# Of a configuration, where weights are got and what is expected of them: what they are, they are by
# what is in them.
PLACES = frozenset({"path", "mirror", "sha256"})


class WeightsError(RuntimeError):
    """Pretrained weights are missing, damaged, or belong to another network."""


def load_pretrained(config: BackboneConfig, target: "keras.Model") -> str:
    """Load pretrained weights into the layers of `target` that the backbone gave it.

    Args:
        config: Which weights.
        target: A model that contains the graph of `build_backbone`.

    Returns:
        What the weights are: `imagenet`, `sha256:…` of a file, or `nothing`.

    Raises:
        WeightsError: The file is missing, damaged, not to be had offline, or of another network.
    """
    import keras

    if config.weights == "none":
        return "nothing"
    spec = spec_of(config.name)
    path = locate_weights(config)
    reference = getattr(keras.applications, spec.keras_name)(include_top=False, weights=None)
    try:
        reference.load_weights(path)
    except (ValueError, KeyError, OSError) as error:
        way_out = (
            f"delete it, and it is fetched again from {_address(config)}"
            if config.weights == "imagenet"
            else "name the right file in backbone.path, or the right network in backbone.name"
        )
        raise WeightsError(
            f"{path} does not hold weights of {spec.keras_name} without its classifier "
            f"({str(error).splitlines()[0]}); {way_out}"
        ) from error
    for layer in reference.layers:
        if layer.weights and layer.name in {mine.name for mine in target.layers}:
            target.get_layer(layer.name).set_weights(layer.get_weights())
    if spec.family == "efficientnet":
        _correct_normalization(reference, target)
    if config.weights == "imagenet":
        return "imagenet"
    return f"sha256:{_checksum(path)}"


def _correct_normalization(reference: "keras.Model", target: "keras.Model") -> None:
    """Put the published weights' missing division by the standard deviation into the variance.

    The files of EfficientNet B0-B7 store the standard deviation where the layer expects the
    variance; Keras makes up for it by one more layer, which exists for `weights="imagenet"` alone.
    https://github.com/tensorflow/tensorflow/issues/49930
    """
    import keras

    (source,) = (x for x in reference.layers if isinstance(x, keras.layers.Normalization))
    (layer,) = (x for x in target.layers if isinstance(x, keras.layers.Normalization))
    mean, variance, *count = source.get_weights()
    stddev = np.asarray(IMAGENET_STDDEV, variance.dtype).reshape(variance.shape)
    layer.set_weights([mean, variance * stddev, *count])
    layer.finalize_state()


def weights_fingerprint(config: BackboneConfig) -> str:
    """What identifies the weights before training, cheap enough for every start of a pipeline.

    A file is identified by what is in it, as its checkpoints are: the checksum that the configuration
    states, else the one that it has. A copy of it is the same file.

    Raises:
        WeightsError: No file is named, or the one that is cannot be read.
    """
    if config.weights != "path":
        return config.weights
    path = _configured_path(config)
    if config.sha256 is not None:
        return config.sha256
    try:
        return _checksum(path) if path.is_file() else "missing"
    except OSError as error:
        raise WeightsError(f"{path} cannot be read ({error.strerror}); see who may") from error


def former_fingerprint(config: BackboneConfig) -> str | None:
    """How a file was identified before its contents were: by its size and time of change.

    What was written down then still means this file as long as it is where it was.

    Returns:
        None where another identity is all there ever was.
    """
    if config.weights != "path":
        return None
    path = _configured_path(config)
    if not path.is_file():
        return None
    stat = path.stat()
    return f"{stat.st_size}-{stat.st_mtime_ns}"


def locate_weights(config: BackboneConfig) -> Path:
    """Path of the weights file, downloaded first where it has to be.

    Raises:
        WeightsError: It is missing, its checksum differs, or it cannot be downloaded.
    """
    path = _configured_path(config) if config.weights == "path" else _download(config)
    if not path.is_file():
        raise WeightsError(
            f"no weights at {path}; set backbone.path or the environment's BACKBONE_WEIGHTS to a "
            "weights file, or backbone.weights to `none` to train from scratch"
        )
    if config.sha256 is not None and (found := _checksum(path)) != config.sha256:
        raise WeightsError(
            f"{path} has SHA-256 {found}; backbone.sha256 expects {config.sha256}: the file is "
            "damaged or another one"
        )
    return path


def _configured_path(config: BackboneConfig) -> Path:
    text = config.path or os.environ.get("BACKBONE_WEIGHTS")
    if not text:
        raise WeightsError(
            "backbone.weights is `path` but no file is named; set backbone.path or the "
            "environment's BACKBONE_WEIGHTS"
        )
    return Path(text).expanduser()


def _download(config: BackboneConfig) -> Path:
    """Fetch the ImageNet weights unless they are there; they appear whole or not at all."""
    import keras

    spec = spec_of(config.name)
    url, md5 = _address(config), _published_hash(spec)
    path = _keras_home() / "models" / spec.weights_file
    if path.is_file() and (md5 is None or _checksum(path, "md5") == md5):
        return path
    path.parent.mkdir(parents=True, exist_ok=True)  # or Keras would fall back on a folder in /tmp
    try:
        partial = keras.utils.get_file(
            fname=f"{spec.weights_file}.{os.getpid()}.partial",
            origin=url,
            cache_dir=_keras_home(),
            cache_subdir="models",
            file_hash=md5,
        )
    except Exception as error:
        raise WeightsError(
            f"could not download {spec.weights_file} from {url} ({error}). Without network access "
            f"put the file at {path}, or name one with backbone.weights=path and "
            "BACKBONE_WEIGHTS, or train from scratch with backbone.weights=none"
        ) from error
    os.replace(partial, path)
    return path


def _address(config: BackboneConfig) -> str:
    spec = spec_of(config.name)
    return f"{config.mirror.rstrip('/')}/{spec.weights_file}" if config.mirror else spec.weights_url


def _keras_home() -> Path:
    """Where Keras keeps what it downloads."""
    return Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser()


def _published_hash(spec: BackboneSpec) -> str | None:
    """MD5 that Keras publishes for the weights without the classifier; MobileNet's has none."""
    if spec.family == "mobilenet":
        return None
    module = importlib.import_module(f"keras.src.applications.{spec.family}")
    variant = spec.keras_name.rsplit("B", 1)[1]
    (hashes,) = (
        value
        for key, value in module.WEIGHTS_HASHES.items()
        if key in (f"b{variant}", f"-b{variant}")
    )
    return str(hashes[1])


def _checksum(path: Path, algorithm: str = "sha256") -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()
