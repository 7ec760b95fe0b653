"""A thousand bad pictures through the whole Predictor: no crash, no wrong answer, nothing told.

What a file may do to the one path of pictures is tested piece by piece beside `data/images.py` and
`data/dicom.py`; here everything comes at once, as from a stranger.
"""

import io
import json
import logging
import random
import struct
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pydicom
import pytest
from PIL import ExifTags, Image
from pydicom import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEGBaseline8Bit, RLELossless

from skin_lesion.data.images import ImageError, PixelSpec, read_pixels
from skin_lesion.decisions import Limits
from skin_lesion.inference import PREDICTED, Predictor
from skin_lesion.labels import LABELS
from skin_lesion.modeling.bundle import ModelBundle
from skin_lesion.prediction import Prediction
from skin_lesion.prediction_table import frame, nested

SEED = 2026
SPEC = PixelSpec(24, 32, "stretch", 150, 200)
PHI = "DOE^JANE-19471231"
# Any spelling in which a part of it could come out.
TOLD = ("DOE", "JANE", "19471231")
# What makes a picture that is stored turned upright, by EXIF orientation.
TURNS = {
    1: (), 2: (Image.Transpose.FLIP_LEFT_RIGHT,), 3: (Image.Transpose.ROTATE_180,),
    4: (Image.Transpose.FLIP_TOP_BOTTOM,), 5: (Image.Transpose.TRANSPOSE,),
    6: (Image.Transpose.ROTATE_90,), 7: (Image.Transpose.TRANSVERSE,),
    8: (Image.Transpose.ROTATE_270,),
}  # fmt: skip


@dataclass(frozen=True)
class Hostile:
    """One input and what may come of it.

    Attributes:
        name: For messages.
        data: The bytes.
        readable: Whether it has to be read (True) or must not be (False); None leaves it open.
        like: Bytes of the good picture that it has to read equal to.
        slack: Largest mean difference in grey levels from that.
    """

    name: str
    data: bytes
    readable: bool | None = None
    like: bytes | None = None
    slack: float = 0.0


@pytest.fixture(scope="module")
def predictor(small_world, small_report, tmp_path_factory) -> Predictor:
    """With every decision in force but the shortest side, which the small pictures fall short of."""
    decisions = small_report.summary.decisions
    lenient = decisions.model_copy(
        update={"quality": {**decisions.quality, "short_side": Limits()}}
    )
    target = tmp_path_factory.mktemp("hostile") / "bundle"
    bundle = small_world.bundle.with_decisions(lenient, small_report.bundle_files, target)
    return Predictor(ModelBundle.open(bundle.path))


@pytest.fixture(scope="module")
def inputs(small_world) -> list[Hostile]:
    # One that the model answers, in the colours of its training pictures.
    picture = Image.fromarray(small_world.images.open()[int(small_world.split.indices("train")[0])])
    return list(hostile_inputs(picture, random.Random(SEED)))


@pytest.fixture(scope="module")
def judged(predictor: Predictor, inputs: list[Hostile]) -> tuple[list[Prediction], str]:
    """The answers, and all that was said meanwhile on any channel."""
    said = io.StringIO()
    handler = logging.StreamHandler(said)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            answers = predictor.predict([each.data for each in inputs], heat_map_of=PREDICTED)
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    said.writelines(f"{warning.message}\n" for warning in warned)
    return answers, said.getvalue()


def test_there_are_a_thousand_inputs_of_every_kind(inputs: list[Hostile]) -> None:
    assert len(inputs) >= 1000
    assert len({each.data for each in inputs}) > 950
    kinds = {word for each in inputs for word in each.name.split(" ")}
    assert kinds >= {
        "good", "turned", "cut", "flipped", "bomb", "no", "deep", "cmyk", "palette", "alpha",
        "animated", "patient", "spliced",
    }  # fmt: skip


def test_every_input_gets_an_answer_that_is_whole(
    inputs: list[Hostile], judged: tuple[list[Prediction], str]
) -> None:
    answers, _ = judged
    assert len(answers) == len(inputs)
    assert len({answer.status for answer in answers}) == 3
    for each, answer in zip(inputs, answers, strict=True):
        if answer.status == "ok":
            assert set(answer.probabilities) == set(LABELS), each.name
            assert sum(answer.probabilities.values()) == pytest.approx(1.0), each.name
            assert answer.heat_map is not None
            assert np.isfinite(answer.heat_map.heat).all()
        else:
            assert answer.reason, each.name
            assert answer.probabilities is answer.prediction is answer.heat_map is None
    assert len(frame(answers)) == len(inputs)


