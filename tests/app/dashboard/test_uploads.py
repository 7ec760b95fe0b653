"""What Streamlit still holds of uploads."""

from types import SimpleNamespace

import pytest
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.uploaded_file_manager import DeletedFile, UploadedFile, UploadedFileRec

from app.widgets import uploads
from app.widgets.uploads import held, let_go


def uploaded(manager: MemoryUploadedFileManager, session: str, name: str) -> UploadedFile:
    [place] = manager.get_upload_urls(session, [name])
    record = UploadedFileRec(place.file_id, name, "image/jpeg", b"pixels")
    manager.add_file(session, record)
    return UploadedFile(record, SimpleNamespace(file_id=place.file_id))  # type: ignore[arg-type]


def test_files_that_were_taken_are_not_kept_until_the_session_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    manager = MemoryUploadedFileManager("/upload")
    mine = [uploaded(manager, "mine", "a.jpg"), uploaded(manager, "mine", "b.jpg")]
    other = uploaded(manager, "other", "c.jpg")
    context = SimpleNamespace(uploaded_file_mgr=manager, session_id="mine")
    monkeypatch.setattr(uploads, "get_script_run_ctx", lambda: context)
    let_go(mine)
    assert manager.get_files("mine", [file.file_id for file in mine]) == []
    assert len(manager.get_files("other", [other.file_id])) == 1


def test_a_callback_that_comes_again_finds_nothing_where_files_were_let_go() -> None:
    file = uploaded(MemoryUploadedFileManager("/upload"), "mine", "a.jpg")
    assert held([file, DeletedFile("gone")]) == [file]
    assert held(file) == [file]
    assert held(DeletedFile("gone")) == held(None) == held([]) == []
