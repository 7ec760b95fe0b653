"""Many small pictures with captions on one sheet, to be looked at."""

import io
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

_MARGIN = 6
_TITLE_SIZE = 18
_CAPTION_SIZE = 11
_BACKGROUND = (250, 250, 250)
_INK = (30, 30, 30)


def contact_sheet(
    pictures: Sequence[NDArray[np.uint8]],
    captions: Sequence[str],
    columns: int,
    title: str,
    cell_width: int = 160,
) -> bytes:
    """Arrange pictures in rows on one sheet.

    Args:
        pictures: RGB, uint8, each (height, width, 3); each is scaled to the width of a cell.
        captions: One for each picture; a line break starts a second line.
        columns: Pictures in a row.
        title: Above all; empty leaves it out.
        cell_width: Width of a cell in pixels.

    Returns:
        The sheet as PNG.

    Raises:
        ValueError: The numbers of pictures and captions differ, or there is no column.
    """
    if len(pictures) != len(captions):
        raise ValueError(
            f"{len(pictures)} pictures have {len(captions)} captions; expected as many"
        )
    if columns < 1 or cell_width < 1:
        raise ValueError(f"columns is {columns}, cell_width {cell_width}; expected at least 1")
    font = ImageFont.load_default(_CAPTION_SIZE)
    cells = [_scaled(picture, cell_width) for picture in pictures]
    picture_height = max((cell.height for cell in cells), default=0)
    lines = max((caption.count("\n") + 1 for caption in captions), default=0)
    cell_height = picture_height + lines * (_CAPTION_SIZE + 3) + _MARGIN
    top = _TITLE_SIZE + 2 * _MARGIN if title else _MARGIN
    rows = math.ceil(len(cells) / columns)
    sheet = Image.new(
        "RGB",
        (columns * (cell_width + _MARGIN) + _MARGIN, top + rows * (cell_height + _MARGIN)),
        _BACKGROUND,
    )
    pen = ImageDraw.Draw(sheet)
    pen.text((_MARGIN, _MARGIN), title, fill=_INK, font=ImageFont.load_default(_TITLE_SIZE))
    for index, (cell, caption) in enumerate(zip(cells, captions, strict=True)):
        row, column = divmod(index, columns)
        left, upper = _MARGIN + column * (cell_width + _MARGIN), top + row * (cell_height + _MARGIN)
        sheet.paste(cell, (left, upper))
        text = "\n".join(_shortened(line, cell_width, font) for line in caption.split("\n"))
        pen.multiline_text(
            (left, upper + picture_height + 2), text, fill=_INK, font=font, spacing=2
        )
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    return buffer.getvalue()


def _scaled(picture: NDArray[np.uint8], width: int) -> Image.Image:
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
        raise ValueError(
            f"a picture is {picture.dtype} {picture.shape}; expected uint8 (height, width, 3)"
        )
    height = max(1, round(picture.shape[0] * width / picture.shape[1]))
    return Image.fromarray(np.ascontiguousarray(picture)).resize(
        (width, height), Image.Resampling.LANCZOS
    )


def _shortened(line: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """Cut a line so that it fits its cell."""
    if font.getlength(line) <= width:
        return line
    while line and font.getlength(line + "…") > width:
        line = line[:-1]
    return line + "…"
