"""Small networks whose weights are as unlike their beginning as those of a training."""

import keras
import numpy as np
from numpy.typing import NDArray

from skin_lesion.modeling.classifier import build_classifier
from skin_lesion.settings import BackboneConfig


def unlike_its_beginning(
    backbone: BackboneConfig, size: tuple[int, int], seed: int = 1
) -> keras.Model:
    """A classifier whose statistics and head are random too, so that answers differ."""
    keras.utils.set_random_seed(seed)
    model = build_classifier(backbone, size, dropout=0.3)
    random = np.random.default_rng(seed)
    normalisations = [
        layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)
    ]
    momenta = [layer.momentum for layer in normalisations]
    for layer in normalisations:
        gamma, beta, *statistics = layer.get_weights()
        gamma, beta = (x + random.uniform(0, 0.3, x.shape) for x in (gamma, beta))
        layer.set_weights([gamma, beta, *statistics])
        layer.momentum = 0.0
    model(blobs(16, size, seed), training=True)  # statistics are those of these pictures
    for layer, momentum in zip(normalisations, momenta, strict=True):
        layer.momentum = momentum
    kernel, bias = model.get_layer("logits").get_weights()
    model.get_layer("logits").set_weights(
        [random.normal(0, 0.2, kernel.shape), random.normal(0, 1, bias.shape)]
    )
    return model


def outputs(model: keras.Model, pixels: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
    """Logits and last feature maps."""
    both = keras.Model(model.input, [model.output, model.get_layer("features").output])
    return [keras.ops.convert_to_numpy(one) for one in both(pixels, training=False)]


def blobs(count: int, size: tuple[int, int], seed: int = 0) -> NDArray[np.uint8]:
    """Pictures with a dark blob off the middle on tinted ground: none is its own mirror image."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[0 : size[0], 0 : size[1]]
    centres = random.uniform(0.15, 0.4, (count, 2)) * size
    distance = np.hypot(rows - centres[:, :1, None], columns - centres[:, 1:, None])
    ground = random.uniform(120, 235, (count, 1, 1, 3))
    dark = np.exp(-((distance / (0.2 * size[0])) ** 2))[..., None]
    noise = random.normal(0, 8, (count, *size, 3))
    return np.clip(ground * (1 - 0.8 * dark) + noise, 0, 255).astype(np.uint8)
