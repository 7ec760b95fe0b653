"""Geometry and colour of augmentation as Keras operations: the same on every backend.

Imports Keras, so it is imported only where pixels are computed.
"""

from typing import Any

import numpy as np
from keras import ops

from skin_lesion.data.augment import Floats
from skin_lesion.data.image_array import Pixels

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


def augment(image: Any, geometry: Any, colour: Any) -> Any:
    """Move and recolour a batch.

    Args:
        image: Tensor (n, height, width, 3), any numeric type, 0 to 255.
        geometry: Tensor (n, 8) as drawn by `draw_geometry`.
        colour: Tensor (n, 3) as drawn by `draw_colour`.

    Returns:
        Tensor (n, height, width, 3), float32, whole numbers from 0 to 255: training sees what
        serving can send. What lies outside the picture is filled by reflection.
    """
    x = ops.image.affine_transform(
        ops.cast(image, "float32"), geometry, interpolation="bilinear", fill_mode="reflect"
    )
    shift, contrast, saturation = (ops.reshape(colour[:, i], (-1, 1, 1, 1)) for i in range(3))
    # Both changes are linear, so the picture is read and written once for each.
    grey = ops.sum(x * ops.convert_to_tensor(np.array(LUMA, np.float32)), axis=-1, keepdims=True)
    mean = ops.mean(grey, axis=(1, 2), keepdims=True)
    x = (x * saturation + grey * (1 - saturation) - mean) * contrast + (mean + shift)
    return ops.round(ops.clip(x, 0.0, 255.0))


def augment_pixels(pixels: Pixels, geometry: Floats, colour: Floats) -> Pixels:
    """`augment` on arrays, for pictures that a person looks at.

    Args:
        pixels: Shape (n, height, width, 3), `uint8`.
        geometry: Shape (n, 8).
        colour: Shape (n, 3).

    Returns:
        Shape (n, height, width, 3), `uint8`.
    """
    result: Pixels = ops.convert_to_numpy(augment(pixels, geometry, colour)).astype(np.uint8)
    return result
