"""Decode the first frame of a DICOM file to RGB, and read nothing of the patient.

Only the few elements that describe the pixels are kept when the file is parsed, so that no name or
date can reach an answer, a message or a log. Read are 8 and 16 bits of MONOCHROME1 and 2, RGB,
YBR_FULL, YBR_FULL_422 and PALETTE COLOR, uncompressed, run-length encoded, as JPEG baseline or as
JPEG 2000. Grey is rescaled and windowed as the file says, by its first window; where it names none
the whole range of the stored bits is shown.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from PIL import Image

from skin_lesion.data.dicom_layout import (
    DESCRIBING,
    broken,
    pixel_data,
    pydicom_library,
    raised_by_parsers,
    read_layout,
    unsupported,
)
from skin_lesion.data.dicom_pixels import first_frame
from skin_lesion.data.formats import Encoded, ImageError, refuse_bomb

if TYPE_CHECKING:
    from pydicom import Dataset

_PREAMBLE, _MAGIC = 128, b"DICM"
_DEFLATED = b"1.2.840.10008.1.2.1.99"


def is_dicom(data: bytes) -> bool:
    """Whether a file calls itself DICOM."""
    return data[_PREAMBLE : _PREAMBLE + len(_MAGIC)] == _MAGIC


def open_dicom(data: bytes, max_pixels: int) -> Encoded:
    """Read the header of a DICOM file and refuse what must not be decoded.

    Args:
        data: Contents of a file.
        max_pixels: A frame that declares more is refused.

    Raises:
        ImageError: The header cannot be read, what it declares is not supported, or it declares no
            or too many pixels.
    """
    dataset = _parse(data)
    layout = read_layout(dataset)
    if min(layout.width, layout.height) < 1:
        raise ImageError("zero_size", "the header declares a picture without pixels")
    refuse_bomb(layout.width, layout.height, max_pixels)
    pixels = pixel_data(dataset, layout, len(data))

    def decode(_: tuple[int, int] | None) -> Image.Image:
        try:
            return Image.fromarray(first_frame(dataset, pixels, layout))
        except ImageError:
            raise
        except raised_by_parsers() as error:
            raise broken("decoding failed", error) from None

    return Encoded(layout.width, layout.height, layout.frames > 1, decode)


def _parse(data: bytes) -> Dataset:
    # Such a file is inflated whole before anything of it can be read, however large it gets.
    if _DEFLATED in data:
        raise unsupported("is deflated")
    pydicom = pydicom_library()
    try:
        dataset: Dataset = pydicom.dcmread(io.BytesIO(data), specific_tags=list(DESCRIBING))
        if "PixelData" not in dataset:
            # Of a file that ends inside of its pixels pydicom keeps nothing at all.
            dataset = pydicom.dcmread(
                io.BytesIO(data), specific_tags=list(DESCRIBING), stop_before_pixels=True
            )
    except raised_by_parsers() as error:
        raise broken("the header is broken", error) from None
    return dataset
