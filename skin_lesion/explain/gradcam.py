"""Grad-CAM in closed form: where in a picture the evidence for a class lies.

Grad-CAM (Selvaraju et al., ICCV 2017) weighs each feature map by the mean gradient of the class
logit. Below global average pooling and one dense layer that gradient is the same everywhere, namely
the dense layer's weight over the number of positions. So the map is `relu(features @ w_class)` up to
a positive factor, which normalising removes, and serving needs no gradient and no TensorFlow.

A heat-map shows what the network responded to. It is not evidence that the answer is right.
"""

import numpy as np
from numpy.typing import NDArray

Heat = NDArray[np.float32]

# Dark violet to light yellow with evenly rising lightness, so that it reads in grey and to the
# colour-blind as well: a few anchors of the public-domain colour map "inferno".
_HEAT_COLOURS = np.array(
    [[0, 0, 4], [87, 16, 110], [188, 55, 84], [249, 142, 9], [252, 255, 164]], dtype=np.float32
)


def class_activation(
    features: NDArray[np.floating], kernel: NDArray[np.floating], class_index: int
) -> Heat:
    """Evidence for a class at each position of the last feature map.

    Args:
        features: The map that is averaged over its positions, shape (h, w, C).
        kernel: Weights of the dense layer above, shape (C, classes).
        class_index: The class, from 0.

    Returns:
        Shape (h, w), 0 to 1, its highest value 1; 0 everywhere if no position speaks for the class.

    Raises:
        ValueError: The shapes do not fit together.
        IndexError: No such class.
    """
    if features.ndim != 3 or kernel.ndim != 2 or features.shape[2] != kernel.shape[0]:
        raise ValueError(
            f"features have shape {features.shape} and the kernel {kernel.shape}; "
            "expected (h, w, C) and (C, classes)"
        )
    if not 0 <= class_index < kernel.shape[1]:
        raise IndexError(f"class {class_index}; expected 0 to {kernel.shape[1] - 1}")
    evidence = np.maximum(features @ kernel[:, class_index], 0.0).astype(np.float32)
    peak = evidence.max()
    return evidence / peak if peak > 0 else evidence


def upsample(heat: Heat, height: int, width: int) -> Heat:
    """Stretch a heat-map over a picture, bilinearly.

    Args:
        heat: Shape (h, w), 0 to 1.
        height: Height of the picture in pixels.
        width: Width of the picture in pixels.

    Returns:
        Shape (height, width), 0 to 1.
    """
    from PIL import Image

    picture = Image.fromarray(heat, mode="F").resize((width, height), Image.Resampling.BILINEAR)
    return np.clip(np.asarray(picture, dtype=np.float32), 0.0, 1.0)


def overlay(pixels: NDArray[np.uint8], heat: Heat, opacity: float = 0.6) -> NDArray[np.uint8]:
    """Lay a heat-map over its picture.

    Where there is no evidence the picture shows through unchanged, so that the eye is drawn to the
    warm regions alone.

    Args:
        pixels: RGB, shape (H, W, 3).
        heat: Shape (h, w), 0 to 1; stretched over the picture.
        opacity: Share of the colour where the heat is 1.

    Returns:
        RGB, shape (H, W, 3).
    """
    full = upsample(heat, pixels.shape[0], pixels.shape[1])
    anchors = np.linspace(0.0, 1.0, len(_HEAT_COLOURS))
    colours = np.stack([np.interp(full, anchors, channel) for channel in _HEAT_COLOURS.T], axis=-1)
    weight = (opacity * full)[..., None]
    mixed: NDArray[np.uint8] = np.rint(pixels * (1 - weight) + colours * weight).astype(np.uint8)
    return mixed
