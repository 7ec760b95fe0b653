"""DICOM on the one path of pictures: what is read reads right, and nothing of the patient is told."""

import io
import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pydicom.data
import pytest
from PIL import Image
from pydicom import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels import apply_color_lut, apply_voi_lut, pixel_array
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    RLELossless,
)

from skin_lesion.data.images import ImageError, PixelSpec, decode, oriented_size, read_picture

DERMOSCOPIC = "1.2.840.10008.5.1.4.1.1.77.1.4.1"
SAMPLES = Path(pydicom.data.__file__).parent / "test_files"
PHI = "DOE^JOHN-19500101"
MAX_PIXELS = 10_000_000


def picture(height: int = 12, width: int = 17, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def dicom(
    pixels: bytes | np.ndarray, syntax: str = ExplicitVRLittleEndian, **elements: Any
) -> bytes:
    """A file of a patient; RGB of 8 bits unless the elements say otherwise."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = DERMOSCOPIC, "1.2.3.4"
    dataset.PatientName = dataset.PatientID = dataset.InstitutionName = PHI
    dataset.PatientBirthDate, dataset.ImageComments = "19500101", PHI
    height, width = pixels.shape[:2] if isinstance(pixels, np.ndarray) else (12, 17)
    described = {
        "Rows": height, "Columns": width, "SamplesPerPixel": 3,
        "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0, "BitsAllocated": 8,
        "BitsStored": 8, "HighBit": 7, "PixelRepresentation": 0,
    } | elements  # fmt: skip
    for name, value in described.items():
        if value is not None:
            setattr(dataset, name, value)
    data = pixels.tobytes() if isinstance(pixels, np.ndarray) else pixels
    dataset.PixelData = data + b"\0" * (len(data) % 2)
    dataset["PixelData"].VR = "OB" if described["BitsAllocated"] == 8 else "OW"
    dataset["PixelData"].is_undefined_length = UID(syntax).is_compressed and (
        syntax != DeflatedExplicitVRLittleEndian
    )
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


GREY: dict[str, Any] = {
    "SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2", "PlanarConfiguration": None,
}  # fmt: skip
DEEP: dict[str, Any] = {**GREY, "BitsAllocated": 16, "BitsStored": 12, "HighBit": 11}


def read(data: bytes) -> np.ndarray:
    return np.asarray(decode(data, max_pixels=MAX_PIXELS))


def refusal(data: bytes, max_pixels: int = MAX_PIXELS) -> ImageError:
    with pytest.raises(ImageError) as caught:
        decode(data, max_pixels=max_pixels)
    return caught.value


# What is read


@pytest.mark.parametrize(
    "syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian]
)
def test_uncompressed_rgb_reads_as_it_is(syntax: str) -> None:
    pixels = picture()
    np.testing.assert_array_equal(read(dicom(pixels, syntax)), pixels)


def test_planes_of_colours_are_put_together() -> None:
    pixels = picture()
    planes = np.ascontiguousarray(pixels.transpose(2, 0, 1)).tobytes()
    np.testing.assert_array_equal(read(dicom(planes, PlanarConfiguration=1)), pixels)


def test_a_dicom_and_a_png_of_the_same_pixels_are_the_same_input() -> None:
    pixels = picture(300, 400)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    spec = PixelSpec(60, 80, "stretch", 150, 200)
    ours, theirs = read_picture(dicom(pixels), spec), read_picture(buffer.getvalue(), spec)
    assert ours.image.tobytes() == theirs.image.tobytes()
    assert (ours.width, ours.height) == (theirs.width, theirs.height) == (400, 300)


@pytest.mark.parametrize("quality", [60, 95])
def test_jpeg_baseline_reads_as_the_jpeg_does(quality: int) -> None:
    smooth = Image.fromarray(picture(4, 5)).resize((50, 40), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    smooth.save(buffer, "JPEG", quality=quality)
    data = dicom(
        encapsulate([buffer.getvalue()]), JPEGBaseline8Bit, Rows=40, Columns=50,
        PhotometricInterpretation="YBR_FULL_422",
    )  # fmt: skip
    difference = read(data).astype(int) - read(buffer.getvalue())
    assert np.abs(difference).max() <= 2  # the two round the turn from YBR to RGB differently


@pytest.mark.parametrize(
    ("bits", "elements"), [(8, {}), (16, {"BitsAllocated": 16, "BitsStored": 16, "HighBit": 15})]
)
def test_run_lengths_read_as_the_pixels_they_stand_for(bits: int, elements: dict[str, Any]) -> None:
    pixels = np.repeat(picture(), 3, axis=1)[:, :17].astype(f"<u{bits // 8}") * (
        257 if bits == 16 else 1
    )
    plain = dicom(pixels, **elements)
    dataset = pydicom.dcmread(io.BytesIO(plain))
    dataset.compress(RLELossless, generate_instance_uid=False)
    buffer = io.BytesIO()
    dataset.save_as(buffer)
    np.testing.assert_array_equal(read(buffer.getvalue()), read(plain))
    np.testing.assert_array_equal(read(plain), pixels // (257 if bits == 16 else 1))


def test_more_than_one_frame_gives_the_first_and_says_so() -> None:
    frames = np.stack([picture(seed=1), picture(seed=2)])
    several = dicom(frames.tobytes(), NumberOfFrames=2)
    np.testing.assert_array_equal(read(several), frames[0])
    spec = PixelSpec(12, 17, "stretch", None, None)
    assert read_picture(several, spec).several_frames
    assert not read_picture(dicom(frames[0]), spec).several_frames


def test_monochrome1_is_shown_inverted() -> None:
    levels = picture()[..., 0]
    inverted = dicom(levels, **{**GREY, "PhotometricInterpretation": "MONOCHROME1"})
    np.testing.assert_array_equal(read(inverted)[..., 0], 255 - levels)
    np.testing.assert_array_equal(read(dicom(levels, **GREY))[..., 1], levels)


def test_without_a_window_the_whole_range_of_the_stored_bits_is_shown() -> None:
    levels = np.linspace(0, 4095, 12 * 17).astype("<u2").reshape(12, 17)
    shown = read(dicom(levels, **DEEP))[..., 0]
    assert (shown[0, 0], shown[-1, -1]) == (0, 255)
    np.testing.assert_array_equal(shown, np.rint(levels / 4095 * 255))


@pytest.mark.parametrize("signed", [0, 1])
@pytest.mark.parametrize("function", [None, "LINEAR_EXACT", "SIGMOID"])
def test_grey_is_rescaled_and_windowed_as_the_standard_says(
    signed: int, function: str | None
) -> None:
    levels = np.random.default_rng(0).integers(-2048 * signed, 4096 - 2048 * signed, (12, 17))
    data = dicom(
        levels.astype("<i2" if signed else "<u2"), **DEEP | {"PixelRepresentation": signed},
        RescaleSlope="2", RescaleIntercept="-1000", WindowCenter=["300", "40"],
        WindowWidth=["900", "80"], VOILUTFunction=function,
    )  # fmt: skip
    dataset = pydicom.dcmread(io.BytesIO(data))
    shown = apply_voi_lut(levels * 2 - 1000, dataset, index=0)
    low, high = (-2048 * signed) * 2 - 1000, (4095 - 2048 * signed) * 2 - 1000
    expected = (shown - low) / (high - low) * 255
    np.testing.assert_allclose(read(data)[..., 0], expected, atol=0.51)


def test_a_palette_is_looked_up() -> None:
    indices = picture()[..., 0] // 2
    palette = np.random.default_rng(1).integers(0, 256, (3, 128), dtype=np.uint16)
    colours = ("Red", "Green", "Blue")
    tables: dict[str, Any] = {
        f"{c}PaletteColorLookupTableDescriptor": [128, 0, 16] for c in colours
    }
    for colour, table in zip(colours, palette, strict=True):
        tables[f"{colour}PaletteColorLookupTableData"] = (table * 257).astype("<u2").tobytes()
    data = dicom(indices, **GREY | {"PhotometricInterpretation": "PALETTE COLOR"}, **tables)
    np.testing.assert_array_equal(read(data), palette.T[indices])


@pytest.mark.parametrize(
    "name",
    [
        "SC_rgb_dcmtk_+eb+cr.dcm", "SC_rgb_dcmtk_+eb+cy+n1.dcm", "SC_rgb_dcmtk_+eb+cy+np.dcm",
        "SC_rgb_dcmtk_+eb+cy+s2.dcm", "SC_rgb_dcmtk_+eb+cy+s4.dcm", "SC_rgb_rle.dcm",
        "SC_rgb_rle_2frame.dcm", "SC_rgb_small_odd.dcm", "SC_rgb_small_odd_big_endian.dcm",
        "SC_rgb_small_odd_jpeg.dcm", "SC_ybr_full_422_uncompressed.dcm", "ExplVR_BigEnd.dcm",
        "SC_rgb_jpeg_dcmtk.dcm", "SC_rgb_jpeg_app14_dcmd.dcm", "SC_jpeg_no_color_transform_2.dcm",
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore")
def test_files_of_other_writers_read_as_pydicom_reads_them(name: str) -> None:
    path = SAMPLES / name
    if not path.exists():
        pytest.skip("this build of pydicom comes without its sample files")
    dataset = pydicom.dcmread(path)
    np.testing.assert_array_equal(read(path.read_bytes()), pixel_array(dataset, index=0))


def test_a_palette_of_another_writer_reads_as_pydicom_reads_it() -> None:
    path = SAMPLES / "examples_palette.dcm"
    if not path.exists():
        pytest.skip("this build of pydicom comes without its sample files")
    dataset = pydicom.dcmread(path)
    wide = apply_color_lut(pixel_array(dataset), dataset)
    np.testing.assert_allclose(read(path.read_bytes()), wide / 257, atol=0.51)


# What is refused


@pytest.mark.parametrize(
    ("syntax", "said"),
    [
        ("1.2.840.10008.1.2.4.80", "JPEG-LS Lossless"),
        ("1.2.840.10008.1.2.4.70", "JPEG Lossless"),
        ("1.2.840.10008.1.2.4.102", "MPEG-4"),
    ],
)
def test_what_is_compressed_in_another_way_is_refused_by_name(syntax: str, said: str) -> None:
    error = refusal(dicom(encapsulate([b"x" * 50]), syntax))
    assert error.reason == "unsupported_format"
    assert said in str(error)
    assert "Explicit VR Little Endian" in str(error)


def test_a_private_transfer_syntax_is_refused_and_not_repeated() -> None:
    private = b"1.2.3.4.5.6.7.8.9.10"
    error = refusal(dicom(picture()).replace(b"1.2.840.10008.1.2.1\0", private))
    assert error.reason == "unsupported_format"
    assert private.decode() not in str(error)


def test_a_deflated_file_is_refused_before_it_is_inflated() -> None:
    bomb = dicom(np.zeros((2000, 2000, 3), np.uint8), DeflatedExplicitVRLittleEndian)
    assert len(bomb) < 50_000
    error = refusal(bomb)
    assert error.reason == "unsupported_format"
    assert "deflated" in str(error)


def test_a_bomb_is_refused_by_what_it_declares() -> None:
    assert refusal(dicom(picture(), Rows=60_000, Columns=60_000)).reason == "bomb"
    assert refusal(dicom(picture()), max_pixels=12 * 17 - 1).reason == "bomb"


def test_a_codestream_larger_than_the_header_says_is_refused_undecoded() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (2000, 2000)).save(buffer, "JPEG")
    data = dicom(
        encapsulate([buffer.getvalue()]), JPEGBaseline8Bit, Rows=10, Columns=10,
        PhotometricInterpretation="YBR_FULL_422",
    )  # fmt: skip
    assert refusal(data).reason == "unreadable"


def test_run_lengths_of_too_few_or_far_too_many_pixels_make_no_picture_of_their_own() -> None:
    header = (3).to_bytes(4, "little") + b"".join(
        offset.to_bytes(4, "little") for offset in (64, 66, 68)
    )
    few = header.ljust(64, b"\0") + b"\x81\x05" * 3  # 128 pixels of each colour
    assert refusal(dicom(encapsulate([few]), RLELossless)).reason == "unreadable"
    many = header.ljust(64, b"\0") + b"\x81\x05" * 3 + b"\x81\x05" * 100_000
    data = dicom(encapsulate([many]), RLELossless, Rows=8, Columns=16)
    assert read(data).shape == (8, 16, 3)


@pytest.mark.parametrize(
    "elements",
    [
        {"Rows": 0}, {"SamplesPerPixel": 1}, {"BitsStored": 9}, {"PlanarConfiguration": 7},
        {"PhotometricInterpretation": "CMYK"}, {"BitsAllocated": 32, "BitsStored": 32},
        {"Rows": None}, {"PhotometricInterpretation": None}, {"Rows": 500},
        {**DEEP, "WindowCenter": "10", "WindowWidth": "0", "Rows": 6},
        {**DEEP, "RescaleSlope": "1e38", "RescaleIntercept": "1e38", "Rows": 6, "WindowCenter": "1", "WindowWidth": "1e-30", "VOILUTFunction": "LINEAR_EXACT"},
    ],
    ids=str,
)  # fmt: skip
def test_a_header_that_contradicts_itself_is_refused(elements: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = dicom(picture(), **elements)
    assert refusal(data).reason in {
        "unreadable", "unsupported_format", "zero_size", "truncated",
    }  # fmt: skip


def test_a_dicom_file_without_a_picture_says_so() -> None:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.104.1", "1.2.3.4"
    dataset.PatientName = PHI
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    error = refusal(buffer.getvalue())
    assert (error.reason, str(error)) == ("unsupported_format", "the DICOM file holds no picture")


@pytest.mark.filterwarnings("ignore:End of file reached")
@pytest.mark.parametrize("kind", ["native", "jpeg", "rle"])
def test_a_file_that_is_cut_anywhere_is_never_read(kind: str) -> None:
    data = dicom(picture())
    if kind == "rle":
        dataset = pydicom.dcmread(io.BytesIO(data))
        dataset.compress(RLELossless, generate_instance_uid=False)
        buffer = io.BytesIO()
        dataset.save_as(buffer)
        data = buffer.getvalue()
    elif kind == "jpeg":
        buffer = io.BytesIO()
        Image.fromarray(picture()).save(buffer, "JPEG")
        data = dicom(
            encapsulate([buffer.getvalue()]), JPEGBaseline8Bit,
            PhotometricInterpretation="YBR_FULL_422",
        )  # fmt: skip
    assert read(data).shape == (12, 17, 3)
    for length in range(132, len(data)):
        assert refusal(data[:length]).reason in {"truncated", "unreadable", "unsupported_format"}


def test_the_size_is_told_from_the_header_alone() -> None:
    assert oriented_size(dicom(picture()), max_pixels=MAX_PIXELS) == (17, 12)


# What is not told


def test_nothing_of_the_patient_is_told_whatever_is_wrong(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Text of the patient where a code or a number belongs must not be repeated either."""
    codes = ("PhotometricInterpretation", "VOILUTFunction", "WindowCenter", "RescaleSlope")
    good = dicom(picture()[..., 0], **DEEP | {"Rows": 6, "VOILUTFunction": "LINEAR"})
    files = [good, good[:-9]]
    for name in codes:
        dataset = pydicom.dcmread(io.BytesIO(good))
        dataset.WindowWidth, dataset.WindowCenter = "10", "10"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset.add_new(name, "LO", PHI)
            buffer = io.BytesIO()
            dataset.save_as(buffer)
        files.append(buffer.getvalue())
    told = []
    with caplog.at_level(logging.DEBUG), warnings.catch_warnings(record=True) as warned:
        for data in files:
            try:
                decode(data, max_pixels=MAX_PIXELS)
            except ImageError as error:
                told += [str(error), repr(error.__cause__), repr(error.__suppress_context__)]
    assert len(told) >= 3 * len(codes)
    told += [caplog.text, *(str(warning.message) for warning in warned), *capfd.readouterr()]
    assert not [text for text in told if "DOE" in text or "1950" in text]