def test_what_must_not_be_read_never_is(
    inputs: list[Hostile], judged: tuple[list[Prediction], str]
) -> None:
    wrong = [
        (each.name, answer.status)
        for each, answer in zip(inputs, judged[0], strict=True)
        if each.readable is False and answer.status != "unreadable"
    ]
    assert not wrong


def test_what_has_to_be_read_is(
    inputs: list[Hostile], judged: tuple[list[Prediction], str]
) -> None:
    wrong = [
        (each.name, answer.reason)
        for each, answer in zip(inputs, judged[0], strict=True)
        if each.readable and answer.status == "unreadable"
    ]
    assert not wrong


def test_the_same_picture_in_another_dress_is_the_same_input(inputs: list[Hostile]) -> None:
    compared = [each for each in inputs if each.like is not None]
    assert len(compared) >= 60
    for each in compared:
        difference = np.abs(
            read_pixels(each.data, SPEC).astype(float) - read_pixels(each.like or b"", SPEC)
        ).mean()
        assert difference <= each.slack, each.name


def test_the_same_pixels_get_the_same_answer_whatever_holds_them(
    inputs: list[Hostile], judged: tuple[list[Prediction], str]
) -> None:
    answers = dict(zip((each.data for each in inputs), judged[0], strict=True))
    plain = next(each.like for each in inputs if each.name == "good png")
    expected = answers[plain]
    assert expected.status == "ok"
    same = [each for each in inputs if each.like == plain and each.slack == 0]
    assert len(same) >= 30
    for each in same:
        answer = answers[each.data]
        assert (answer.status, answer.prediction) == ("ok", expected.prediction), each.name
        assert answer.probabilities == pytest.approx(expected.probabilities, abs=1e-5), each.name


def test_an_input_is_judged_the_same_alone_and_in_company(
    predictor: Predictor, inputs: list[Hostile], judged: tuple[list[Prediction], str]
) -> None:
    for i in random.Random(SEED).sample(range(len(inputs)), 40):
        alone, beside = predictor.predict([inputs[i].data])[0], judged[0][i]
        assert (alone.status, alone.reason) == (beside.status, beside.reason), inputs[i].name


def test_nothing_of_the_patient_is_told_on_any_channel(
    inputs: list[Hostile], judged: tuple[list[Prediction], str]
) -> None:
    answers, said = judged
    assert sum(PHI.encode() in each.data for each in inputs) > 150
    texts = [json.dumps(nested(answer)) for answer in answers]
    for each in inputs:
        try:
            read_pixels(each.data, SPEC)
        except ImageError as error:
            chain: BaseException | None = error
            while chain is not None:
                texts.append(str(chain))
                chain = chain.__cause__ or (
                    None if chain.__suppress_context__ else chain.__context__
                )
    told = [text[:200] for text in (*texts, *said.splitlines()) if any(t in text for t in TOLD)]
    assert not told


# The inputs


def hostile_inputs(picture: Image.Image, dice: random.Random) -> Iterator[Hostile]:
    good = {
        "jpeg": encoded(picture, "JPEG", quality=95, subsampling=0),
        "progressive": encoded(picture, "JPEG", progressive=True, quality=95, subsampling=0),
        "png": encoded(picture, "PNG"),
        "tiff": encoded(picture, "TIFF"),
        "lzw": encoded(picture, "TIFF", compression="tiff_lzw"),
        "webp": encoded(picture, "WEBP", quality=90),
        "lossless": encoded(picture, "WEBP", lossless=True),
        "bmp": encoded(picture, "BMP"),
        **{f"patient {name}": data for name, data in of_patients(picture).items()},
    }
    exact = {"tiff", "lzw", "lossless", "bmp", "patient native", "patient rle"}
    for name, data in good.items():
        slack = 0.0 if name in exact else 10.0
        yield Hostile(f"good {name}", data, True, good["png"], slack)
    yield from turned(picture, good["png"])
    yield from dressed(picture, good["png"])
    yield from (Hostile(f"bomb {name}", data, False) for name, data in bombs(dice))
    yield from (Hostile(f"no {name}", data, False) for name, data in no_pictures(dice))
    for name, data in good.items():
        for _ in range(26):
            yield Hostile(f"cut {name}", data[: dice.randrange(len(data))], False)
        for cut in (1, 2, 3, 8):
            yield Hostile(f"cut {name} at its end", data[:-cut], False)
        for _ in range(42):
            yield Hostile(f"flipped {name}", flipped(data, dice))
    for _ in range(120):
        one, other = dice.sample(sorted(good.values()), 2)
        head, tail = dice.randrange(len(one)), dice.randrange(len(other))
        yield Hostile("spliced", one[:head] + other[tail:])


