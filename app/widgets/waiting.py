"""A page that needs a model waits for it, and goes on by itself. The frame says what it waits for."""

import streamlit as st

from app.desk import Desk
from app.model_store import NotReadyError, Served

_EVERY_SECONDS = 1.0


def served_or_wait(desk: Desk, words: str) -> Served | None:
    """The model that serves; None where none does, and the page is drawn anew once one does.

    Args:
        desk: What the page works with.
        words: What the page says meanwhile.
    """
    try:
        return desk.store.current()
    except NotReadyError:
        st.fragment(_wait, run_every=_EVERY_SECONDS)(desk, words)
        return None


def _wait(desk: Desk, words: str) -> None:
    st.info(words, icon=":material/hourglass_empty:")
    if desk.store.state().served is not None:
        st.rerun()
