"""What a DICOM file says of its pixels, and what is refused without decoding them."""

from __future__ import annotations

import functools
import logging
import struct
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from skin_lesion.data.formats import ImageError

if TYPE_CHECKING:
    from pydicom import Dataset

NATIVE = frozenset({"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"})
RLE = "1.2.840.10008.1.2.5"
_JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"
# JPEG baseline, JPEG extended (of 8 bits), JPEG 2000 without and with loss.
CODESTREAMS = frozenset(
    {
        "1.2.840.10008.1.2.4.50",
        _JPEG_EXTENDED,
        "1.2.840.10008.1.2.4.90",
        "1.2.840.10008.1.2.4.91",
    }
)
_SAMPLES = {
    "MONOCHROME1": 1, "MONOCHROME2": 1, "PALETTE COLOR": 1, "RGB": 3, "YBR_FULL": 3,
    "YBR_FULL_422": 3, "YBR_ICT": 3, "YBR_RCT": 3,
}  # fmt: skip
DESCRIBING = (
    "NumberOfFrames", "Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation",
    "BitsAllocated", "BitsStored", "PixelRepresentation", "PlanarConfiguration", "WindowCenter",
    "WindowWidth", "VOILUTFunction", "VOILUTSequence", "RescaleSlope", "RescaleIntercept",
    "ModalityLUTSequence", "RedPaletteColorLookupTableDescriptor",
    "GreenPaletteColorLookupTableDescriptor", "BluePaletteColorLookupTableDescriptor",
    "RedPaletteColorLookupTableData", "GreenPaletteColorLookupTableData",
    "BluePaletteColorLookupTableData", "PixelData",
)  # fmt: skip
# A delimiter and its length, 0, follow pixels of undefined length.
_UNDEFINED, _DELIMITER_BYTES = 0xFFFFFFFF, 8


@dataclass(frozen=True)
class Layout:
    """How the pixels are stored.

    Attributes:
        syntax: UID of the transfer syntax.
        photometric: Photometric interpretation, a key of `_SAMPLES`.
        width: Columns.
        height: Rows.
        bits_allocated: Bits of a stored sample, 8 or 16.
        bits_stored: Bits of them that are used.
        signed: 1 where samples are signed, 0 otherwise.
        planar: 1 where each colour has a plane of its own, 0 otherwise.
        frames: Number of frames.
        words: Whether samples of 8 bits lie in words of 16, which matters to big endian.
    """

    syntax: str
    photometric: str
    width: int
    height: int
    bits_allocated: int
    bits_stored: int
    signed: int
    planar: int
    frames: int
    words: bool

    @property
    def samples(self) -> int:
        """Samples of a pixel."""
        return _SAMPLES[self.photometric]

    @property
    def frame_bytes(self) -> int:
        """Length of an uncompressed frame."""
        # Of two neighbouring pixels, YBR_FULL_422 keeps two luminances and one pair of colours.
        subsampled = self.photometric == "YBR_FULL_422" and self.syntax in NATIVE
        samples = 2 if subsampled else self.samples
        return self.height * self.width * samples * self.bits_allocated // 8


@functools.cache
def pydicom_library() -> Any:
    """The library, kept from repeating values of a file in warnings and in the log."""
    try:
        import pydicom
    except ImportError as error:
        raise ImageError(
            "unsupported_format", "reading DICOM needs the package pydicom, which is not installed"
        ) from error
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module="pydicom")
    return pydicom


@functools.cache
def raised_by_parsers() -> tuple[type[Exception], ...]:
    """What a parser raises over a hostile file, which is nearly anything."""
    errors = pydicom_library().errors
    return (
        ArithmeticError,
        AssertionError,
        AttributeError,
        EOFError,
        LookupError,
        MemoryError,
        OSError,
        RuntimeError,
        SyntaxError,
        TypeError,
        ValueError,
        struct.error,
        errors.BytesLengthException,
        errors.InvalidDicomError,
    )


