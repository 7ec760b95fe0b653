"""Weights files like those that are published."""

from pathlib import Path

import keras

from skin_lesion.modeling.backbones import spec_of


def published_weights(name: str, path: Path) -> Path:
    """A weights file like the publisher's, of a network with random weights and statistics."""
    network = getattr(keras.applications, spec_of(name).keras_name)(include_top=False, weights=None)
    network.save_weights(path)
    return path
