"""Feature maps of several levels as one map that keeps the class activation map exact.

The head sees the mean of each map over its positions. The maps of earlier layers are finer, so they
are averaged down to the grid of the last one by area: a cell takes each position it covers by the
share that it covers. Written as one matrix for each axis, its rows add up to 1 (a cell is an
average) and its columns to the ratio of the sizes (every position counts alike), so that the mean
over the grid is the mean over the finer map. The logits are therefore those of a head on the pooled
levels, and the closed form holds for them as for one map: what a cell contributes at each level is
added up, and the sum is the logit less its bias.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def area_weights(fine: int, coarse: int) -> NDArray[np.float32]:
    """By how much each of `fine` equal parts of a line counts in each of `coarse` ones.

    Args:
        fine: Positions of the finer grid along an axis.
        coarse: Positions of the coarser grid along it.

    Returns:
        Shape (coarse, fine). Rows add up to 1, columns to `coarse / fine`.

    Raises:
        ValueError: `coarse` is larger than `fine`, or not positive.
    """
    if not 0 < coarse <= fine:
        raise ValueError(f"cannot average {fine} positions to {coarse}; expected 1 to {fine}")
    # In units of 1 / (fine * coarse) of the line every border is a whole number.
    cell, position = np.arange(coarse)[:, None], np.arange(fine)[None]
    end = np.minimum((cell + 1) * fine, (position + 1) * coarse)
    begin = np.maximum(cell * fine, position * coarse)
    return np.asarray(np.maximum(end - begin, 0) / fine, dtype=np.float32)


def average_down(feature_map: Any, height: int, width: int) -> Any:
    """Average a map down to a coarser grid; its mean stays what it is.

    Args:
        feature_map: Symbolic (n, h, w, C), h and w known.
        height: Of the coarser grid, at most h.
        width: Of the coarser grid, at most w.

    Returns:
        Symbolic (n, height, width, C).
    """
    from keras import ops

    _, fine_height, fine_width, channels = feature_map.shape
    x = feature_map
    if fine_height != height:
        rows = ops.reshape(x, (-1, fine_height, fine_width * channels))
        x = ops.matmul(area_weights(fine_height, height), rows)
        x = ops.reshape(x, (-1, height, fine_width, channels))
    if fine_width != width:
        x = ops.matmul(area_weights(fine_width, width), x)
    return x


def join_levels(levels: Sequence[Any], last: Any) -> Any:
    """Put the maps of earlier layers beside the last one, on its grid.

    Args:
        levels: Symbolic maps of earlier layers.
        last: Symbolic (n, h, w, C).

    Returns:
        Symbolic (n, h, w, channels of all), those of `last` first; `last` itself where there are no
        others.
    """
    import keras

    if not levels:
        return last
    _, height, width, _ = last.shape
    maps = [average_down(level, height, width) for level in levels]
    return keras.layers.Concatenate(name="levels")([last, *maps])
