"""What stands on every page: the look, the notice, the model that speaks, the language."""

from functools import cache
from pathlib import Path

import streamlit as st

from app import desk as shared
from app.desk import Desk
from skin_lesion.texts import LANGUAGES, Texts

_STATIC = Path(__file__).resolve().parents[1] / "static"


@cache
def _style() -> str:
    # The frame's own sheet first: what an area says of its own classes then counts.
    sheets = sorted(_STATIC.glob("*.css"), key=lambda file: (file.stem != "dashboard", file.stem))
    return "\n".join(sheet.read_text(encoding="utf-8") for sheet in sheets)


def dress() -> None:
    """Give the page its look."""
    st.html(f"<style>{_style()}</style>")


def surround(desk: Desk) -> None:
    """Draw the notice, the banners and the side bar."""
    _notice(desk.texts)
    _model_banners(desk)
    with st.sidebar:
        _model_badge(desk)
        _language_switch(desk.texts)


def _notice(texts: Texts) -> None:
    st.html(
        '<div class="sl-notice" role="note">'
        f"<strong>{texts('frame.notice.title')}</strong> {texts('frame.notice.text')}</div>"
    )


def _model_banners(desk: Desk) -> None:
    state = desk.store.state()
    texts = desk.texts
    if state.served is not None and state.served.contract.synthetic_only:
        st.html(
            '<div class="sl-synthetic" role="alert">'
            f"<strong>{texts('frame.synthetic.title')}</strong> {texts('frame.synthetic.text')}</div>"
        )
    if state.served is not None and state.problem is not None:
        st.warning(texts(f"frame.problem.{_problem(state)}"), icon=":material/warning:")


def _problem(state: object) -> str:
    from app.model_store import StoreState

    assert isinstance(state, StoreState)
    return "refused" if state.reachable else "unreachable"


def _model_badge(desk: Desk) -> None:
    served = desk.store.state().served
    if served is None:
        return
    st.caption(
        desk.texts(
            "frame.model",
            version=served.version.version,
            data=served.contract.data_fingerprint[:8],
        )
    )


def _language_switch(texts: Texts) -> None:
    chosen = st.segmented_control(
        texts("frame.language"),
        LANGUAGES,
        default=texts.language,
        format_func=lambda language: Texts(language)("frame.language_name"),
        key="language_switch",
    )
    if chosen is not None and chosen != texts.language:
        shared.choose_language(chosen)
        st.rerun()
