"""The bytes of an input, or the reason why there are none."""

import errno
import os
import zipfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from skin_lesion.batch import reading
from skin_lesion.batch.inputs import Input, list_inputs
from skin_lesion.batch.reading import InputReader, Unread
from skin_lesion.data.archives import SourceError
from skin_lesion.settings import BatchConfig


def read(each: Input, limit: int = 1000) -> bytes | Unread:
    with closing(InputReader(limit, readers=2)) as reader:
        return reader.read(each)


def file(path: Path | str, size: int = -1) -> Input:
    return Input("name", "file", str(path), size, "")


def reason(answer: bytes | Unread) -> str:
    assert isinstance(answer, Unread)
    assert answer.detail
    return answer.reason


def zipped(path: Path, **members: bytes) -> list[Input]:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.jpg", data)
    return list_inputs(str(path), BatchConfig()).inputs


def test_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"bytes")
    assert read(file(tmp_path / "a")) == b"bytes"


@pytest.mark.parametrize("name", ["gone", "a/below a file", "", "zero\0byte"])
def test_a_file_that_is_not_there_is_missing(tmp_path: Path, name: str) -> None:
    (tmp_path / "a").touch()
    assert reason(read(file(tmp_path / name if name else ""))) == "missing"


def test_what_is_no_regular_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name in ("pipe", "loop", "", "n" * 300):
        assert reason(read(file(tmp_path / name))) == "no_access"
    assert reason(read(file("/dev/zero"))) == "no_access"


def test_folders_named_as_pictures_leave_nothing_open(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with closing(InputReader(1000, readers=1)) as reader:
        for _ in range(5):
            assert reason(reader.read(file(tmp_path))) == "no_access"
        assert len(os.listdir("/proc/self/fd")) <= before


def test_a_file_without_permission_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tests may run as root, who may read everything."""

    def refuse(*_: Any) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(reading.os, "open", refuse)
    assert reason(read(file(tmp_path / "a"))) == "no_access"


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENOMEM, errno.ESTALE])
def test_a_fault_of_the_machine_stops_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def fail(*_: Any) -> int:
        raise OSError(code, "fault")

    monkeypatch.setattr(reading.os, "open", fail)
    with pytest.raises(OSError, match="fault"):
        read(file(tmp_path / "a"))


@pytest.mark.parametrize("size", [-1, 5, 11])
def test_no_more_than_the_limit_is_read_whatever_the_listing_says(
    tmp_path: Path, size: int
) -> None:
    (tmp_path / "a").write_bytes(b"x" * 11)
    assert reason(read(file(tmp_path / "a", size), limit=10)) == "too_large"


def test_members_of_a_zip_are_read_in_any_order(tmp_path: Path) -> None:
    one, two = zipped(tmp_path / "a.zip", one=b"1" * 50, two=b"2" * 50)
    with closing(InputReader(1000, readers=1)) as reader:
        futures = [reader.start(each) for each in (two, one, two)]
        assert [f.result() for f in futures] == [b"2" * 50, b"1" * 50, b"2" * 50]


def test_a_bomb_in_a_zip_is_refused_alone(tmp_path: Path) -> None:
    bomb, sound = zipped(tmp_path / "a.zip", bomb=b"\0" * 5_000_000, sound=b"x")
    assert reason(read(bomb, limit=10_000_000)) == "bomb"
    assert read(sound) == b"x"


def test_a_broken_member_is_refused_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.jpg", b"AAAA")
        archive.writestr("b.jpg", b"BBBB")
    path.write_bytes(path.read_bytes().replace(b"AAAA", b"AAAC"))
    first, second = list_inputs(str(path), BatchConfig()).inputs
    assert reason(read(first)) == "unreadable"
    assert read(second) == b"BBBB"


def test_a_zip_that_was_replaced_stops_the_run(tmp_path: Path) -> None:
    """Its members lie elsewhere now; each would look broken though none is."""
    (each,) = zipped(tmp_path / "a.zip", a=b"x" * 100)
    zipped(tmp_path / "a.zip", a=b"y" * 100, b=b"more")
    with pytest.raises(SourceError, match="changed"):
        read(each)
    (tmp_path / "a.zip").unlink()
    with pytest.raises(SourceError, match="gone"):
        read(each)
