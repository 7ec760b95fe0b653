"""The page `evidence`."""

import streamlit as st

from app.desk import Desk


def show(desk: Desk) -> None:
    """Draw the page."""
    st.title(desk.texts("frame.pages.evidence"))
