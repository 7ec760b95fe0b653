"""Answers averaged over mirror images and quarter turns, as part of the served network.

A lesion has no upright position, so what the network says of a picture's mirror images is as good as
what it says of the picture; their mean is steadier. The views go through the network as one batch.
Each view's feature map is turned back and the mean of the maps is pooled. Turning moves positions
about and changes no mean over them, and the head is linear in that mean, so the logits of the mean
map are the mean of the views' logits: the class activation map stays exact in closed form.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class View:
    """One way of looking at a picture: rows and columns exchanged, then mirrored.

    Attributes:
        transposed: Rows become columns first.
        axes: Then mirrored along these axes of a batch: 1 upside down, 2 left to right.
    """

    transposed: bool
    axes: tuple[int, ...]

    def of(self, pictures: NDArray[np.generic]) -> NDArray[np.generic]:
        """The view of a batch of pictures, shape (n, h, w, C)."""
        turned = pictures.swapaxes(1, 2) if self.transposed else pictures
        return np.ascontiguousarray(np.flip(turned, self.axes))

    def undone(self, maps: NDArray[np.generic]) -> NDArray[np.generic]:
        """Maps of a view, shape (n, h, w, C), as they lie over the picture itself."""
        mirrored = np.flip(maps, self.axes)
        return np.ascontiguousarray(mirrored.swapaxes(1, 2) if self.transposed else mirrored)

    def symbolic(self, pictures: Any) -> Any:
        """`of` on a tensor (n, h, w, C)."""
        from keras import ops

        turned = ops.transpose(pictures, (0, 2, 1, 3)) if self.transposed else pictures
        return self._mirrored(turned)

    def symbolic_undone(self, maps: Any) -> Any:
        """`undone` on a tensor (n, h, w, C)."""
        from keras import ops

        mirrored = self._mirrored(maps)
        return ops.transpose(mirrored, (0, 2, 1, 3)) if self.transposed else mirrored

    def _mirrored(self, x: Any) -> Any:
        from keras import ops

        for axis in self.axes:  # one at a time: OpenVINO reads no operation that does both
            x = ops.flip(x, axis)
        return x


PLAIN = View(transposed=False, axes=())


def all_views(height: int, width: int) -> tuple[View, ...]:
    """Every way of mirroring and turning pictures that keeps their shape, the plain one first.

    Args:
        height: Of the pictures, in pixels.
        width: Of the pictures, in pixels.

    Returns:
        8 where pictures are square, else 4.
    """
    return tuple(
        View(transposed, axes)
        for transposed, axes in product(
            (False, True) if height == width else (False,), ((), (2,), (1,), (1, 2))
        )
    )


def average_views(classifier: "keras.Model", views: Sequence[View]) -> "keras.Model":
    """Put a classifier behind its views.

    Args:
        classifier: Made by `skin_lesion.modeling.classifier.build_classifier`, or an ensemble of
            such. It stays as it is and shares its weights.
        views: That keep the shape of its pictures.

    Returns:
        A model from `image` (n, height, width, 3) `uint8` to `logits` (n, 7), the mean over the
        views, and `features` (n, h, w, C), the mean of the maps, each turned back.
    """
    import keras
    from keras import ops

    body = keras.Model(classifier.input, classifier.get_layer("features").output, name="body")
    image = keras.Input(classifier.input.shape[1:], dtype="uint8", name="image")
    pictures = ops.concatenate([view.symbolic(image) for view in views], axis=0)
    maps = body(pictures)
    apart = ops.unstack(ops.reshape(maps, (len(views), -1, *maps.shape[1:])), len(views), axis=0)
    turned = [view.symbolic_undone(one) for view, one in zip(views, apart, strict=True)]
    features = ops.mean(ops.stack(turned), axis=0)
    logits = classifier.get_layer("logits")(classifier.get_layer("pool")(features))
    return keras.Model(image, {"logits": logits, "features": features}, name="views")
