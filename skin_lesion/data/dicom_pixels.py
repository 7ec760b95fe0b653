"""Decode the first frame of a DICOM file whose header was read."""

from __future__ import annotations

import io
import math
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from skin_lesion.data.dicom_layout import (
    CODESTREAMS,
    NATIVE,
    RLE,
    Layout,
    contradiction,
    known,
    pydicom_library,
    unsupported,
)
from skin_lesion.data.formats import ImageError

if TYPE_CHECKING:
    from pydicom import Dataset

_WINDOWS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")
# Keeps the levels of an empty range from being divided by it.
_LEAST_RANGE = 1e-6


def first_frame(dataset: Dataset, pixels: bytes, layout: Layout) -> NDArray[np.uint8]:
    """Decode the first frame as a viewer shows it.

    Args:
        dataset: The parsed file.
        pixels: Its pixels as they lie in it.
        layout: What it says of them.

    Returns:
        RGB, shape (height, width, 3).

    Raises:
        ImageError: The pixels contradict the header, or are shown in a way that is not supported.
        Exception: One of `raised_by_parsers`.
    """
    stored = _stored(pixels, layout)
    expected = (layout.height, layout.width, 3)[: 3 if layout.samples == 3 else 2]
    if stored.shape != expected:
        raise contradiction()
    if layout.photometric == "PALETTE COLOR":
        coloured = pydicom_library().pixels.apply_color_lut(stored, dataset)
        # Some writers declare entries of 16 bits and fill 8 of them.
        full = 255 if coloured.max() <= 255 else 65535
        return _to_bytes(coloured[..., :3], full)
    if layout.samples == 3:
        return _to_bytes(stored, 255 if stored.dtype == np.uint8 else 2**layout.bits_stored - 1)
    grey = _shown(dataset, stored, layout)
    return np.repeat(grey[..., None], 3, axis=2)


def _stored(pixels: bytes, layout: Layout) -> NDArray[Any]:
    """Samples of the first frame, YBR turned into RGB."""
    if layout.syntax in CODESTREAMS:
        _check_codestream(pixels, layout)
    if layout.syntax == RLE:
        return _run_lengths(pixels, layout)
    # pydicom checks that there is as much as it was told: it is told of one frame where it can be.
    native = layout.syntax in NATIVE
    decoder = pydicom_library().pixels.get_decoder(layout.syntax)
    stored, _ = decoder.as_array(
        pixels[: layout.frame_bytes + layout.frame_bytes % 2] if native else pixels,
        index=0,
        rows=layout.height,
        columns=layout.width,
        number_of_frames=1 if native else layout.frames,
        samples_per_pixel=layout.samples,
        photometric_interpretation=layout.photometric,
        bits_allocated=layout.bits_allocated,
        bits_stored=layout.bits_stored,
        pixel_representation=layout.signed,
        pixel_keyword="PixelData",
        pixel_vr="OW" if layout.words else "OB",
        **({"planar_configuration": layout.planar} if layout.samples == 3 else {}),
    )
    return np.asarray(stored)


def _check_codestream(pixels: bytes, layout: Layout) -> None:
    """Refuse a frame that is larger than the header says, before it is decoded."""
    frame = _first_frame(pixels, layout)
    try:
        image = Image.open(io.BytesIO(frame), formats=("JPEG", "JPEG2000"))
    except Image.DecompressionBombError:
        raise contradiction() from None
    with image:
        if image.size != (layout.width, layout.height):
            raise contradiction()


def _first_frame(pixels: bytes, layout: Layout) -> bytes:
    frame: bytes = pydicom_library().encaps.get_frame(pixels, 0, number_of_frames=layout.frames)
    return frame


