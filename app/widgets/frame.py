"""What stands on every page: the look, the notice, the model that speaks, the language."""

import logging
import time
from functools import cache
from html import escape
from pathlib import Path

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app import desk as shared
from app.desk import Desk
from app.gate import language_script
from app.model_store import StoreState
from app.widgets import door
from skin_lesion.audit import AuditError, AuditLog
from skin_lesion.texts import LANGUAGES, Language, Texts

log = logging.getLogger(__name__)

_STATIC = Path(__file__).resolve().parents[1] / "static"
_SWITCH = "frame_language"
_SEEN = "frame_version"
_TAKEN_OVER = "frame_taken_over"
# How often a page without a model looks for one.
_WAITING_SECONDS = 1.0


@cache
def _style() -> str:
    # The frame's own sheet first: what an area says of its own classes then counts.
    sheets = sorted(_STATIC.glob("*.css"), key=lambda file: (file.stem != "dashboard", file.stem))
    return "\n".join(sheet.read_text(encoding="utf-8") for sheet in sheets)


def open_page(texts: Texts) -> None:
    """Begin a page: its look, its language, and the notice, before anybody is asked who they are."""
    st.set_page_config(
        page_title=texts("frame.title"),
        page_icon=str(_STATIC / "icon.svg"),
        layout="wide",
        initial_sidebar_state="auto",
    )
    dress()
    shared.keep_language()
    # The gate lets this script run, and no other.
    st.html(f"<script>{language_script(texts.language)}</script>", unsafe_allow_javascript=True)
    with st.container(key="frame_notice"):
        _notice(texts)
    with st.sidebar:
        _language_switch(texts)


def dress() -> None:
    """Give the page its look."""
    st.html(f"<style>{_style()}</style>")


def audit_log(texts: Texts) -> AuditLog:
    """The log that readings are written into; without it the page ends here."""
    try:
        return shared.audit_log()
    except (AuditError, ValueError):
        log.exception("the audit log cannot be used")
        st.title(texts("frame.audit.title"), anchor=False)
        st.error(texts("frame.audit.text"), icon=":material/error:")
        st.stop()


def surround(desk: Desk) -> None:
    """Draw the banners and the side bar."""
    drawn_with = _version(desk.store.state())
    every = _WAITING_SECONDS if drawn_with is None else desk.config.watch_seconds
    with st.sidebar:
        badge = st.empty()
        door.leave_button(desk.texts, desk.user)
    # One part that asks by itself, and no second: where one of several has the whole page drawn anew,
    # those that asked in the same moment can cut that off, and the page would wait for ever.
    st.fragment(_watch, run_every=every)(desk, badge, drawn_with)


def _version(state: StoreState) -> int | None:
    return None if state.served is None else state.served.version.version


def _notice(texts: Texts) -> None:
    st.html(
        '<div class="sl-notice" role="note">'
        f"<strong>{texts('frame.notice.title')}</strong> {texts('frame.notice.text')}</div>"
    )


def _watch(desk: Desk, badge: DeltaGenerator, drawn_with: int | None) -> None:
    """Which model speaks, what is not as it should be, and what has just changed.

    Args:
        desk: What the page works with.
        badge: Where the model's badge is drawn.
        drawn_with: The version that answered when the page was drawn; None where none did.
    """
    state = desk.store.state()
    if door.is_over() or _version(state) != drawn_with or any(ask() for ask in desk.asks):
        st.rerun()
    with badge:
        _badge(state, desk.texts)
    _banners(desk, state)


def _banners(desk: Desk, state: StoreState) -> None:
    texts = desk.texts
    if state.served is None:
        _without_model(state, texts)
        return
    if state.served.contract.synthetic_only:
        st.html(
            '<div class="sl-synthetic" role="note">'
            f"<strong>{texts('frame.synthetic.title')}</strong> {texts('frame.synthetic.text')}</div>"
        )
    if state.problem is not None:
        what = "refused" if state.reachable else "unreachable"
        version = state.refusal.version if state.refusal else None
        st.warning(texts(f"frame.problem.{what}", version=version), icon=":material/warning:")
    _taking_over(desk, state.served.version.version)


def _without_model(state: StoreState, texts: Texts) -> None:
    """Say why nothing answers, and what to do."""
    if not state.reachable:
        st.error(texts("frame.none.unreachable"), icon=":material/cloud_off:")
    elif state.loading is not None:
        st.info(texts("frame.none.loading", version=state.loading), icon=":material/hourglass_top:")
    elif state.refusal is not None:
        st.error(
            texts("frame.none.refused", version=state.refusal.version), icon=":material/block:"
        )
    elif state.looked_at is None:
        st.info(texts("frame.none.asking"), icon=":material/hourglass_top:")
    else:
        st.error(texts("frame.none.production"), icon=":material/info:")


def _taking_over(desk: Desk, version: int) -> None:
    """Say for a while that another model answers by now."""
    seen = st.session_state.get(_SEEN)
    st.session_state[_SEEN] = version
    if seen is not None and seen != version:
        st.session_state[_TAKEN_OVER] = (version, time.monotonic())
        st.toast(desk.texts("frame.taken_over", version=version), icon=":material/sync_alt:")
    told, since = st.session_state.get(_TAKEN_OVER, (None, 0.0))
    if told == version and time.monotonic() - since < desk.config.announced_seconds:
        with st.container(key="frame_taken_over"):
            st.info(desk.texts("frame.taken_over", version=version), icon=":material/sync_alt:")


def _badge(state: StoreState, texts: Texts) -> None:
    served = state.served
    if served is not None:
        shape, words = "●", texts("frame.badge.serves", version=served.version.version)
        detail = texts("frame.badge.data", data=served.contract.data_fingerprint[:8])
        if served.contract.synthetic_only:
            shape, detail = "⚠", texts("frame.badge.synthetic")
    else:
        loading = state.loading is not None or state.looked_at is None
        shape, detail = ("◌", "") if loading and state.reachable else ("○", "")
        words = texts(f"frame.badge.{'loading' if shape == '◌' else 'none'}")
    st.html(
        f'<div class="sl-badge" role="status"><span aria-hidden="true">{shape}</span>'
        f"<div><strong>{escape(words)}</strong><span>{escape(detail)}</span></div></div>"
    )


def _language_switch(texts: Texts) -> None:
    # The address may have changed it since.
    st.session_state[_SWITCH] = texts.language
    st.segmented_control(
        texts("frame.language"),
        LANGUAGES,
        format_func=_language_name,
        key=_SWITCH,
        on_change=_switched,
    )


def _language_name(language: Language) -> str:
    return Texts(language)("frame.language_name")


def _switched() -> None:
    chosen: Language | None = st.session_state[_SWITCH]
    if chosen is not None:  # a second click on the language takes it away: it stays
        shared.choose_language(chosen)
