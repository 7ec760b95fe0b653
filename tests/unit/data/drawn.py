"""Pictures drawn on the spot, for tests of how files become pixels."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from skin_lesion.data.images import PixelSpec

MAX_PIXELS = 1_000_000
SPEC = PixelSpec(60, 80, "stretch", 150, 200)
RED, GREEN, BLUE, GREY = (220, 20, 30), (20, 200, 40), (30, 40, 210), (128, 128, 128)


def encoded(image: Image.Image, file_format: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def smooth(height: int, width: int, seed: int = 0) -> Image.Image:
    """A soft random picture, the same scene at every size."""
    knots = np.random.default_rng(seed).integers(0, 256, (7, 9, 3), dtype=np.uint8)
    return Image.fromarray(knots).resize((width, height), Image.Resampling.BICUBIC)


def quadrants(height: int = 48, width: int = 64) -> Image.Image:
    """Four corners that tell apart every turn and every mirror image."""
    pixels = np.zeros((height, width, 3), np.uint8)
    top, left = slice(0, height // 2), slice(0, width // 2)
    bottom, right = slice(height // 2, None), slice(width // 2, None)
    pixels[top, left], pixels[top, right] = RED, GREEN
    pixels[bottom, left], pixels[bottom, right] = BLUE, GREY
    return Image.fromarray(pixels)


def mean_difference(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    return float(np.abs(a.astype(float) - b.astype(float)).mean())
