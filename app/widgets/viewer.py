"""The picture beside its heat-map: opacity, zoom and place are handled in the browser alone."""

from pathlib import Path

import streamlit as st

from app.clinic.layers import legend, placement
from app.clinic.tray import OnTray
from skin_lesion.texts import Texts

_FOLDER = Path(__file__).resolve().parents[1] / "static" / "viewer"
_NAME = "skin_lesion_viewer"
_WORDS = (
    "opacity", "zoom", "zoom_in", "zoom_out", "whole", "view", "full", "leave_full", "hint", "little",
    "much", "stage", "picture_alt", "picture_caption", "view_alt", "view_caption",
)  # fmt: skip


def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


_HTML, _CSS, _JS = _read("viewer.html"), _read("viewer.css"), _read("viewer.js")


def viewer(texts: Texts, picture: OnTray, label: str | None) -> None:
    """Draw it.

    Args:
        texts: Its words.
        picture: Of which there is something to see.
        label: Code of the class whose heat-map lies over the picture; None shows the picture alone.
    """
    shown, contract = picture.reading.shown, picture.reading.served.contract
    assert shown is not None
    assert picture.picture is not None
    layer = picture.layer(label) if label else None
    name = texts(f"classes.{label}.name") if label else ""
    lies = placement(shown.width, shown.height, contract)
    # Made known at every drawing, which costs nothing where it is the same: tests run several servers
    # in one process.
    component = st.components.v2.component(_NAME, html=_HTML, css=_CSS, js=_JS)
    component(
        data={
            "id": picture.number,
            "picture": picture.picture,
            "aspect": shown.width / shown.height,
            "heat": layer.heat if layer else None,
            "view": layer.view if layer else None,
            "view_aspect": contract.input_width / contract.input_height,
            "placement": [lies.left, lies.top, lies.width, lies.height],
            "legend": legend(),
            "words": {word: texts(f"read.viewer.{word}") for word in _WORDS}
            | {
                # The browser puts its own figure in the place of the nought.
                "percent": texts.percent(0),
                "heat_alt": texts("read.viewer.heat_alt", name=name),
                "heat_caption": texts(
                    "read.viewer.heat_none"
                    if layer and layer.empty
                    else "read.viewer.heat_caption",
                    name=name,
                ),
            },
        },
        key="read_viewer",
    )
