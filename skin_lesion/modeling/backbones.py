"""Backbones by name: construction, pretrained weights, and the blocks they unfreeze by.

Every backbone takes RGB pixels from 0 to 255 and scales them itself. Pretrained weights are loaded
here and not by `keras.applications`, for three reasons: a mirror or a file works the same way as
the publisher's address, an offline machine gets an error that says what to do, and the graph is the
same whether or not weights are loaded (Keras adds a layer to EfficientNet for ImageNet alone, so
that a model rebuilt without it predicts something else).
"""

import hashlib
import importlib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from skin_lesion.modeling.colour import shades_of_grey
from skin_lesion.modeling.levels import join_levels
from skin_lesion.settings import BackboneConfig, UnfitError

if TYPE_CHECKING:
    import keras

Family = Literal["efficientnet", "efficientnet_v2", "mobilenet"]
GOOGLE = "https://storage.googleapis.com"
# Standard deviations of the ImageNet channels as `keras.applications.efficientnet` defines them.
IMAGENET_STDDEV = (0.229, 0.224, 0.225)
# Share of skipped blocks that `keras.applications` builds its EfficientNets with.
PUBLISHED_STOCHASTIC_DEPTH = 0.2
# Of a configuration, where weights are got and what is expected of them: what they are, they are by
# what is in them.
PLACES = frozenset({"path", "mirror", "sha256"})


class WeightsError(RuntimeError):
    """Pretrained weights are missing, damaged, or belong to another network."""


@dataclass(frozen=True)
class BackboneSpec:
    """One entry of the table of backbones.

    Attributes:
        keras_name: Class in `keras.applications`.
        family: Decides scaling and block names.
        weights_url: Publisher's address of the ImageNet weights without the classifier.
    """

    keras_name: str
    family: Family
    weights_url: str

    @property
    def weights_file(self) -> str:
        """File name of the ImageNet weights."""
        return self.weights_url.rsplit("/", 1)[1]


def _efficientnet(variant: int) -> BackboneSpec:
    url = f"{GOOGLE}/keras-applications/efficientnetb{variant}_notop.h5"
    return BackboneSpec(f"EfficientNetB{variant}", "efficientnet", url)


def _efficientnet_v2(variant: int) -> BackboneSpec:
    folder = f"{GOOGLE}/tensorflow/keras-applications/efficientnet_v2"
    url = f"{folder}/efficientnetv2-b{variant}_notop.h5"
    return BackboneSpec(f"EfficientNetV2B{variant}", "efficientnet_v2", url)


BACKBONES: dict[str, BackboneSpec] = {
    **{f"efficientnet_b{i}": _efficientnet(i) for i in range(8)},
    **{f"efficientnet_v2_b{i}": _efficientnet_v2(i) for i in range(4)},
    "mobilenet": BackboneSpec(
        "MobileNet",
        "mobilenet",
        f"{GOOGLE}/tensorflow/keras-applications/mobilenet/mobilenet_1_0_224_tf_no_top.h5",
    ),
}

# The part of a layer's name that tells its block. MobileNet's depthwise and pointwise halves of one
# number belong together.
_BLOCK_NAMES: dict[Family, re.Pattern[str]] = {
    "efficientnet": re.compile(r"^(stem|block\d+|top)"),
    "efficientnet_v2": re.compile(r"^(stem|block\d+|top)"),
    "mobilenet": re.compile(r"^(conv1|conv_(?:dw|pw|pad)_\d+)"),
}


def spec_of(name: str) -> BackboneSpec:
    """Look a backbone up.

    Raises:
        ValueError: No backbone has this name.
    """
    try:
        return BACKBONES[name]
    except KeyError:
        raise UnfitError(
            f"unknown backbone {name!r}; choose one of {', '.join(BACKBONES)}"
        ) from None


