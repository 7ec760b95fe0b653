"""Class activation maps in closed form: where in a picture the evidence for a class lies.

Above the last feature map A, of Z positions, there are only global average pooling and one dense
layer with weights w and bias b: `logit_c = b_c + sum_k w_kc * mean(A_k)`. Hence the gradient of a
logit is the same at every position, `w_kc / Z`, and serving needs no gradient and no TensorFlow:

- HiResCAM (Draelos and Carin, arXiv:2011.08891, 2020) multiplies feature map and gradient position
  by position. Here that is `A @ w_c / Z`, and the map sums to the logit less its bias: it is the
  share of the logit that each position contributes, nothing added and nothing left out.
- Grad-CAM (Selvaraju et al., ICCV 2017) first averages the gradient over the positions. Here the
  gradient is its own average, so Grad-CAM is HiResCAM, but for the relu and the normalisation.
- Grad-CAM++ (Chattopadhay et al., WACV 2018) takes exp(logit) as the score. With `g = w_kc / Z`
  its coefficients are `g**2 / (2 * g**2 + g**3 * sum(A_k))` at every position, and the weight of
  channel k, `Z * coefficient * relu(g)`, is `relu(w_kc) / (2 + w_kc * mean(A_k))`: channels that
  speak against the class are left out, and strong ones count less than in Grad-CAM.

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


def hires_cam(
    features: NDArray[np.floating], kernel: NDArray[np.floating], class_index: int
) -> Heat:
    """What each position contributes to the logit of a class (HiResCAM).

    Args:
        features: The map that is averaged over its positions, shape (h, w, C).
        kernel: Weights of the dense layer above, shape (C, classes).
        class_index: The class, from 0.

    Returns:
        Shape (h, w), in units of the logit; negative where a position speaks against the class.
        The sum is the logit less its bias.

    Raises:
        ValueError: The shapes do not fit together.
        IndexError: No such class.
    """
    weights = _class_weights(features, kernel, class_index)
    positions = features.shape[0] * features.shape[1]
    return np.asarray(features @ weights / positions, dtype=np.float32)


def class_activation(
    features: NDArray[np.floating], kernel: NDArray[np.floating], class_index: int
) -> Heat:
    """Evidence for a class at each position of the last feature map (Grad-CAM).

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
    return _positive_part(hires_cam(features, kernel, class_index))


def grad_cam_plus_plus(
    features: NDArray[np.floating], kernel: NDArray[np.floating], class_index: int
) -> Heat:
    """Evidence for a class, with channels that respond strongly held back (Grad-CAM++).

    Args:
        features: The map that is averaged over its positions, shape (h, w, C). The coefficients
            were derived for features that are not negative; a channel so negative that its
            coefficient has no positive value is left out.
        kernel: Weights of the dense layer above, shape (C, classes).
        class_index: The class, from 0.

    Returns:
        Shape (h, w), 0 to 1, its highest value 1; 0 everywhere if no channel speaks for the class.

    Raises:
        ValueError: The shapes do not fit together.
        IndexError: No such class.
    """
    weights = _class_weights(features, kernel, class_index)
    held_back = 2.0 + weights * features.mean(axis=(0, 1))
    speaks = (weights > 0) & (held_back > 0)
    importance = np.divide(weights, held_back, out=np.zeros_like(weights), where=speaks)
    return _positive_part(features @ importance)


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


def _class_weights(
    features: NDArray[np.floating], kernel: NDArray[np.floating], class_index: int
) -> NDArray[np.floating]:
    if features.ndim != 3 or kernel.ndim != 2 or features.shape[2] != kernel.shape[0]:
        raise ValueError(
            f"features have shape {features.shape} and the kernel {kernel.shape}; "
            "expected (h, w, C) and (C, classes)"
        )
    if not 0 <= class_index < kernel.shape[1]:
        raise IndexError(f"class {class_index}; expected 0 to {kernel.shape[1] - 1}")
    return kernel[:, class_index]


def _positive_part(evidence: NDArray[np.floating]) -> Heat:
    """What speaks for the class, with the highest value brought to 1."""
    positive: Heat = np.maximum(evidence, 0.0).astype(np.float32)
    peak = positive.max()
    return np.asarray(positive / peak) if peak > 0 else positive
