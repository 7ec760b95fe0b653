"""Names for Streamlit's own controls, for screen readers, in the language of the session.

What the eye reads is put in its place by style sheets; screen readers and voice control go by the
name, and Streamlit lets nobody choose it.
"""

from collections.abc import Mapping
from pathlib import Path

import streamlit as st

_SCRIPT = Path(__file__).resolve().parents[1] / "static" / "words" / "words.js"
_NAME = "skin_lesion_words"
_JS = _SCRIPT.read_text(encoding="utf-8")


def name_controls(names: Mapping[str, str], *, key: str) -> None:
    """Name controls of the page.

    Args:
        names: What each control is called, by a CSS selector that finds it.
        key: Unique on the page; it begins with `words_`, so that nothing is seen of it.
    """
    component = st.components.v2.component(_NAME, html="<span hidden></span>", js=_JS)
    component(data={"names": dict(names)}, key=key)
