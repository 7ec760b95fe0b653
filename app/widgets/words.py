"""Words for Streamlit's own controls, in the language of the session.

What the eye reads is put in its place by style sheets; screen readers and voice control go by the
name, and Streamlit lets nobody choose it. And what the browser refuses is said by the browser alone.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import streamlit as st

_SCRIPT = Path(__file__).resolve().parents[1] / "static" / "words" / "words.js"
_NAME = "skin_lesion_words"
_JS = _SCRIPT.read_text(encoding="utf-8")
_HTML = (
    '<div class="sl-not-taken sl-oversize" role="alert" hidden><ul></ul>'
    '<button type="button"></button></div>'
)


@dataclass(frozen=True)
class RefusedFiles:
    """How to speak of files that the browser refused.

    Attributes:
        selector: Of what holds the name of such a file, in CSS.
        said: What is said of it, after its name.
        close: Of the button that takes the words away.
    """

    selector: str
    said: str
    close: str


def name_controls(
    names: Mapping[str, str], *, key: str, refused: RefusedFiles | None = None
) -> None:
    """Name controls of the page.

    Args:
        names: What each control is called, by a CSS selector that finds it.
        key: Unique on the page; it begins with `words_`, so that nothing is seen of it while there
            is nothing to say.
        refused: How to speak of files that the browser refused; None says nothing of them.
    """
    component = st.components.v2.component(_NAME, html=_HTML, js=_JS, isolate_styles=False)
    component(data={"names": dict(names), "refused": asdict(refused) if refused else None}, key=key)
