"""Thumbnails of the pictures before the user, to choose from."""

from html import escape

import streamlit as st

from app.clinic.risk import risk_of
from app.clinic.tray import OnTray, Tray
from app.widgets.shapes import refusal_shape, risk_shape
from skin_lesion.texts import Texts


def strip(texts: Texts, tray: Tray) -> None:
    """Draw it, where there is more than one picture to choose from."""
    pictures, chosen = tray.pictures, tray.chosen
    if len(pictures) < 2:
        return
    several = len({each.reading.model_version for each in pictures}) > 1
    st.html(f'<h2 class="sl-spoken">{escape(texts("read.strip.title"))}</h2>')
    with st.container(horizontal=True, key="read_strip", gap="small"):
        for each in pictures:
            shown = chosen is not None and each.number == chosen.number
            with st.container(width=116, key=f"read_strip_{each.number}", gap=None):
                st.html(_card(texts, each, shown=shown, version=several))
                st.button(
                    texts("read.strip.shown" if shown else "read.strip.open", number=each.number),
                    key=f"read_open_{each.number}",
                    type="primary" if shown else "secondary",
                    width="stretch",
                    on_click=tray.choose,
                    args=(each.number,),
                )


def _card(texts: Texts, each: OnTray, *, shown: bool, version: bool) -> str:
    reading = each.reading
    risk = risk_of(reading.prediction, reading.served.contract.decisions)
    if risk is not None:
        level = risk.level or "none"
        mark = (
            f'<span class="sl-risk-{level}">{risk_shape(risk.level)}'
            f"{escape(texts(f'answer.risk.level.{level}'))}</span>"
        )
    else:
        said = texts(f"read.strip.{reading.prediction.status}")
        mark = f'<span class="sl-refused">{refusal_shape()}{escape(said)}</span>'
    alt = texts("read.strip.alt", number=each.number, name=reading.name)
    picture = (
        f'<img src="{each.thumbnail}" alt="{escape(alt)}">'
        if each.thumbnail
        else f'<span class="sl-no-picture">{escape(texts("read.strip.no_picture"))}</span>'
    )
    by = texts("read.strip.by", version=reading.model_version) if version else ""
    return (
        f'<div class="sl-thumb{" sl-chosen" if shown else ""}">{picture}'
        f'<span class="sl-name" title="{escape(reading.name)}">{escape(reading.name)}</span>'
        f"{mark}<small>{escape(by)}</small></div>"
    )
