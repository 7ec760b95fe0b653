"""What the viewer shows, as a browser takes it: pictures, a heat-map's colours, and where it lies."""

import base64
import io
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from skin_lesion.explain.gradcam import overlay, upsample
from skin_lesion.modeling.bundle import Contract
from skin_lesion.prediction import HeatMap

_LEVELS = 256
_LEGEND_COLOURS = 9


@dataclass(frozen=True)
class Placement:
    """Which part of a picture the model's view covers, in shares of the picture's sides.

    Attributes:
        left: Of its left edge; negative where the view reaches beyond the picture.
        top: Of its upper edge.
        width: 1 is the whole picture.
        height: 1 is the whole picture.
    """

    left: float
    top: float
    width: float
    height: float


def placement(width: int, height: int, contract: Contract) -> Placement:
    """Where the model's view lies over a picture, whatever way it was brought to size.

    Args:
        width: Of the picture, or of a smaller copy of it.
        height: Of the same.
        contract: Of the model.
    """
    if contract.resize_mode == "stretch":
        return Placement(0.0, 0.0, 1.0, 1.0)
    # Above 1 where the picture is wider than the model's view.
    wider = (width / height) / (contract.input_width / contract.input_height)
    # A crop lies inside the picture; padding makes the view reach beyond it.
    view_width = 1.0 / max(wider, 1.0) if contract.resize_mode == "crop" else 1.0 / min(wider, 1.0)
    view_height = min(wider, 1.0) if contract.resize_mode == "crop" else max(wider, 1.0)
    return Placement((1 - view_width) / 2, (1 - view_height) / 2, view_width, view_height)


def heat_png(heat_map: HeatMap) -> bytes:
    """A heat-map's colours, transparent where there is no heat, as a PNG of the model's view.

    Laid over the picture at some opacity it gives what `gradcam.overlay` gives at that opacity.
    """
    height, width = heat_map.pixels.shape[:2]
    full = upsample(heat_map.heat, height, width)
    coloured = np.empty((height, width, 4), np.uint8)
    coloured[..., :3] = _colours()[np.rint(full * (_LEVELS - 1)).astype(np.intp)]
    coloured[..., 3] = np.rint(full * 255)
    return _png(Image.fromarray(coloured, mode="RGBA"))


def view_png(heat_map: HeatMap) -> bytes:
    """What the model saw, pixel by pixel."""
    return _png(Image.fromarray(heat_map.pixels))


def legend() -> list[str]:
    """Colours of a heat-map from no heat to the most, as CSS writes them."""
    rows = _colours()[np.linspace(0, _LEVELS - 1, _LEGEND_COLOURS).astype(np.intp)]
    return [f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in rows.tolist()]


def data_uri(content: bytes, kind: str) -> str:
    """A picture as an address that holds it.

    Args:
        content: The encoded picture.
        kind: `png` or `jpeg`.
    """
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


@cache
def _colours() -> NDArray[np.uint8]:
    """The colour of each level of heat, shape (256, 3)."""
    black = np.zeros((1, 1, 3), np.uint8)
    levels = np.arange(1, _LEVELS, dtype=np.float32) / (_LEVELS - 1)
    # At the opacity that makes up for its weight, a level hides what lies below it.
    rows = [
        overlay(black, np.full((1, 1), level, np.float32), float(1 / level))[0, 0]
        for level in levels
    ]
    return np.stack([rows[0], *rows])


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    # The quickest compression: it travels once, to one browser.
    image.save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()
