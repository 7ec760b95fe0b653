"""The table of many pictures: what got no answer first, then the others by risk."""

from collections.abc import Sequence
from html import escape
from typing import Any

import pandas as pd
import streamlit as st

from app.clinic.batch_table import Batch, BatchRow, to_csv
from app.clinic.layers import data_uri
from app.clinic.report_content import plain
from app.desk import Desk
from app.widgets.download import kept
from skin_lesion.decisions import OperatingPoint
from skin_lesion.labels import LABELS
from skin_lesion.texts import Texts

_SHOWN = ("all", "suspicious", "below")
_SHARES = ("malignant", "melanoma")
_ROW_HEIGHT = 64
_HEAD_HEIGHT = 36
_MOST_ROWS_IN_VIEW = 8


def summary(texts: Texts, rows: Sequence[BatchRow], point: OperatingPoint | None) -> None:
    """Draw how many pictures there are of each kind."""
    flags = [each.suspicious(point) for each in rows]
    figures = [("all", len(rows))]
    if point is not None:
        figures += [("suspicious", flags.count(True)), ("below", flags.count(False))]
    figures.append(("refused", sum(each.risk is None for each in rows)))
    cells = "".join(
        f'<li class="sl-count-{name}"><strong>{escape(texts.number(count))}</strong> '
        f"{escape(texts(f'batch.summary.{name}'))}</li>"
        for name, count in figures
    )
    st.html(f'<ul class="sl-counts">{cells}</ul>')


def refused(texts: Texts, rows: Sequence[BatchRow], key: str) -> list[BatchRow]:
    """Draw the pictures that got no answer, with the reasons; gives those that are selected."""
    without = [each for each in rows if each.risk is None]
    if not without:
        return []
    title = texts("batch.refused.title", count=texts.number(len(without)))
    st.html(
        f'<h2 class="sl-refused-title">⊘ {escape(title)}</h2>'
        f'<p class="sl-quiet">{escape(texts("batch.refused.meaning"))}</p>'
    )
    table = pd.DataFrame(
        [
            {
                "picture": _thumbnail(each),
                "name": plain(each.reading.name),
                "why": texts(f"reasons.{each.reading.prediction.reason}.why"),
                "what_to_do": texts(f"reasons.{each.reading.prediction.reason}.what_to_do"),
                "number": _number(each),
            }
            for each in without
        ]
    )
    said = texts("batch.table.refused_alt", count=texts.number(len(without)))
    return _table(texts, table, without, None, key, said)


def assessed(
    desk: Desk, rows: Sequence[BatchRow], point: OperatingPoint | None, key: str
) -> list[BatchRow]:
    """Draw the pictures that were assessed, the most dangerous first; gives those that are selected."""
    texts = desk.texts
    found = [each for each in rows if each.risk is not None]
    if not found:
        return []
    title = texts("batch.table.title", count=texts.number(len(found)))
    st.html(f'<h2 class="sl-batch-title">{escape(title)}</h2>')
    shown = _filtered(texts, found, point)
    count = texts(
        "batch.table.shown", shown=texts.number(len(shown)), count=texts.number(len(found))
    )
    said = (
        f'<p class="sl-quiet" role="status">{escape(count)} {escape(texts("batch.table.help"))}</p>'
    )
    if not shown:
        st.html(said)
        st.info(texts("batch.table.none"), icon=":material/filter_alt_off:")
        return []
    table = pd.DataFrame([_cells(texts, each, point) for each in shown])
    alt = texts("batch.table.alt", count=texts.number(len(shown)))
    # Another filter is another table: a selection must not slip to rows that it was not made on.
    key = f"{key}_{hash(tuple(each.number for each in shown))}"
    selected = _table(texts, table, shown, point, key, alt)
    st.html(said)  # below: on a small screen the room above is the table's
    return selected


def tools(texts: Texts, batch: Batch) -> None:
    """Draw what can be done with the whole table."""
    rows = batch.rows
    count = texts.number(len(rows))
    name = f"{texts('batch.csv_file')}.csv"
    st.download_button(
        texts("batch.csv", count=count),
        kept(lambda: to_csv(rows), "text/csv", name),
        file_name=name,
        mime="text/csv",
        key="batch_csv",
        icon=":material/download:",
        help=texts("batch.csv_help", count=count),
        on_click="ignore",
    )
    st.button(
        texts("batch.clear"),
        key="batch_clear",
        icon=":material/delete_sweep:",
        help=texts("batch.clear_help"),
        on_click=batch.clear,
    )