def read_layout(dataset: Dataset) -> Layout:
    """Read how the pixels are stored.

    Raises:
        ImageError: The file says too little, contradicts itself, or stores them in a way that is
            not supported.
    """
    syntax = str(dataset.file_meta.get("TransferSyntaxUID", ""))
    if syntax not in NATIVE | CODESTREAMS | {RLE}:
        raise unsupported(f"is stored as {_name_of(syntax)}")
    try:
        if "Rows" not in dataset or "Columns" not in dataset:
            raise ImageError("unsupported_format", "the DICOM file holds no picture")
        allocated = int(dataset.BitsAllocated)
        layout = Layout(
            syntax=syntax,
            photometric=known(str(dataset.PhotometricInterpretation), _SAMPLES),
            width=int(dataset.Columns),
            height=int(dataset.Rows),
            bits_allocated=allocated,
            bits_stored=int(dataset.get("BitsStored", allocated)),
            signed=int(dataset.get("PixelRepresentation", 0)),
            planar=int(dataset.get("PlanarConfiguration", 0)),
            frames=int(dataset.get("NumberOfFrames") or 1),
            words=getattr(dataset.get_item("PixelData"), "VR", None) != "OB",
        )
        samples = int(dataset.get("SamplesPerPixel", 1))
    except ImageError:
        raise
    except raised_by_parsers() as error:
        raise broken("the header is broken", error) from None
    if layout.bits_allocated not in (8, 16):
        raise unsupported(f"stores {layout.bits_allocated} bits a sample, not 8 or 16")
    if syntax == _JPEG_EXTENDED and layout.bits_stored != 8:
        raise unsupported(f"has more than 8 bits in {_name_of(syntax)}")
    if not (
        samples == layout.samples
        and 1 <= layout.bits_stored <= layout.bits_allocated
        and layout.signed in ((0, 1) if layout.photometric.startswith("MONO") else (0,))
        and layout.planar in (0, 1)
        and layout.frames >= 1
    ):
        raise ImageError("unreadable", "the header of the DICOM file contradicts itself")
    return layout


def pixel_data(dataset: Dataset, layout: Layout, file_bytes: int) -> bytes:
    """Take the pixels out of a parsed file, undecoded.

    Args:
        dataset: The parsed file.
        layout: What it says of its pixels.
        file_bytes: Length of the file.

    Raises:
        ImageError: Some of them are missing.
    """
    # As it lies in the file, with the length that the file declares.
    element: Any = dataset.get_item("PixelData")
    value = getattr(element, "value", None)
    if not isinstance(value, bytes):
        # A file that is cut inside of its pixels is parsed without them.
        raise ImageError("truncated", "the DICOM file describes a picture and holds no pixels")
    declared: int = element.length
    encapsulated = layout.syntax not in NATIVE
    if encapsulated != (declared == _UNDEFINED):
        raise contradiction()
    if encapsulated and element.value_tell + len(value) + _DELIMITER_BYTES > file_bytes:
        raise ImageError("truncated", "the end of the DICOM file is missing")
    if not encapsulated and len(value) < max(declared, layout.frame_bytes):
        raise ImageError(
            "truncated", f"a frame has {layout.frame_bytes} bytes, and {len(value)} are there"
        )
    return bytes(value)


def known(value: str, expected: Any) -> str:
    """A code of the standard; anything else is not repeated, since it might be anything."""
    if value not in expected:
        raise unsupported(f"has none of the values {', '.join(expected)} where one is expected")
    return value


def contradiction() -> ImageError:
    """The error of a file whose parts do not fit together."""
    return ImageError("unreadable", "the pixels of the DICOM file contradict its header")


def unsupported(what: str) -> ImageError:
    """The error of a file that is right, but not of a kind that is read."""
    return ImageError(
        "unsupported_format",
        f"the DICOM file {what}, which is not read; store it uncompressed (Explicit VR Little "
        "Endian) or as JPEG Baseline, 8 bits RGB",
    )


def broken(what: str, error: Exception) -> ImageError:
    """The error of a file that made a parser fail.

    It leaves out the message of the library, which may repeat text of the file.
    """
    cut = isinstance(error, EOFError) or "truncated" in str(error).lower()
    return ImageError("truncated" if cut else "unreadable", f"{what} (DICOM)")


def _name_of(syntax: str) -> str:
    """Name of a transfer syntax of the standard; any other is not repeated."""
    uid = pydicom_library().uid
    known_one = syntax in uid.AllTransferSyntaxes
    return (
        f"{uid.UID(syntax).name} ({syntax})"
        if known_one
        else "something that is not in the standard"
    )
