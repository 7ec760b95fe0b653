"""What Streamlit still holds of an upload after the page has taken it."""

from collections.abc import Iterable
from typing import Any

from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.uploaded_file_manager import DeletedFile, UploadedFile


def let_go(files: Iterable[UploadedFile]) -> None:
    """Have Streamlit forget files that were copied.

    It keeps whatever was uploaded until its session ends, whether or not a widget still shows it: a
    page that stays open all day would hold every picture of that day in memory.

    Args:
        files: As the widget gave them.
    """
    context = get_script_run_ctx()
    if context is None or not isinstance(context.uploaded_file_mgr, MemoryUploadedFileManager):
        return  # nothing is held, or by somebody who looks after it
    for file in files:
        context.uploaded_file_mgr.remove_file(context.session_id, file.file_id)


def held(value: Any) -> list[UploadedFile]:
    """The files of a widget's value that Streamlit still holds.

    A callback may be called again for files that it has taken and let go.
    """
    files = value if isinstance(value, list) else [value]
    return [file for file in files if file is not None and not isinstance(file, DeletedFile)]
