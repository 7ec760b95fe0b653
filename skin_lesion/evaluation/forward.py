"""Forward passes over many pictures, a batch at a time."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skin_lesion.inference import ServingModel
from skin_lesion.quality import Quality, measure

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Seen:
    """What the model says of N pictures.

    Attributes:
        logits: Shape (N, 7).
        features: Pooled features, shape (N, C).
    """

    logits: NDArray[np.float32]
    features: NDArray[np.float32]


def forward(model: ServingModel, pixels: Pixels, rows: NDArray[np.int64], batch_size: int) -> Seen:
    """Run the model over some pictures of an array that may be memory-mapped.

    Args:
        model: The serving export.
        pixels: Shape (M, H, W, 3).
        rows: Which of them, shape (N,).
        batch_size: Pictures at a time.
    """
    # Fancy indexing copies, so it is done a batch at a time: memory stays flat.
    batches = np.split(rows, range(batch_size, len(rows), batch_size))
    outputs = [model.run(pixels[batch], batch_size) for batch in batches]
    return Seen(
        np.concatenate([output.logits for output in outputs]),
        np.concatenate([output.pooled for output in outputs]),
    )


def measure_qualities(
    pixels: Pixels,
    rows: NDArray[np.int64],
    heights: Sequence[int],
    widths: Sequence[int],
) -> tuple[Quality, ...]:
    """Measure some pictures of an array.

    Args:
        pixels: Shape (M, H, W, 3).
        rows: Which of them, shape (N,).
        heights: Of the source pictures, N of them.
        widths: Of the source pictures.
    """
    return tuple(
        measure(pixels[row], int(height), int(width))
        for row, height, width in zip(rows, heights, widths, strict=True)
    )