def encoded(image: Image.Image, file_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def turned(picture: Image.Image, upright: bytes) -> Iterator[Hostile]:
    """All eight orientations in every format that can carry one."""
    for orientation, turns in TURNS.items():
        stored = picture
        for turn in turns:
            stored = stored.transpose(turn)
        tags = Image.Exif()
        tags[ExifTags.Base.Orientation] = orientation
        tags[ExifTags.Base.Artist] = PHI
        for file_format in ("JPEG", "PNG", "WEBP", "TIFF"):
            options: dict[str, object] = (
                {"quality": 95, "subsampling": 0} if file_format == "JPEG" else {}
            )
            if file_format == "WEBP":
                options = {"lossless": True}
            data = encoded(stored, file_format, exif=tags, **options)
            slack = 6.0 if file_format == "JPEG" else 0.0
            yield Hostile(f"turned {file_format} {orientation}", data, True, upright, slack)
    for orientation in (0, 9, 65535):
        tags = Image.Exif()
        tags[ExifTags.Base.Orientation] = orientation
        yield Hostile(
            f"turned PNG {orientation}", encoded(picture, "PNG", exif=tags), True, upright
        )


def dressed(picture: Image.Image, plain: bytes) -> Iterator[Hostile]:
    """The picture in other modes: the same where they can show it, else at least read."""
    grey = picture.convert("L")
    wide = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    yield Hostile("deep grey", encoded(wide, "PNG"), True, encoded(grey, "PNG"))
    yield Hostile("deep grey tiff", encoded(wide, "TIFF"), True, encoded(grey, "PNG"))
    yield Hostile("deep float", encoded(grey.convert("F"), "TIFF"), False)
    for file_format in ("JPEG", "TIFF"):
        yield Hostile(
            f"cmyk {file_format}", encoded(picture.convert("CMYK"), file_format), True, plain, 10.0
        )
    indexed = picture.quantize(256)
    for file_format in ("PNG", "TIFF", "BMP"):
        yield Hostile(
            f"palette {file_format}", encoded(indexed, file_format), True,
            encoded(indexed.convert("RGB"), "PNG"),
        )  # fmt: skip
    opaque = picture.convert("RGBA")
    see_through = Image.merge("RGBA", (*picture.split(), Image.new("L", picture.size)))
    white = encoded(Image.new("RGB", picture.size, "white"), "PNG")
    for file_format in ("PNG", "TIFF"):
        yield Hostile(f"alpha opaque {file_format}", encoded(opaque, file_format), True, plain)
        yield Hostile(f"alpha none {file_format}", encoded(see_through, file_format), True, white)
    yield Hostile("alpha grey", encoded(picture.convert("LA"), "PNG"), True, encoded(grey, "PNG"))
    other = [Image.new("RGB", picture.size, "green")]
    for file_format in ("PNG", "TIFF", "WEBP"):
        data = encoded(
            picture, file_format, save_all=True, append_images=other,
            **({"lossless": True} if file_format == "WEBP" else {}),
        )  # fmt: skip
        yield Hostile(f"animated {file_format}", data, True, plain)
    yield Hostile("animated GIF", encoded(picture, "GIF", save_all=True), False)
    for mode in ("1", "L"):
        yield Hostile(f"palette of two {mode}", encoded(picture.convert(mode), "PNG"), True)
    yield Hostile("good with something behind it", plain + b"PK\x03\x04" * 99, True, plain)


def of_patients(picture: Image.Image) -> dict[str, bytes]:
    """DICOM files with a name in every place that has one."""
    jpeg = encoded(picture, "JPEG", quality=95, subsampling=0)
    native = dicom(picture, np.asarray(picture).tobytes(), ExplicitVRLittleEndian, "RGB")
    dataset = pydicom.dcmread(io.BytesIO(native))
    dataset.compress(RLELossless, generate_instance_uid=False)
    buffer = io.BytesIO()
    dataset.save_as(buffer)
    return {
        "native": native,
        "jpeg": dicom(picture, encapsulate([jpeg]), JPEGBaseline8Bit, "YBR_FULL_422"),
        "rle": buffer.getvalue(),
    }


def dicom(picture: Image.Image, pixels: bytes, syntax: UID, photometric: str) -> bytes:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.77.1.4.1", "1.2.3.4"
    for name in ("PatientName", "PatientID", "InstitutionName", "StudyDescription"):
        setattr(dataset, name, PHI)
    dataset.PatientBirthDate, dataset.ImageComments = "19471231", PHI
    dataset.Columns, dataset.Rows = picture.size
    dataset.SamplesPerPixel, dataset.PlanarConfiguration = 3, 0
    dataset.PhotometricInterpretation = photometric
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    dataset.LossyImageCompressionMethod = PHI[:16]  # right beside what describes the pixels
    dataset.PixelData = pixels
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = syntax != ExplicitVRLittleEndian
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def bombs(dice: random.Random) -> Iterator[tuple[str, bytes]]:
    """A few bytes that declare many pixels, in formats of every kind."""
    for _ in range(20):
        width = dice.randrange(20_000, 2**31)
        head = struct.pack(">IIBBBBB", width, dice.randrange(20_000, 2**31), 8, 2, 0, 0, 0)
        body = zlib.compress(bytes(10_000))
        yield (
            "png",
            b"\x89PNG\r\n\x1a\n"
            + chunk(b"IHDR", head)
            + chunk(b"IDAT", body)
            + chunk(b"IEND", b""),
        )
    small = Image.new("RGB", (16, 16))
    bmp = bytearray(encoded(small, "BMP"))
    bmp[18:26] = struct.pack("<ii", 40_000, 40_000)
    yield "bmp", bytes(bmp)
    jpeg = encoded(small, "JPEG")
    frame_header = jpeg.index(b"\xff\xc0")
    yield "jpeg", jpeg[: frame_header + 5] + b"\xff\xff\xff\xff" + jpeg[frame_header + 9 :]
    native = dicom(small, bytes(16 * 16 * 3), ExplicitVRLittleEndian, "RGB")
    rows = native.index(b"\x28\x00\x10\x00US\x02\x00") + 8
    columns = native.index(b"\x28\x00\x11\x00US\x02\x00") + 8
    huge = bytearray(native)
    huge[rows : rows + 2] = huge[columns : columns + 2] = b"\xff\xff"
    yield "dicom", bytes(huge)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def no_pictures(dice: random.Random) -> Iterator[tuple[str, bytes]]:
    yield "bytes", b""
    for head in (
        b"",
        b"\xff\xd8\xff\xe0",
        b"\x89PNG\r\n\x1a\n",
        b"II*\0",
        b"RIFF\0\0\0\0WEBP",
        b"BM",
        bytes(128) + b"DICM",
    ):
        for length in (1, 30, 5000):
            yield "format", head + dice.randbytes(length)
    yield "text", f"{PHI};1947;face".encode()
    yield "page", b"<!DOCTYPE html><title>404</title>"
    yield "archive", b"PK\x03\x04" + dice.randbytes(500)
    yield "document", b"%PDF-1.7\n" + dice.randbytes(500)
    yield "program", b"\x7fELF" + dice.randbytes(500)
    yield (
        "vector",
        b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
    )


def flipped(data: bytes, dice: random.Random) -> bytes:
    """Some bytes changed, mostly in the header, where they do most."""
    changed = bytearray(data)
    for _ in range(dice.choice((1, 1, 3, 10))):
        reach = len(data) if dice.random() < 0.3 else min(len(data), 1200)
        changed[dice.randrange(reach)] = dice.randrange(256)
    return bytes(changed)
