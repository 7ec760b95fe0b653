"""The page of what its user read: found again, agreed with or corrected, counted and taken away."""

import logging
from datetime import UTC

import streamlit as st

from app.clinic.history import (
    CLASSES,
    SAID,
    Wanted,
    agreement,
    chosen,
    class_of,
)
from app.desk import Desk
from app.widgets.history_log import show_chain, show_export
from app.widgets.history_reading import show_reading
from app.widgets.history_tables import agreement_table, class_name, readings_table
from skin_lesion.audit import AuditError, Reading
from skin_lesion.texts import Texts
from skin_lesion.texts.catalogue import time_zone

log = logging.getLogger(__name__)


def show(desk: Desk) -> None:
    """Draw the page."""
    texts = desk.texts
    st.title(texts("frame.pages.history"), anchor=False)
    st.caption(texts("history.intro" if desk.user.identified else "history.intro_shared"))
    limit = desk.config.history_rows
    try:
        readings = desk.audit.readings(user=desk.user.name, limit=limit)
    except AuditError:
        log.exception("the readings of %s cannot be read", desk.user.name)
        st.error(texts("history.failed"), icon=":material/error:")
        return
    if readings:
        if len(readings) == limit:
            st.info(texts("history.newest", shown=texts.number(limit)), icon=":material/info:")
        _browse(desk, readings)
        show_export(desk)
    else:
        st.info(texts("history.nothing"), icon=":material/inbox:")
    if desk.user.may("engineer"):
        show_chain(desk)


def _browse(desk: Desk, readings: list[Reading]) -> None:
    """The table, the reading that was chosen in it, and how often its user agreed."""
    zone = time_zone(st.context.timezone) or UTC
    found = chosen(readings, _wanted(desk.texts), zone)
    shown, everything = desk.texts.number(len(found)), desk.texts.number(len(readings))
    count = desk.texts("history.filter.count", shown=shown, all=everything)
    st.caption(f"{count}. {desk.texts('history.table.hint')}" if found else count)
    if not found:
        st.info(desk.texts("history.filter.none_left"), icon=":material/filter_alt_off:")
        return
    selected = readings_table(desk.texts, found)
    if selected is not None:
        show_reading(desk, selected)
    st.header(desk.texts("history.agreement.title"), anchor=False)
    st.caption(desk.texts("history.agreement.caption"))
    with st.container(key="history_agreement"):
        left, right = st.columns([1.3, 1])
    with left:
        agreement_table(desk.texts, "class", agreement(found, class_of))
    with right:
        agreement_table(
            desk.texts, "version", agreement(found, lambda each: each.row.model_version)
        )


def _wanted(texts: Texts) -> Wanted:
    """What the user wants to see."""
    with st.container(key="history_filter"):
        since, until, classes, said = st.columns([1, 1, 2.2, 1.2])
    return Wanted(
        since=since.date_input(
            texts("history.filter.since"), value=None, format="DD/MM/YYYY", key="history_since"
        ),
        until=until.date_input(
            texts("history.filter.until"), value=None, format="DD/MM/YYYY", key="history_until"
        ),
        classes=frozenset(
            classes.multiselect(
                texts("history.filter.classes"),
                CLASSES,
                format_func=lambda code: class_name(texts, code),
                placeholder=texts("history.filter.classes_all"),
                key="history_classes",
            )
        ),
        said=said.selectbox(
            texts("history.filter.said"),
            SAID,
            index=None,
            format_func=lambda value: texts(f"history.said.{value}"),
            placeholder=texts("history.filter.said_all"),
            key="history_said",
        ),
    )
