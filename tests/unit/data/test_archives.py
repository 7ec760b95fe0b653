"""A zip is never trusted."""

import stat
import struct
import zipfile
from pathlib import Path

import pytest

from skin_lesion.data import archives
from skin_lesion.data.archives import FileEntry, Reader, SourceError, ZipEntry, list_zip
from skin_lesion.data.images import ImageError

LIMIT = 2**20


def write_zip(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data, compress_type=method)
    return path


def reason_of(entry: ZipEntry | FileEntry, max_file_bytes: int = LIMIT) -> str:
    with Reader(max_file_bytes) as reader, pytest.raises(ImageError) as caught:
        reader.read(entry)
    return caught.value.reason


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_members_are_read_as_they_were_written(tmp_path: Path, method: int) -> None:
    members = {"a/one.jpg": b"1" * 500, "two.jpg": bytes(range(256)) * 9, "empty.jpg": b""}
    path = write_zip(tmp_path / "data.zip", members, method)
    with Reader(LIMIT) as reader:
        entries = list_zip(path, max_archive_bytes=LIMIT)
        assert {entry.name: reader.read(entry) for entry in entries} == members


def test_reading_extracts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = write_zip(tmp_path / "data.zip", {"folder/one.jpg": b"1"})
    with Reader(LIMIT) as reader:
        reader.read(list_zip(path, max_archive_bytes=LIMIT)[0])
    assert [file.name for file in tmp_path.rglob("*")] == ["data.zip"]


@pytest.mark.parametrize(
    "name",
    [
        "../evil.jpg",
        "a/../../evil.jpg",
        "/etc/evil.jpg",
        "..",
        "C:/evil.jpg",
        "C:\\evil.jpg",
        "..\\evil.jpg",
        "a\\b.jpg",
    ],
)
def test_a_name_that_leads_outside_is_refused(tmp_path: Path, name: str) -> None:
    path = write_zip(tmp_path / "slip.zip", {"good.jpg": b"1", name: b"2"})
    with pytest.raises(SourceError, match="leads outside"):
        list_zip(path, max_archive_bytes=LIMIT)


def test_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link.jpg")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(SourceError, match="symbolic link"):
        list_zip(tmp_path / "link.zip", max_archive_bytes=LIMIT)


def test_a_name_that_occurs_twice_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "twice.zip", "w") as archive:
        archive.writestr("one.jpg", b"1")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("one.jpg", b"2")
    with pytest.raises(SourceError, match="twice"):
        list_zip(tmp_path / "twice.zip", max_archive_bytes=LIMIT)


def test_an_encrypted_member_is_refused(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "locked.zip", {"one.jpg": b"1"})
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(SourceError, match="encrypted"):
        list_zip(path, max_archive_bytes=LIMIT)


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "large.zip", {"a": b"1" * 600, "b": b"2" * 600})
    assert len(list_zip(path, max_archive_bytes=1200)) == 2
    with pytest.raises(SourceError, match="1200 bytes; at most 1199"):
        list_zip(path, max_archive_bytes=1199)


def test_a_file_that_is_no_zip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "page.zip"
    path.write_bytes(b"<html>please log in</html>")
    with pytest.raises(SourceError, match="not a readable zip"):
        list_zip(path, max_archive_bytes=LIMIT)


def test_a_cut_zip_is_refused(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "cut.zip", {"one.jpg": b"1" * 5000})
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(SourceError, match="not a readable zip"):
        list_zip(path, max_archive_bytes=LIMIT)


def test_a_member_that_unpacks_absurdly_well_is_a_bomb(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "bomb.zip", {"one.jpg": bytes(2**22)}, zipfile.ZIP_DEFLATED)
    (entry,) = list_zip(path, max_archive_bytes=2**30)
    assert reason_of(entry, max_file_bytes=2**30) == "bomb"


def test_a_member_that_declares_less_than_it_unpacks_to_is_cut_short(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "lie.zip", {"one.jpg": bytes(2**20)}, zipfile.ZIP_DEFLATED)
    data = bytearray(path.read_bytes())
    directory = data.index(b"PK\x01\x02")
    data[directory + 24 : directory + 28] = struct.pack("<I", 100)
    path.write_bytes(data)
    (entry,) = list_zip(path, max_archive_bytes=LIMIT)
    assert entry.size == 100
    assert reason_of(entry) == "unreadable"


