"""Who may come in."""

import logging
import time
from html import escape

import streamlit as st

from app import desk as shared
from app.clinic.access import Entrance, is_local
from app.clinic.users import GUEST, LOCAL, User, logged_in_until, user_of
from app.gate import LOGIN_FAILED, LOGIN_PARAMETER
from skin_lesion.settings import DashboardConfig
from skin_lesion.texts import Texts

log = logging.getLogger(__name__)

_UNTIL = "door_until"
_FAILED = "door_failed"
_GREETED = "door_greeted"


def admit(config: DashboardConfig, texts: Texts) -> User:
    """The user of this session; nobody else gets past this call."""
    entrance = shared.entrance()
    headers = {name.lower(): value for name, value in st.context.headers.items()}
    # Streamlit gives no address where the request came from this machine.
    peer = st.context.ip_address or "127.0.0.1"
    # The gate before the server has looked already, where there is one: not everybody who can run
    # this script starts the server that stands before it. A test has no request, and no headers.
    if (entrance.fault or headers) and (reason := entrance.refuses(headers, peer)):
        _turn_away(texts(f"door.refused.{reason}"), texts("door.refused.title"))
    if not entrance.providers:
        return LOCAL if not headers or is_local(headers, peer) else GUEST
    if not st.user.is_logged_in:
        _ask(entrance, texts)
    return _known(config, texts)


def is_over() -> bool:
    """Whether the log-in of this session has come to its end since the page was drawn."""
    until = st.session_state.get(_UNTIL)
    return until is not None and time.time() >= until


def leave_button(texts: Texts, user: User) -> None:
    """Say who sits here, and let them leave."""
    if not user.identified:
        st.caption(texts("door.nobody"))
        return
    roles = ", ".join(texts(f"door.roles.{role}") for role in sorted(user.roles))
    st.html(
        f'<div class="sl-person"><strong>{escape(user.name)}</strong><span>{escape(roles)}</span></div>'
    )
    st.button(texts("door.leave"), key="door_leave", icon=":material/logout:", on_click=st.logout)


def _known(config: DashboardConfig, texts: Texts) -> User:
    """Whom the log-in names, unless it is over or gives no right to be here."""
    claims = st.user.to_dict()
    try:
        user, until = user_of(claims, config), logged_in_until(claims, config)
    except ValueError as error:
        log.warning("a log-in is of no use: %s", error)
        _turn_away(texts("door.nameless"), texts("door.refused.title"), texts("door.leave"))
    if time.time() >= until:
        _turn_away(texts("door.over.text"), texts("door.over.title"), texts("door.again"))
    if not user.roles:
        log.warning("%s logged in and has no role here", user.name)
        _turn_away(
            texts("door.no_role.text", user=user.name),
            texts("door.no_role.title"),
            texts("door.leave"),
        )
    st.session_state[_UNTIL] = until
    st.session_state.pop(_FAILED, None)
    if st.session_state.get(_GREETED) != user.name:
        st.session_state[_GREETED] = user.name
        log.info("%s came in as %s", user.name, user.role)
    return user


def _ask(entrance: Entrance, texts: Texts) -> None:
    """Ask for a log-in; the page ends here."""
    if st.query_params.get(LOGIN_PARAMETER) == LOGIN_FAILED:
        st.session_state[_FAILED] = True
        del st.query_params[LOGIN_PARAMETER]
    with st.container(key="door", width=560):
        st.title(texts("frame.title"), anchor=False)
        if st.session_state.get(_FAILED):
            with st.container(key="door_failed"):
                st.error(texts("door.failed"), icon=":material/error:")
        st.write(texts("door.ask"))
        for provider in entrance.providers:
            label = texts("door.enter_with", provider=provider) if provider else texts("door.enter")
            st.button(
                label,
                key=f"door_enter_{provider or 'default'}",
                type="primary",
                icon=":material/login:",
                on_click=st.login,
                args=(provider,) if provider else (),
            )
        st.caption(texts("door.privacy"))
    st.stop()


def _turn_away(text: str, title: str, leave: str | None = None) -> None:
    """Say why somebody gets no further; the page ends here."""
    with st.container(key="door_refused", width=560):
        st.title(title, anchor=False)
        st.write(text)
        if leave is not None:
            st.button(leave, key="door_leave", icon=":material/logout:", on_click=st.logout)
    st.stop()
