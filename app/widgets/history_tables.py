"""Tables of the page of one's own readings."""

import hashlib
from collections.abc import Sequence
from html import escape
from typing import Any, Literal

import streamlit as st

from app.clinic.history import (
    NO_CLASS,
    Agreed,
    class_of,
    malignant_probability,
    ranked,
    said_of,
)
from skin_lesion.audit import OTHER, Reading
from skin_lesion.texts import Texts
from skin_lesion.texts.catalogue import time_zone

_NEXT = 2
_HASH_CHARACTERS = 8
_ROW_PIXELS, _MOST_PIXELS = 36, 400
_NONE = "–"
# In pixels, by the column; together what a screen of 1366 has room for.
_WIDTHS = {
    "at": 130,
    "class": 140,
    "probability": 90,
    "others": 205,
    "malignant": 75,
    "verdicts": 85,
    "version": 60,
    "said": 165,
    "picture": 80,
}
_SHAPES = {"nothing": "○", "agreed": "✓", "corrected": "✎"}


def readings_table(texts: Texts, readings: Sequence[Reading]) -> Reading | None:
    """Draw readings; the one that is chosen, None where none is."""
    import pandas as pd

    rows = [_row(texts, reading) for reading in readings]
    frame = pd.DataFrame(rows, columns=list(_WIDTHS))

    def percent(share: Any) -> str:
        return texts.probability(share)

    # Sorted by what they are, written as the language writes them.
    styled = frame.style.format({"probability": percent, "malignant": percent}, na_rep=_NONE)
    # Rows are chosen by their place: other rows begin with none chosen.
    rows_key = hashlib.sha256(repr([r.row.id for r in readings]).encode()).hexdigest()[:12]
    with st.container(key="history_table"):
        event: Any = st.dataframe(
            styled,
            hide_index=True,
            column_config=_columns(texts),
            on_select="rerun",
            selection_mode="single-row",
            height=min(_MOST_PIXELS, _ROW_PIXELS * (len(rows) + 1) + 2),
            alt=texts("history.table.about"),
            key=f"history_rows_{rows_key}",
        )
    places = event.selection.rows
    return readings[places[0]] if places and places[0] < len(readings) else None


def agreement_table(texts: Texts, by: Literal["class", "version"], rows: Sequence[Agreed]) -> None:
    """Draw how often somebody agreed, by class or version."""
    heads = (by, "readings", "judged", "agreed", "rate", "interval")
    head = "".join(f'<th scope="col">{texts(f"history.agreement.{name}")}</th>' for name in heads)
    body = "".join(f"<tr>{_agreement_row(texts, by, row)}</tr>" for row in rows)
    st.html(
        f'<table class="sl-history-table"><caption>{texts(f"history.agreement.by_{by}")}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def class_name(texts: Texts, code: str) -> str:
    """Name of a class, and of there being none."""
    return texts("history.no_class") if code == NO_CLASS else texts(f"classes.{code}.name")


def picture_name(reading: Reading) -> str:
    """Beginning of the picture's hash, which tells pictures apart without naming anybody."""
    return (reading.row.image_sha256 or "")[:_HASH_CHARACTERS]


def _columns(texts: Texts) -> dict[str, Any]:
    """What the table's columns are called, and how wide they are."""
    columns: dict[str, Any] = {
        name: st.column_config.Column(texts(f"history.table.{name}"), width=width)
        for name, width in _WIDTHS.items()
    }
    zone = st.context.timezone
    columns["at"] = st.column_config.DatetimeColumn(
        texts("history.table.at"),
        width=_WIDTHS["at"],
        format="DD/MM/YYYY HH:mm",
        timezone=zone if time_zone(zone) else "UTC",
    )
    return columns


def _row(texts: Texts, reading: Reading) -> dict[str, object]:
    classes, row, said = ranked(reading), reading.row, said_of(reading)
    others = " · ".join(
        f"{texts(f'classes.{label}.short')} {texts.probability(share)}"
        for label, share in classes[1 : 1 + _NEXT]
    )
    verdicts = row.verdicts
    suspicious = (
        _NONE
        if verdicts is None
        else texts("history.table.positive", count=sum(verdicts.values()), all=len(verdicts))
    )
    diagnosis = ""
    if reading.feedback is not None and said == "corrected":
        diagnosis = f": {_short(texts, reading.feedback.feedback_label or OTHER)}"
    return {
        "at": row.at,
        "class": _short(texts, class_of(reading)),
        "probability": classes[0][1] if classes else None,
        "others": others,
        "malignant": malignant_probability(reading),
        "verdicts": suspicious,
        "version": row.model_version,
        "said": f"{_SHAPES[said]} {texts(f'history.said.{said}')}{diagnosis}",
        "picture": picture_name(reading),
    }


def _short(texts: Texts, code: str) -> str:
    if code == OTHER:
        return texts("answer.feedback.other")
    return texts("history.no_class") if code == NO_CLASS else texts(f"classes.{code}.short")


def _agreement_row(texts: Texts, by: Literal["class", "version"], row: Agreed) -> str:
    name = class_name(texts, row.name) if by == "class" else row.name
    none = texts("history.agreement.none")
    rate = none if row.rate is None else texts.percent(row.rate)
    interval = none if row.rate is None else f"{texts.percent(row.low)} – {texts.percent(row.high)}"
    counts = (texts.number(row.readings), texts.number(row.judged), texts.number(row.agreed))
    cells = "".join(f"<td>{escape(cell)}</td>" for cell in (*counts, rate, interval))
    return f'<th scope="row">{escape(name)}</th>{cells}'