def _filtered(
    texts: Texts, rows: Sequence[BatchRow], point: OperatingPoint | None
) -> list[BatchRow]:
    held = {each.reading.prediction.prediction for each in rows}
    with st.container(horizontal=True, key="batch_filter", vertical_alignment="bottom"):
        wanted = (
            st.segmented_control(
                texts("batch.filter.show"),
                _SHOWN,
                default="all",
                format_func=lambda name: texts(f"batch.filter.{name}"),
                key="batch_show",
            )
            if point is not None
            else "all"
        )
        classes = st.multiselect(
            texts("batch.filter.classes"),
            [label for label in LABELS if label in held],
            format_func=lambda label: texts(f"classes.{label}.short"),
            placeholder=texts("batch.filter.any"),
            key="batch_classes",
        )
    flag = {"suspicious": True, "below": False}.get(wanted or "all")
    return [
        each
        for each in rows
        if (flag is None or each.suspicious(point) is flag)
        and (not classes or each.reading.prediction.prediction in classes)
    ]


def _cells(texts: Texts, each: BatchRow, point: OperatingPoint | None) -> dict[str, Any]:
    prediction, risk = each.reading.prediction, each.risk
    assert risk is not None  # it was assessed
    level = risk.level or "none"
    cells: dict[str, Any] = {
        "picture": _thumbnail(each),
        "risk": texts(f"batch.risk_mark.{level}", level=texts(f"answer.risk.level.{level}")),
        "malignant": risk.malignant,
        "melanoma": risk.melanoma,
    }
    suspicious = each.suspicious(point)
    if suspicious is not None:
        kind = "positive" if suspicious else "negative"
        verdict = texts(f"answer.point.{kind}")
        cells["verdict"] = texts(f"batch.verdict_mark.{kind}", verdict=verdict)
    inside = prediction.prediction_set
    return cells | {
        "prediction": texts(f"classes.{prediction.prediction}.short"),
        "confidence": texts(f"answer.confidence.level.{prediction.confidence or 'unknown'}"),
        "name": plain(each.reading.name),
        "set": ", ".join(texts(f"classes.{one}.short") for one in inside) if inside else "–",
        "number": _number(each),
        "version": str(each.reading.model_version),
    }


def _table(
    texts: Texts,
    table: pd.DataFrame,
    rows: Sequence[BatchRow],
    point: OperatingPoint | None,
    key: str,
    said: str,
) -> list[BatchRow]:
    # Of what: a carcinoma may well lie below the threshold for melanoma.
    target = texts(f"answer.point.{point.target}") if point else ""
    kinds: dict[str, Any] = {
        "picture": st.column_config.ImageColumn(texts("batch.column.picture"), width="small"),
        "malignant": st.column_config.NumberColumn(
            texts("batch.column.malignant"),
            help=texts("batch.column.help.malignant"),
        ),
        "melanoma": st.column_config.NumberColumn(
            texts("batch.column.melanoma"),
            help=texts("batch.column.help.melanoma"),
        ),
        "verdict": st.column_config.TextColumn(
            texts("batch.column.verdict", target=target), help=texts("batch.column.help.verdict")
        ),
        "confidence": st.column_config.TextColumn(
            texts("batch.column.confidence"), help=texts("batch.column.help.confidence")
        ),
        "number": st.column_config.TextColumn(
            texts("batch.column.number"), help=texts("batch.column.help.number")
        ),
        "version": st.column_config.TextColumn(
            texts("batch.column.version"), help=texts("batch.column.help.version")
        ),
    }
    for name in table.columns:
        if name not in kinds:
            kinds[name] = st.column_config.TextColumn(texts(f"batch.column.{name}"))
    in_view = min(len(rows), _MOST_ROWS_IN_VIEW)
    # Sorted by what they are, written as the language writes them.
    shares: dict[Any, Any] = {name: texts.probability for name in _SHARES if name in table.columns}
    state = st.dataframe(
        table.style.format(shares),
        hide_index=True,
        column_config=kinds,
        row_height=_ROW_HEIGHT,
        height=_HEAD_HEIGHT + in_view * _ROW_HEIGHT + 3,
        on_select="rerun",
        selection_mode="multi-row",
        key=key,
        alt=said,
        placeholder="–",
    )
    return [rows[place] for place in state.selection.rows if place < len(rows)]


def _thumbnail(each: BatchRow) -> str | None:
    shown = each.reading.shown
    return data_uri(shown.jpeg, "jpeg") if shown else None


def _number(each: BatchRow) -> str:
    return "–" if each.reading.audit_id is None else str(each.reading.audit_id)
