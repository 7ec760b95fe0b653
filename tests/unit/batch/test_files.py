"""Files that are whole or not there, and a lock that keeps others out."""

import fcntl
from pathlib import Path
from typing import Any

import pytest

from skin_lesion.batch import files


def test_a_lock_keeps_others_out_until_it_is_given_back(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with (
        files.locked(path, "it"),
        pytest.raises(RuntimeError, match="working on it"),
        files.locked(path, "it"),
    ):
        pass
    with files.locked(path, "it"):
        pass


def test_a_lock_that_its_holder_removed_meanwhile_is_taken_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lock"
    lock, removed = fcntl.flock, []

    def lock_what_is_gone(file: Any, how: int) -> None:
        if not removed:
            path.unlink()
            removed.append(path)
        lock(file, how)

    monkeypatch.setattr(files.fcntl, "flock", lock_what_is_gone)
    with files.locked(path, "it"):
        assert removed
        monkeypatch.undo()
        with pytest.raises(RuntimeError), files.locked(path, "it"):
            pass


def test_a_file_that_cannot_be_written_whole_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a"
    files.write_text(path, "old")

    def fail(partial: Path) -> None:
        partial.write_text("half")
        raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        files.write_whole(path, fail)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
