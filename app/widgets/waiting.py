"""A page that needs a model says that it waits for it. The frame has it drawn anew once one serves."""

import streamlit as st

from app.desk import Desk
from app.model_store import NotReadyError, Served


def served_or_wait(desk: Desk, words: str) -> Served | None:
    """The model that serves; None where none does.

    Args:
        desk: What the page works with.
        words: What the page says meanwhile.
    """
    try:
        return desk.store.current()
    except NotReadyError:
        st.info(words, icon=":material/hourglass_empty:")
        return None
