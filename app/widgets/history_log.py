"""What a user takes away of the audit log, and whether the log is as it was written."""

import logging
from datetime import UTC, datetime

import streamlit as st

from app.clinic.history import as_csv
from app.desk import Desk
from skin_lesion.audit import AuditError, Verification

log = logging.getLogger(__name__)

_CSV = "history_csv"
_CHECKED = "history_checked"


def show_export(desk: Desk) -> None:
    """Let the user take away what they wrote; the table is made when it is asked for."""
    texts = desk.texts
    st.header(texts("history.export.title"), anchor=False)
    st.caption(texts("history.export.text"))
    if st.button(
        texts("history.export.prepare"), key="history_prepare", icon=":material/table_view:"
    ):
        try:
            data = as_csv(desk.audit, desk.user.name)
        except AuditError:
            log.exception("the rows of %s cannot be exported", desk.user.name)
            st.error(texts("history.failed"), icon=":material/error:")
            return
        st.download_button(
            texts("history.export.download"),
            data,
            file_name=texts("history.export.file"),
            mime="text/csv",
            icon=":material/download:",
            key="history_download",
            on_click="ignore",
        )


def show_chain(desk: Desk) -> None:
    """Let an engineer look at every row of the log."""
    texts = desk.texts
    st.header(texts("history.chain.title"), anchor=False)
    st.caption(texts("history.chain.text"))
    if st.button(texts("history.chain.check"), key="history_check", icon=":material/link:"):
        try:
            st.session_state[_CHECKED] = (desk.audit.verify(), datetime.now(UTC))
        except AuditError:
            log.exception("the audit log cannot be verified")
            st.session_state.pop(_CHECKED, None)
            st.error(texts("history.failed"), icon=":material/error:")
    if _CHECKED in st.session_state:
        _outcome(desk, *st.session_state[_CHECKED])


def _outcome(desk: Desk, found: Verification, at: datetime) -> None:
    texts, when = desk.texts, desk.texts.date(at)
    if found.fault is None:
        rows = texts.number(found.head.rows or 0)
        st.success(texts("history.chain.sound", rows=rows, at=when), icon=":material/check_circle:")
        st.caption(texts("history.chain.head"))
        st.code(str(found.head), language=None)
    else:
        log.error("the audit log is not as it was written: %s", found.fault)
        words = (
            texts("history.chain.fault_around", at=when)
            if found.fault.id is None
            else texts("history.chain.fault", id=found.fault.id, at=when)
        )
        st.error(f"{words} {texts('history.chain.fault_do')}", icon=":material/report:")
    if found.clock_set_back:
        count = texts.number(found.clock_set_back)
        st.caption(texts("history.chain.clock", count=count))
