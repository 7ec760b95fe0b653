"""Colour constancy inside the network's graph, so that serving cannot forget it.

Shades of grey (Finlayson and Trezzi, "Shades of Gray and Colour Constancy", CIC 2004): the light of a
scene is estimated as the Minkowski mean of its pixels, channel by channel; order 1 would be their
mean (grey world), infinite order their maximum (white patch), and order 6 was the best in that paper.
The picture is then divided by the tint of that light. Its brightness stays, so that augmentation of
brightness before it keeps its effect, while a cast over the whole picture is taken out again.
"""

from typing import Any

# A channel whose light is darker than one step of a pixel holds noise alone, which is not amplified.
DARKEST = 1 / 255


def shades_of_grey(image: Any) -> Any:
    """Take the tint of the light out of pictures.

    Args:
        image: Tensor (n, height, width, 3), any numeric type, 0 to 255.

    Returns:
        Tensor (n, height, width, 3), float32, 0 to 255. Each picture is corrected by itself, so that
        the others of a batch make no difference. A black border takes no part in the estimate.
    """
    from keras import ops

    pixels = ops.cast(image, "float32")
    square = ops.square(pixels / 255.0)
    sixth = square * square * square
    light = ops.power(ops.mean(sixth, axis=(1, 2), keepdims=True), 1 / 6)
    grey = ops.sqrt(ops.mean(ops.square(light), axis=-1, keepdims=True))
    return ops.clip(pixels * (grey / ops.maximum(light, DARKEST)), 0.0, 255.0)
