"""Files that are made when their button is pressed, and are still there when the browser fetches them.

Streamlit makes such a file, names its address, and lets go of it when pages of whatever session were
drawn twice in between: of many users that is at once, and the browser gets nothing. A file that
belongs to a session stays until that session's page is drawn anew.
"""

import threading
from collections.abc import Callable

from streamlit.runtime import exists, get_instance
from streamlit.runtime.scriptrunner import add_script_run_ctx, get_script_run_ctx


def kept(make: Callable[[], bytes], mime: str, file_name: str) -> Callable[[], bytes]:
    """What makes the file of an `st.download_button`, and lets it belong to the session that draws it.

    Args:
        make: Gives its contents; called at every press of the button, in a thread of the server.
        mime: Its type, as the button names it.
        file_name: Its name, as the button names it.
    """
    drawn_in = get_script_run_ctx()

    def made() -> bytes:
        data = make()

        def belong() -> None:
            # By the same contents, type and name Streamlit knows it for the file that it stores next.
            get_instance().media_file_mgr.add(
                data, mime, f"download {mime}", file_name, is_for_static_download=True
            )

        if drawn_in is not None and exists():
            # Whose file it is goes by the thread; this one is the server's.
            thread = add_script_run_ctx(threading.Thread(target=belong, daemon=True), drawn_in)
            thread.start()
            thread.join()
        return data

    return made