def build_backbone(config: BackboneConfig, image: "keras.KerasTensor") -> "keras.KerasTensor":
    """Apply a randomly initialised backbone to pixels, as part of one flat functional graph.

    Args:
        config: Which backbone, where it is cut, which levels it gives, and what is done to colours
            before it.
        image: Symbolic pixels (n, height, width, 3), 0 to 255.

    Returns:
        The last feature map, symbolic (n, h, w, channels), with those of earlier levels behind it.

    Raises:
        ValueError: The name or a layer is unknown, a level gives no map that could stand beside the
            last one, or the network has no skip connections for stochastic depth.
    """
    import keras

    spec = spec_of(config.name)
    constructor = getattr(keras.applications, spec.keras_name)
    if config.colour_constancy == "shades_of_grey":
        image = shades_of_grey(image)
    if spec.family == "mobilenet":
        image = keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="scale")(image)
    network = constructor(include_top=False, weights=None, input_tensor=image)
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = config.batchnorm_momentum
    layers = _layers_up_to_the_cut(network, config)
    if config.stochastic_depth is not None:
        _set_stochastic_depth(layers, config)
    last = layers[-1].output
    return join_levels([_level(name, layers, last, config) for name in config.feature_levels], last)


def _layers_up_to_the_cut(
    network: "keras.Model", config: BackboneConfig
) -> "list[keras.layers.Layer]":
    if config.feature_layer is None:
        return list(network.layers)
    names = [layer.name for layer in network.layers]
    if config.feature_layer not in names:
        raise UnfitError(
            f"backbone {config.name!r} has no layer {config.feature_layer!r} to be cut at; its "
            f"last layers are {', '.join(names[-8:])}"
        )
    return list(network.layers[: names.index(config.feature_layer) + 1])


def _level(
    name: str, layers: "list[keras.layers.Layer]", last: Any, config: BackboneConfig
) -> "keras.KerasTensor":
    """Map of an earlier layer."""
    named = {layer.name: layer for layer in layers[:-1]}
    if name not in named:
        raise UnfitError(
            f"feature_levels names {name!r}, and backbone {config.name!r} has no such layer before "
            f"{layers[-1].name}, its last; the layers before it are {', '.join(list(named)[-8:])}"
        )
    feature_map = named[name].output
    shape = tuple(feature_map.shape[1:])
    grid = tuple(last.shape[1:3])
    if len(shape) != 3 or shape[0] < grid[0] or shape[1] < grid[1]:
        raise UnfitError(
            f"feature_levels names {name!r}, which gives {shape}; expected a map (height, width, "
            f"channels) of at least {grid[0]} x {grid[1]}, the size of the last one"
        )
    return feature_map


def _set_stochastic_depth(layers: "list[keras.layers.Layer]", config: BackboneConfig) -> None:
    """Scale the rates of the layers that drop whole blocks, which rise evenly through the network.

    Raises:
        ValueError: There are none, and something should be dropped.
    """
    import keras

    rate = config.stochastic_depth or 0.0
    skips = [
        layer
        for layer in layers
        if isinstance(layer, keras.layers.Dropout) and layer.noise_shape == (None, 1, 1, 1)
    ]
    if rate and not skips:
        with_skips = [name for name, spec in BACKBONES.items() if spec.family != "mobilenet"]
        raise UnfitError(
            f"stochastic_depth is {rate:g}, but backbone {config.name!r} up to {layers[-1].name} has "
            f"no skip connections; leave it out, or take one of {', '.join(with_skips)}"
        )
    for layer in skips:
        layer.rate *= rate / PUBLISHED_STOCHASTIC_DEPTH


def block_of(name: str, family: Family) -> str | None:
    """Name of the block a layer belongs to; None for a layer that belongs to the one before it."""
    found = _BLOCK_NAMES[family].match(name)
    if found is None:
        return None
    return re.sub(r"conv_(dw|pw|pad)_", "block", found.group(1))


def group_blocks(
    layers: "Iterable[keras.layers.Layer]", name: str
) -> "list[list[keras.layers.Layer]]":
    """Group the layers of a backbone into blocks, from the output to the input.

    What learns nothing is no block: a stage of the training that frees it would change nothing.

    Args:
        layers: Layers in the order of the graph, without the head.
        name: Name of the backbone.
    """
    import keras

    def learns(layer: "keras.layers.Layer") -> bool:
        # Whether it is frozen at the moment does not matter, so `trainable_variables` will not do.
        # The scaling of the pixels holds a mean and a variance, which are given.
        return bool(layer.weights) and not isinstance(layer, keras.layers.Normalization)

    family = spec_of(name).family
    blocks: dict[str, list[keras.layers.Layer]] = {}
    current = "input"
    for layer in layers:
        current = block_of(layer.name, family) or current
        blocks.setdefault(current, []).append(layer)
    learning = [block for block in blocks.values() if any(map(learns, block))]
    return learning[::-1]


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
