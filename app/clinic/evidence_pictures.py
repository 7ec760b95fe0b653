"""Pictures of an evaluation, made small enough for a page."""

import io

from PIL import Image, UnidentifiedImageError


def for_the_web(png: bytes, width: int, quality: int) -> bytes | None:
    """A picture as JPEG on white, no wider than asked for; None where it is no picture.

    Args:
        png: As the evaluation drew it.
        width: In pixels.
        quality: Of the JPEG, 1 to 95.
    """
    try:
        with Image.open(io.BytesIO(png)) as picture:
            rgba = picture.convert("RGBA")
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError):
        return None
    flat = Image.new("RGB", rgba.size, "white")
    flat.paste(rgba, mask=rgba.getchannel("A"))
    flat.thumbnail((width, flat.height), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    flat.save(buffer, format="JPEG", quality=quality)
    return buffer.getvalue()