def test_a_too_large_file_is_refused_unread(tmp_path: Path) -> None:
    (entry,) = list_zip(
        write_zip(tmp_path / "data.zip", {"one.jpg": b"1" * 101}), max_archive_bytes=LIMIT
    )
    assert reason_of(entry, max_file_bytes=100) == "too_large"
    assert reason_of(FileEntry("/nowhere/one.jpg", "one.jpg", 101), 100) == "too_large"


def test_a_member_that_takes_more_than_it_may_hold_is_refused_unread(tmp_path: Path) -> None:
    """Its directory declares a small picture and a huge packed one: both have to be bounded."""
    packed = 100 + 2**16
    path = tmp_path / "gone.zip"
    assert reason_of(ZipEntry(str(path), "a.jpg", 0, packed + 1, 50, 8, 0), 100) == "too_large"
    path.write_bytes(b"")
    assert reason_of(ZipEntry(str(path), "a.jpg", 0, packed, 50, 8, 0), 100) == "unreadable"


def test_more_members_than_any_data_set_has_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_zip(tmp_path / "many.zip", {f"{number}.jpg": b"" for number in range(11)})
    monkeypatch.setattr(archives, "_MAX_MEMBERS", 11)
    assert len(list_zip(path, max_archive_bytes=LIMIT)) == 11
    monkeypatch.setattr(archives, "_MAX_MEMBERS", 10)
    with pytest.raises(SourceError, match="11 members; at most 10"):
        list_zip(path, max_archive_bytes=LIMIT)


def test_a_directory_too_large_for_memory_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_zip(tmp_path / "many.zip", {f"{number:0100}.jpg": b"" for number in range(11)})
    monkeypatch.setattr(archives, "_MAX_DIRECTORY_BYTES", 11 * (46 + 104))
    assert len(list_zip(path, max_archive_bytes=LIMIT)) == 11
    monkeypatch.setattr(archives, "_MAX_DIRECTORY_BYTES", 11 * (46 + 104) - 1)
    with pytest.raises(SourceError, match="directory takes 1650 bytes; at most 1649"):
        list_zip(path, max_archive_bytes=LIMIT)


def test_damaged_bytes_are_noticed_by_their_checksum(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "data.zip", {"one.jpg": b"1" * 100})
    data = bytearray(path.read_bytes())
    data[data.index(b"1111") + 50] = 0
    path.write_bytes(data)
    (entry,) = list_zip(path, max_archive_bytes=LIMIT)
    assert reason_of(entry) == "unreadable"


def test_a_damaged_deflate_stream_is_unreadable(tmp_path: Path) -> None:
    path = write_zip(
        tmp_path / "data.zip", {"one.jpg": bytes(range(256)) * 20}, zipfile.ZIP_DEFLATED
    )
    (entry,) = list_zip(path, max_archive_bytes=LIMIT)
    data = bytearray(path.read_bytes())
    data[40:60] = b"\xff" * 20
    path.write_bytes(data)
    assert reason_of(entry) == "unreadable"


def test_a_directory_that_points_elsewhere_is_unreadable(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "data.zip", {"one.jpg": b"1" * 100})
    assert reason_of(ZipEntry(str(path), "one.jpg", 7, 100, 100, 0, 0)) == "unreadable"
    assert reason_of(ZipEntry(str(path), "one.jpg", 0, 5000, 5000, 0, 0)) == "truncated"


def test_unusual_compression_is_refused(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "data.zip", {"one.jpg": b"1" * 100}, zipfile.ZIP_BZIP2)
    (entry,) = list_zip(path, max_archive_bytes=LIMIT)
    assert reason_of(entry) == "unreadable"


def test_closing_the_reader_closes_its_zips(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "data.zip", {"one.jpg": b"1"})
    with Reader(LIMIT) as reader:
        reader.read(list_zip(path, max_archive_bytes=LIMIT)[0])
        (opened,) = reader._archives.values()
    assert opened.closed
