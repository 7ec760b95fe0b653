"""Backbones by name: construction, and the blocks they unfreeze by.

Every backbone takes RGB pixels from 0 to 255 and scales them itself. The graph is the same whether or
not weights are loaded (`weights.py`): Keras adds a layer to EfficientNet for ImageNet alone, so that a
model rebuilt without it predicts something else.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from skin_lesion.modeling.colour import shades_of_grey
from skin_lesion.modeling.levels import join_levels
from skin_lesion.settings import BackboneConfig, UnfitError

if TYPE_CHECKING:
    import keras

Family = Literal["efficientnet", "efficientnet_v2", "mobilenet"]
GOOGLE = "https://storage.googleapis.com"
# Share of skipped blocks that `keras.applications` builds its EfficientNets with.
PUBLISHED_STOCHASTIC_DEPTH = 0.2


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
