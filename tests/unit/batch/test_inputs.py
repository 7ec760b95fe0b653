"""What is listed, in which order, and what makes it another listing."""

import os
import zipfile
from pathlib import Path

import pytest

from skin_lesion.batch.inputs import Input, list_inputs
from skin_lesion.data.archives import SourceError
from skin_lesion.settings import BatchConfig

CONFIG = BatchConfig()


def names(source: Path) -> list[str]:
    return [each.name for each in list_inputs(str(source), CONFIG).inputs]


def write_csv(folder: Path, text: str) -> Path:
    table = folder / "list.csv"
    table.write_bytes(text.encode())
    return table


def write_zip(path: Path, *members: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in members:
            archive.writestr(name, b"bytes of " + name.encode())
    return path


def test_a_folder_is_listed_by_name_without_what_is_no_picture(pictures: Path) -> None:
    for name in ("notes.txt", "._0.jpg", ".hidden.jpg", "jpg", "list.csv"):
        (pictures / name).write_bytes(b"x")
    (pictures / "SHOUTED.JPG").write_bytes(b"x")
    listing = list_inputs(str(pictures), CONFIG)
    expected = ["1.jpg", "2.jpg", "4.jpg", "5.jpg", "7.jpg", "8.jpg", "SHOUTED.JPG"]
    expected += ["b/0.jpg", "b/3.jpg", "b/6.jpg", "b/9.jpg"]
    assert [each.name for each in listing.inputs] == expected
    assert listing.left_out == 3  # hidden files are not even looked at


def test_a_zip_is_listed_by_name_without_what_is_no_picture(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "a.zip", "b/2.png", "1.jpg", "__MACOSX/._1.jpg", "read.me", "b/")
    listing = list_inputs(str(archive), CONFIG)
    assert [each.name for each in listing.inputs] == ["1.jpg", "b/2.png"]
    assert listing.left_out == 2


@pytest.mark.parametrize("name", ["../out.jpg", "/etc/out.jpg", "a/../../out.jpg"])
def test_a_zip_whose_names_lead_outside_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SourceError, match="leads outside"):
        list_inputs(str(write_zip(tmp_path / "a.zip", "1.jpg", name)), CONFIG)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_zip_with_one_name_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="twice"):
        list_inputs(str(write_zip(tmp_path / "a.zip", "1.jpg", "1.jpg")), CONFIG)


def test_a_zip_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "a.zip", "1.jpg", "2.jpg")
    with pytest.raises(SourceError, match="at most 20"):
        list_inputs(str(archive), BatchConfig(max_archive_bytes=20))


def test_a_csv_gives_one_input_for_each_line_in_order(pictures: Path, tmp_path: Path) -> None:
    """Repetitions and files that are not there included; other columns do not matter."""
    lines = ["id,Path", "7,pictures/2.jpg", f"8,{pictures / '1.jpg'}", "9,gone.jpg", "9,", "9"]
    table = write_csv(tmp_path, "\n".join([*lines, "", "7,pictures/2.jpg", ""]))
    listing = list_inputs(str(table), CONFIG)
    first, second, gone, empty, short, again = listing.inputs
    assert first == again
    assert first.name == "pictures/2.jpg"
    assert first.size == (pictures / "2.jpg").stat().st_size
    assert second.address == str(pictures / "1.jpg")
    assert [each.size for each in (gone, empty, short)] == [-1, -1, -1]


@pytest.mark.parametrize(
    "text", ["﻿file\r\na b.jpg\r\n", "file;n\na b.jpg;1\n", '"file"\n"a b.jpg"\n']
)
def test_csv_of_other_programs_is_understood(tmp_path: Path, text: str) -> None:
    assert names(write_csv(tmp_path, text)) == ["a b.jpg"]


def test_a_name_in_a_csv_may_hold_a_line_break(tmp_path: Path) -> None:
    (tmp_path / "a\nb.jpg").write_bytes(b"x")
    (each,) = list_inputs(str(write_csv(tmp_path, 'file\n"a\nb.jpg"\n')), CONFIG).inputs
    assert (each.name, each.size) == ("a\nb.jpg", 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("one,two\n1,2\n", "none of them names the picture"),
        ("", "none of them names the picture"),
        ("file\n", "holds no picture"),
        ("file\nhttps://example.org/1.jpg\n", "line 2.*neither a path nor an s3://"),
        ('file\n"open', "cannot be read as a CSV"),
    ],
)
def test_a_csv_that_names_nothing_is_refused_with_the_reason(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(SourceError, match=message):
        list_inputs(str(write_csv(tmp_path, text)), CONFIG)


def test_a_csv_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_bytes("file\nä.jpg\n".encode("latin-1"))
    with pytest.raises(SourceError, match="UTF-8"):
        list_inputs(str(tmp_path / "list.csv"), CONFIG)


def test_a_source_without_pictures_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(SourceError, match=r"holds no picture \(1 other files\)"):
        list_inputs(str(tmp_path), CONFIG)


@pytest.mark.parametrize("name", ["nothing", "one.jpg", "s3://"])
def test_what_is_no_source_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "one.jpg").touch()
    source = name if name.startswith("s3") else str(tmp_path / name)
    with pytest.raises(SourceError):
        list_inputs(source, CONFIG)


def test_names_that_are_no_unicode_are_listed_and_kept_apart(tmp_path: Path) -> None:
    raw = [os.path.join(os.fsencode(tmp_path), name) for name in (b"\xff.jpg", b"\xfe.jpg")]
    for path in raw:
        Path(os.fsdecode(path)).write_bytes(b"x")
    inputs = list_inputs(str(tmp_path), CONFIG).inputs
    assert [each.name for each in inputs] == ["\\xfe.jpg", "\\xff.jpg"]
    assert [os.fsencode(each.address) for each in inputs] == sorted(raw)
    for each in inputs:
        each.name.encode()
        assert Input.from_json(each.to_json()) == each
        assert each.to_json().isascii()


def test_linked_folders_count_and_loops_end(pictures: Path) -> None:
    (pictures / "loop").symlink_to(pictures)
    (pictures / "broken.jpg").symlink_to("nowhere")
    assert len(names(pictures)) == 10


def test_the_fingerprint_changes_when_a_picture_does(pictures: Path) -> None:
    def fingerprint() -> str:
        return list_inputs(str(pictures), CONFIG).fingerprint

    found = [fingerprint()]
    (pictures / "new.jpg").write_bytes(b"x")
    found.append(fingerprint())
    (pictures / "new.jpg").write_bytes(b"xy")
    found.append(fingerprint())
    os.utime(pictures / "new.jpg", (1, 1))
    found.append(fingerprint())
    (pictures / "new.jpg").rename(pictures / "newer.jpg")
    found.append(fingerprint())
    assert len(set(found)) == 5
    (pictures / "newer.jpg").unlink()
    (pictures / "notes.txt").touch()
    assert fingerprint() == found[0]


@pytest.mark.slow
def test_a_hundred_thousand_pictures_are_listed_in_little_memory(tmp_path: Path) -> None:
    """A line of a CSV costs as much as any input; one file is enough for all of them."""
    import tracemalloc

    (tmp_path / "1.jpg").touch()
    table = write_csv(tmp_path, "file\n" + "1.jpg\n" * 100_000)
    tracemalloc.start()
    listing = list_inputs(str(table), CONFIG)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(listing.inputs) == 100_000
    assert peak < 80 * 2**20
