"""Pictures kept beside the audit log, where somebody asked for it.

What is kept of a picture is its pixels, upright, at full size, RGB, as a PNG without any metadata:
no EXIF, no position, no time, no device, no embedded preview, no colour profile. Whatever the pixels
themselves show is kept, also a name that was burnt into them. The file is called by the SHA-256 of
the bytes that were given, which is also in the log; the PNG, being other bytes, has another one, so
that the log proves which file was read, and not that these are its pixels. A kept picture may be
removed at any time: the log stays sound.
"""

import os
import tempfile
from pathlib import Path

from PIL import Image

from skin_lesion.data.images import ImageError, decode
from skin_lesion.settings import IngestConfig


def path_of(folder: Path, sha256: str) -> Path:
    """Where a picture is, if it was kept."""
    return folder / sha256[:2] / f"{sha256}.png"


def keep(folder: Path, picture: bytes, sha256: str) -> Path | None:
    """Keep the pixels of a picture.

    Args:
        folder: Made where it is missing.
        picture: An encoded picture.
        sha256: Of these bytes.

    Returns:
        The file; None where the bytes cannot be decoded, of which nothing is kept.

    Raises:
        OSError: The file cannot be written.
    """
    path = path_of(folder, sha256)
    if path.exists():
        return path
    try:
        image = decode(picture, max_pixels=IngestConfig().max_pixels)
    except ImageError:
        return None
    # A picture of its own: what hung on the decoded one (profiles, comments) stays behind.
    bare = Image.frombytes("RGB", image.size, image.tobytes())
    path.parent.mkdir(parents=True, exist_ok=True)
    # The file is its owner's alone: `mkstemp` makes it so.
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".partial")
    try:
        with os.fdopen(handle, "wb") as file:
            bare.save(file, "PNG")
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
    return path
