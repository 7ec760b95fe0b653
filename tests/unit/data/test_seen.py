"""Recognising pictures by hashes alone."""

import dataclasses
import hashlib
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageEnhance
from scipy.ndimage import gaussian_filter

from skin_lesion.data.duplicates import padded_content
from skin_lesion.data.image_array import ImageArray
from skin_lesion.data.images import PixelSpec, read_pixels
from skin_lesion.data.ingest import ingest
from skin_lesion.data.manifest import Manifest, Provenance
from skin_lesion.data.seen import (
    HASH_BITS,
    SeenPictures,
    checksum_bytes,
    coefficients,
    pack,
    turned,
)
from skin_lesion.data.split_table import LeakReport, SplitTable
from skin_lesion.settings import ExternalConfig, IngestConfig, ResizeMode, SourceConfig

LIMIT = ExternalConfig().max_hash_distance
SOURCE = (150, 200)
LEAKS = LeakReport(
    groups_crossing=0, duplicates_crossing=0, merged_pairs=0, unmerged_pairs=0, images={}, groups={},
    class_counts={}, class_share_deviation={},
)  # fmt: skip


def spec(mode: ResizeMode = "stretch") -> PixelSpec:
    return PixelSpec(96, 128, mode, *SOURCE)


def skin(seed: int) -> Image.Image:
    """A dark spot in the middle of uneven skin, as in most pictures of a dermatoscope."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[: SOURCE[0], : SOURCE[1]]
    spot = np.hypot((y - 75) / 30, (x - 100) / 36)[..., None] < 1
    texture = sum(
        gaussian_filter(random.normal(0, 1, SOURCE), width)[..., None] * width
        for width in (3, 9, 20)
    )
    return Image.fromarray(
        np.clip(np.where(spot, 90, 190) + 18 * texture, 0, 255).astype(np.uint8).repeat(3, axis=2)
    )


def encoded(picture: Image.Image, kind: str = "PNG", **how: int) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **how)
    return buffer.getvalue()


def world(folder: Path, files: list[bytes], mode: ResizeMode = "stretch") -> SeenPictures:
    """Every third file is validation, every fourth is test."""
    pixels = np.stack([read_pixels(data, spec(mode)) for data in files])
    np.save(folder / "images.npy", pixels)
    sides = [Image.open(io.BytesIO(data)).size for data in files]
    table = pd.DataFrame(
        {
            "sha256": [hashlib.sha256(data).hexdigest() for data in files],
            "width": [width for width, _ in sides],
            "height": [height for _, height in sides],
        }
    )
    provenance = Provenance(
        kind="local", name="somewhere", licence="x", citation="x", synthetic=False,
        source_height=SOURCE[0], source_width=SOURCE[1], resize_mode=mode,
    )  # fmt: skip
    splits = ["test" if i % 4 == 3 else "val" if i % 3 == 2 else "train" for i in range(len(files))]
    return SeenPictures.of(
        Manifest(table, pd.DataFrame(), provenance),
        ImageArray(folder / "images.npy", pixels.shape, "0" * 64),
        SplitTable(pd.DataFrame({"split": splits}), LEAKS),
    )


def asked(
    files: list[bytes], mode: ResizeMode = "stretch"
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    pixels = np.stack([read_pixels(data, spec(mode)) for data in files])
    sides = np.array([Image.open(io.BytesIO(data)).size for data in files])
    boxes = padded_content(sides, 96, 128) if mode == "pad" else None
    checksums = checksum_bytes([hashlib.sha256(data).hexdigest() for data in files])
    return checksums, coefficients(pixels, np.arange(len(files)), boxes)


COPIES: dict[str, Callable[[Image.Image], bytes]] = {
    "saved anew": lambda p: encoded(p, "JPEG", quality=60),
    "half the size": lambda p: encoded(p.resize((100, 75)), "JPEG", quality=90),
    "three times the size": lambda p: encoded(p.resize((600, 450))),
    "squared": lambda p: encoded(p.resize((224, 224))),
    "mirrored": lambda p: encoded(p.transpose(Image.Transpose.FLIP_LEFT_RIGHT)),
    "upside down": lambda p: encoded(p.transpose(Image.Transpose.FLIP_TOP_BOTTOM)),
    "turned": lambda p: encoded(p.transpose(Image.Transpose.ROTATE_90), "JPEG", quality=85),
    "turned back": lambda p: encoded(p.transpose(Image.Transpose.ROTATE_270)),
    "transverse": lambda p: encoded(p.transpose(Image.Transpose.TRANSVERSE)),
    "darker": lambda p: encoded(ImageEnhance.Brightness(p).enhance(0.75)),
    "grey": lambda p: encoded(p.convert("L")),
}


@pytest.mark.parametrize("mode", ["stretch", "pad"])
@pytest.mark.parametrize("change", COPIES)
def test_a_copy_is_recognised(change: str, mode: ResizeMode, tmp_path: Path) -> None:
    pictures = [skin(seed) for seed in range(8)]
    seen = world(tmp_path, [encoded(picture) for picture in pictures], mode)
    files = [COPIES[change](pictures[row]) for row in (0, 2)]
    found = seen.match(*asked(files, mode))
    assert not found.exact.any()
    assert found.distance.max() <= LIMIT
    assert found.split == ("train", "val")


@pytest.mark.parametrize("mode", ["stretch", "pad"])
def test_a_stranger_is_not_recognised(mode: ResizeMode, tmp_path: Path) -> None:
    seen = world(tmp_path, [encoded(skin(seed)) for seed in range(20)], mode)
    found = seen.match(*asked([encoded(skin(seed)) for seed in range(100, 120)], mode))
    assert not found.exact.any()
    assert found.distance.min() > LIMIT


def test_the_very_file_is_recognised_as_such(tmp_path: Path) -> None:
    files = [encoded(skin(seed)) for seed in range(8)]
    found = world(tmp_path, files).match(*asked(files[:3]))
    assert found.exact.all()
    assert found.distance.tolist() == [0, 0, 0]
    assert found.split == ("train", "train", "val")


def test_the_test_split_counts_as_unseen(tmp_path: Path) -> None:
    files = [encoded(skin(seed)) for seed in range(8)]
    seen = world(tmp_path, files)
    assert len(seen) == 6
    found = seen.match(*asked([files[3], files[7]]))
    assert not found.exact.any()
    assert found.distance.min() > LIMIT


def test_turns_are_those_of_the_picture() -> None:
    """The hash of a turned picture follows from that of the picture, without looking again."""
    square = skin(1).crop((25, 0, 175, 150)).resize((64, 64))
    operations = [
        [], ["FLIP_LEFT_RIGHT"], ["FLIP_TOP_BOTTOM"], ["FLIP_LEFT_RIGHT", "FLIP_TOP_BOTTOM"],
    ]  # fmt: skip
    spectrum = coefficients(np.asarray(square)[None], np.array([0]))
    for swap in (0, 4):
        for turn, steps in enumerate(operations):
            picture = square.transpose(Image.Transpose.TRANSPOSE) if swap else square
            for step in steps:
                picture = picture.transpose(Image.Transpose[step])
            own = coefficients(np.asarray(picture)[None], np.array([0]))
            distance = np.bitwise_count(pack(own) ^ pack(turned(spectrum, swap + turn))).sum()
            assert distance <= 2  # rounding of the thumbnail


def test_blank_pictures_are_all_alike_and_like_nothing_else(tmp_path: Path) -> None:
    blank = [encoded(Image.new("RGB", (200, 150), (grey, grey, grey))) for grey in (0, 128, 255)]
    seen = world(tmp_path, [*blank[:2], *(encoded(skin(seed)) for seed in range(6))])
    found = seen.match(*asked([blank[2], encoded(skin(50))]))
    assert found.distance[0] == 0
    assert found.distance[1] > LIMIT


def test_what_is_saved_is_read_again_byte_for_byte(tmp_path: Path) -> None:
    seen = world(tmp_path, [encoded(skin(seed)) for seed in range(8)])
    seen.save(tmp_path / "seen.npz")
    seen.save(tmp_path / "again.npz")
    assert (tmp_path / "seen.npz").read_bytes() == (tmp_path / "again.npz").read_bytes()
    found = SeenPictures.load(tmp_path / "seen.npz")
    assert found.data == "somewhere"
    for name in ("checksums", "hashes", "splits"):
        np.testing.assert_array_equal(getattr(found, name), getattr(seen, name))


def test_it_holds_hashes_and_nothing_that_names_a_picture(tmp_path: Path) -> None:
    seen = world(tmp_path, [encoded(skin(seed)) for seed in range(8)])
    assert {field.name for field in dataclasses.fields(seen)} == {
        "data", "checksums", "hashes", "splits",
    }  # fmt: skip
    assert seen.checksums.shape == seen.hashes.shape == (6, 32)
    assert HASH_BITS == 255
    rows = [bytes(row) for row in seen.checksums]
    assert rows == sorted(rows)  # the order of the file tells nothing of the order of the names


@pytest.mark.parametrize(
    "change",
    [
        {"hashes": np.zeros((6, 31), np.uint8)},
        {"hashes": np.zeros((6, 32), np.float32)},
        {"hashes": np.zeros((5, 32), np.uint8)},
        {"splits": np.full(6, 2, np.uint8)},
        {"splits": np.zeros(0, np.uint8)},
        {"splits": np.uint8(1)},
        {"data": np.zeros(3)},
        {"extra": np.zeros(3)},
        {"splits": None},
    ],
)
def test_a_file_that_is_no_such_list_is_refused(
    change: dict[str, NDArray[np.uint8] | None], tmp_path: Path
) -> None:
    world(tmp_path, [encoded(skin(seed)) for seed in range(8)]).save(tmp_path / "seen.npz")
    with np.load(tmp_path / "seen.npz") as file:
        arrays = {name: file[name] for name in file.files} | change
    kept = {name: array for name, array in arrays.items() if array is not None}
    np.savez(tmp_path / "seen.npz", **kept)
    with pytest.raises(ValueError, match=r"seen\.npz holds .*evaluate the model anew"):
        SeenPictures.load(tmp_path / "seen.npz")


def test_a_broken_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "seen.npz"
    world(tmp_path, [encoded(skin(seed)) for seed in range(8)]).save(path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ValueError, match="no list of seen pictures"):
        SeenPictures.load(path)
    np.save(tmp_path / "array.npy", np.zeros(3))
    with pytest.raises(ValueError, match="no list of seen pictures"):
        SeenPictures.load(tmp_path / "array.npy")
    with pytest.raises(FileNotFoundError):
        SeenPictures.load(tmp_path / "nowhere.npz")


# One lesion under two ids, as `duplicates` finds by aligning their pixels.
TWINS = {"ISIC_0025226", "ISIC_0030074"}


@pytest.mark.slow
@pytest.mark.real_data
def test_no_picture_of_ham10000_counts_as_a_copy_of_another_lesions_and_copies_do(
    ham10000_path: Path, tmp_path: Path
) -> None:
    source = SourceConfig(kind="local", path=str(ham10000_path))
    result = ingest(source, (96, 128), IngestConfig(), 0, tmp_path)
    table = result.manifest.images
    rows = np.arange(len(table))
    spectra = coefficients(result.images.open(), rows)
    lesions = np.unique(table["lesion_id"], return_inverse=True)[1]
    nothing = np.zeros((len(rows), 32), np.uint8)
    alarms: set[str] = set()
    # Each bit of the lesions' numbers halves them in another way: all but a few pairs meet.
    for bit in range(4):
        seen = (lesions >> bit) & 1 == 1
        known = SeenPictures("x", nothing[seen], pack(spectra[seen]), nothing[seen, 0])
        found = known.match(np.full((int((~seen).sum()), 32), 1, np.uint8), spectra[~seen])
        alarms |= set(table["image_id"][~seen][found.distance <= LIMIT])
    assert alarms <= TWINS
    everything = SeenPictures("x", nothing, pack(spectra), nothing[:, 0])
    with zipfile.ZipFile(ham10000_path) as archive:
        names = {Path(name).stem: name for name in archive.namelist()}
        chosen = [
            Image.open(io.BytesIO(archive.read(names[name]))) for name in table["image_id"][::67]
        ]
    for change, copy in COPIES.items():
        found = everything.match(*asked([copy(picture) for picture in chosen]))
        assert (found.distance <= LIMIT).mean() >= 0.99, change