def _run_lengths(pixels: bytes, layout: Layout) -> NDArray[Any]:
    """Samples of a run-length encoded frame (PS3.5, annex G).

    Pillow unpacks the runs, into as many bytes as the header declares and no more; a few hostile
    bytes cannot become many.
    """
    frame = _first_frame(pixels, layout)
    count, *offsets = struct.unpack_from("<16I", frame)
    size = layout.bits_allocated // 8
    if count != layout.samples * size:
        raise contradiction()
    ends = [*offsets[1:count], len(frame)]
    plane = (layout.height * layout.width, 1)
    planes = [
        np.asarray(Image.frombytes("L", plane, frame[start:end], "packbits", "L"))[0]
        for start, end in zip(offsets[:count], ends, strict=True)
    ]
    # One plane for each byte of each sample, the most significant byte first.
    bytewise = np.stack(planes).reshape(layout.samples, size, layout.height, layout.width)
    stored = np.ascontiguousarray(bytewise.transpose(2, 3, 0, 1)).view(
        f">{'i' if layout.signed else 'u'}{size}"
    )[..., 0]
    # What lies above the stored bits, such as an overlay, is pushed out.
    unused = layout.bits_allocated - layout.bits_stored
    stored = (stored << unused) >> unused
    if layout.samples == 1:
        return stored[..., 0]
    if layout.photometric.startswith("YBR"):
        return np.asarray(pydicom_library().pixels.convert_color_space(stored, "YBR_FULL", "RGB"))
    return stored


def _shown(dataset: Dataset, stored: NDArray[Any], layout: Layout) -> NDArray[np.uint8]:
    """Grey levels as a viewer shows them, 0 to 255 (PS3.3, C.11.1 and C.11.2)."""
    if "ModalityLUTSequence" in dataset or (
        "VOILUTSequence" in dataset and not _stated(dataset, "WindowCenter")
    ):
        raise unsupported("gives its grey levels by a table")
    slope, intercept = (
        _number(dataset.get(name), default)
        for name, default in (("RescaleSlope", 1.0), ("RescaleIntercept", 0.0))
    )
    lowest = -(2 ** (layout.bits_stored - 1)) if layout.signed else 0
    highest = lowest + 2**layout.bits_stored - 1
    with np.errstate(all="ignore"):
        levels = stored.astype(np.float32) * slope + intercept
        if _stated(dataset, "WindowCenter") and _stated(dataset, "WindowWidth"):
            share = _windowed(levels, dataset)
        else:
            ends = sorted((lowest * slope + intercept, highest * slope + intercept))
            share = (levels - ends[0]) / max(ends[1] - ends[0], _LEAST_RANGE)
    if not np.isfinite(share).all():
        raise ImageError("unreadable", "the grey levels of the DICOM file are no proper numbers")
    if layout.photometric == "MONOCHROME1":
        share = 1 - share
    shown: NDArray[np.uint8] = np.rint(np.clip(share, 0, 1) * 255).astype(np.uint8)
    return shown


def _windowed(levels: NDArray[np.float32], dataset: Dataset) -> NDArray[np.float32]:
    """Share of full brightness by the first window, not yet bounded to 0 and 1."""
    centre, width = (_number(dataset.get(name), 0.0) for name in ("WindowCenter", "WindowWidth"))
    function = known(str(dataset.get("VOILUTFunction") or "LINEAR"), _WINDOWS)
    if width < 1 and (function == "LINEAR" or width <= 0):
        raise ImageError("unreadable", f"the window of the DICOM file is {width:g} levels wide")
    if function == "SIGMOID":
        # Bounded, so that the exponential stays finite.
        exponent = np.clip(-4 * (levels - centre) / width, -80, 80)
        share: NDArray[np.float32] = 1 / (1 + np.exp(exponent))
        return share
    if function == "LINEAR_EXACT":
        return (levels - centre) / width + 0.5
    # The width counts levels: from the first that is black to the last that is white.
    return (levels - (centre - 0.5)) / max(width - 1, _LEAST_RANGE) + 0.5


def _stated(dataset: Dataset, name: str) -> bool:
    return dataset.get(name) not in (None, "")


def _number(value: Any, default: float) -> float:
    """A decimal of the file, the first where there are several."""
    if value in (None, ""):
        return default
    number = float(value if isinstance(value, float | int | str) else value[0])
    if not math.isfinite(number):
        raise ImageError("unreadable", "the header of the DICOM file holds no proper numbers")
    return number


def _to_bytes(samples: NDArray[Any], full: int) -> NDArray[np.uint8]:
    if full == 255:
        return np.ascontiguousarray(samples, dtype=np.uint8)
    scaled = (samples.astype(np.uint32) * 255 + full // 2) // full
    return np.minimum(scaled, 255).astype(np.uint8)
