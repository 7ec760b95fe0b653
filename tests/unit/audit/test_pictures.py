"""What is kept of pictures: nothing, and their bare pixels where that was asked for."""

import hashlib
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from skin_lesion.audit import AuditError, AuditLog
from skin_lesion.audit.pictures import path_of

SECRET = "Erika Mustermann"


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """Folder for pictures; not there yet."""
    return tmp_path / "kept" / "pictures"


def telling_jpeg(orientation: int = 1) -> bytes:
    """A picture that says more than it shows, in every way that JPEG has."""
    picture = Image.fromarray(
        np.arange(40 * 60 * 3, dtype=np.uint16).astype(np.uint8).reshape(40, 60, 3)
    )
    exif = Image.Exif()
    exif[0x013B] = SECRET  # artist
    exif[0x0112] = orientation
    file = BytesIO()
    picture.save(
        file, "JPEG", exif=exif, comment=SECRET.encode(), xmp=SECRET.encode(), quality=95,
        icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
    )  # fmt: skip
    return file.getvalue()


def telling_png() -> bytes:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Patient", SECRET)
    file = BytesIO()
    Image.new("RGBA", (30, 20), (200, 100, 50, 128)).save(file, "PNG", pnginfo=texts)
    return file.getvalue()


def test_no_picture_is_kept_unless_asked_for(sqlite_url: str, tmp_path: Path, entry) -> None:
    picture = telling_jpeg()
    log = AuditLog.open(sqlite_url)
    log.record(replace(entry(picture), picture=picture))
    assert {path.name for path in tmp_path.iterdir()} == {"audit.db"}
    assert SECRET.encode() not in (tmp_path / "audit.db").read_bytes()
    assert (tmp_path / "audit.db").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("picture", [telling_jpeg(), telling_png()], ids=["JPEG", "PNG"])
def test_of_a_kept_picture_the_pixels_are_kept_and_nothing_else(
    sqlite_url: str, kept: Path, entry, picture: bytes
) -> None:
    assert SECRET.encode() in picture
    row = AuditLog.open(sqlite_url, pictures=kept).record(replace(entry(picture), picture=picture))
    path = path_of(kept, row.image_sha256)
    assert [each for each in kept.rglob("*") if each.is_file()] == [path]
    assert path.stem == hashlib.sha256(picture).hexdigest()
    assert SECRET.encode() not in path.read_bytes()
    assert path.stat().st_mode & 0o077 == 0
    with Image.open(path) as image:
        assert (image.format, image.mode, image.info) == ("PNG", "RGB", {})
        assert not image.getexif()
        if picture[:4] == b"\xff\xd8\xff\xe0":
            original = np.asarray(Image.open(BytesIO(picture)))
            assert np.array_equal(np.asarray(image), original)


def test_a_kept_picture_is_upright(sqlite_url: str, kept: Path, entry) -> None:
    picture = telling_jpeg(orientation=6)
    row = AuditLog.open(sqlite_url, pictures=kept).record(replace(entry(picture), picture=picture))
    with Image.open(path_of(kept, row.image_sha256)) as image:
        assert image.size == (40, 60)


def test_a_picture_is_kept_once_and_may_be_removed(sqlite_url: str, kept: Path, entry) -> None:
    picture = telling_png()
    log = AuditLog.open(sqlite_url, pictures=kept)
    rows = log.record_all([replace(entry(picture), picture=picture) for _ in range(2)])
    path = path_of(kept, rows[0].image_sha256)
    before = path.stat().st_mtime_ns
    log.record(replace(entry(picture), picture=picture))
    assert path.stat().st_mtime_ns == before
    path.unlink()
    assert log.verify().sound


def test_bytes_that_are_no_picture_are_not_kept(sqlite_url: str, kept: Path, entry) -> None:
    log = AuditLog.open(sqlite_url, pictures=kept)
    given = entry(b"no picture", None, status="unreadable", reason="unsupported_format")
    assert log.record(replace(given, picture=b"no picture")).status == "unreadable"
    assert not kept.exists()


def test_only_the_picture_that_was_predicted_on_is_kept(sqlite_url: str, kept: Path, entry) -> None:
    log = AuditLog.open(sqlite_url, pictures=kept)
    with pytest.raises(ValueError, match="expected the very bytes that were predicted on"):
        log.record(replace(entry(b"another"), picture=telling_png()))
    assert log.head().rows == 0
    assert not kept.exists()


def test_a_picture_that_cannot_be_kept_is_told_and_nothing_is_recorded(
    sqlite_url: str, kept: Path, entry
) -> None:
    kept.parent.write_text("a file where the folder should be")
    picture = telling_png()
    log = AuditLog.open(sqlite_url, pictures=kept)
    with pytest.raises(AuditError, match=r"cannot be kept in .*Nothing was recorded"):
        log.record(replace(entry(picture), picture=picture))
    assert log.head().rows == 0
