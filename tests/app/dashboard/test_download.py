"""A file that was made at a press of a button waits for the browser, however busy the server is."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from streamlit.runtime.media_file_manager import MediaFileManager
from streamlit.runtime.media_file_storage import MediaFileStorageError
from streamlit.runtime.memory_media_file_storage import MemoryMediaFileStorage
from streamlit.runtime.scriptrunner_utils import script_run_context

from app.widgets import download


@dataclass
class Session:
    """As much of a session as Streamlit looks at where it keeps files."""

    session_id: str = "anna"


@dataclass
class Server:
    media_file_mgr: MediaFileManager


@pytest.fixture
def storage() -> MemoryMediaFileStorage:
    return MemoryMediaFileStorage("/media")


@pytest.fixture
def files(storage: MemoryMediaFileStorage, monkeypatch: pytest.MonkeyPatch) -> MediaFileManager:
    """Streamlit's own, as a page of Anna's finds it."""
    manager, session = MediaFileManager(storage), Session()
    monkeypatch.setattr(download, "get_instance", lambda: Server(manager))
    monkeypatch.setattr(download, "exists", lambda: True)
    monkeypatch.setattr(download, "get_script_run_ctx", lambda: session)
    # What Streamlit asks in the thread that stores the file for her.
    monkeypatch.setattr(script_run_context, "get_script_run_ctx", lambda **_: session)
    return manager


def pressed(files: MediaFileManager, make: Callable[[], bytes]) -> str:
    """Name of the file that a press of a button made."""
    button = files.add_deferred(make, "application/pdf", "0.1", file_name="reading-7.pdf")
    return files.execute_deferred(button).rpartition("/")[2]


def others_draw_their_pages(files: MediaFileManager) -> None:
    for _ in range(3):
        files.remove_orphaned_files()


def test_a_file_waits_for_the_browser_while_others_draw_their_pages(
    files: MediaFileManager, storage: MemoryMediaFileStorage
) -> None:
    name = pressed(files, download.kept(lambda: b"report", "application/pdf", "reading-7.pdf"))
    others_draw_their_pages(files)
    assert storage.get_file(name).content == b"report"


def test_streamlit_alone_would_let_go_of_it(
    files: MediaFileManager, storage: MemoryMediaFileStorage
) -> None:
    name = pressed(files, lambda: b"report")
    others_draw_their_pages(files)
    with pytest.raises(MediaFileStorageError):
        storage.get_file(name)


def test_the_next_file_and_the_end_of_the_session_let_go_of_it(
    files: MediaFileManager, storage: MemoryMediaFileStorage
) -> None:
    names = [
        pressed(files, download.kept(lambda: content, "application/pdf", "reading-7.pdf"))  # noqa: B023
        for content in (b"first", b"second")
    ]
    others_draw_their_pages(files)
    with pytest.raises(MediaFileStorageError):
        storage.get_file(names[0])
    assert storage.get_file(names[1]).content == b"second"
    files.clear_session_refs("anna")
    others_draw_their_pages(files)
    with pytest.raises(MediaFileStorageError):
        storage.get_file(names[1])


def test_what_fails_is_told_and_leaves_nothing(files: MediaFileManager) -> None:
    def fail() -> bytes:
        raise ValueError("no report")

    with pytest.raises(MediaFileStorageError, match="no report"):
        pressed(files, download.kept(fail, "application/pdf", "reading-7.pdf"))
