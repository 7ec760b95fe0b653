"""Versions of the model, what is in production, and changing that; for engineers."""

import logging

import streamlit as st

from app.clinic import models as shelf
from app.desk import Desk
from app.widgets import registry_state, registry_tables
from app.widgets.evidence_choice import choose
from app.widgets.evidence_comparison import comparison
from app.widgets.registry_dialog import ask

log = logging.getLogger(__name__)

_CHOSEN = "registry_version"


def show(desk: Desk) -> None:
    """Draw the page."""
    texts = desk.texts
    st.title(texts("registry.title"), anchor=False)
    if not desk.user.may("engineer"):
        log.warning("%s may not see the models", desk.user.name)
        st.warning(texts("registry.not_engineer"), icon=":material/lock:")
        return
    try:
        models = shelf.look()
    except shelf.OutOfReachError:
        st.error(texts("registry.unreachable"), icon=":material/cloud_off:")
        st.button(texts("registry.again"), icon=":material/refresh:", key="registry_again")
        return
    registry_state.outcome(desk, models)
    if not models.state.versions:
        st.info(texts("registry.empty"), icon=":material/info:")
        return
    registry_state.production(desk, models)
    registry_state.agreement(texts, models)
    st.header(texts("registry.versions.title"), anchor=False)
    st.html(registry_tables.versions(texts, models))
    st.caption(texts("registry.versions.how"))
    _one_version(desk, models)
    st.header(texts("registry.changes.title"), anchor=False)
    if models.state.changes:
        st.html(registry_tables.changes(texts, models.state.changes))
    else:
        st.markdown(texts("registry.changes.without"))
    st.button(texts("registry.refresh"), icon=":material/refresh:", key="registry_refresh")


def _one_version(desk: Desk, models: shelf.Models) -> None:
    """A version's verdict and origin, and promoting it."""
    texts, champion = desk.texts, models.state.champion
    numbers = [one.version for one in models.newest_first]
    left, right = st.columns([2, 1], vertical_alignment="bottom")
    with left:
        number = choose(
            desk,
            texts("registry.details.label"),
            numbers,
            lambda one: texts("registry.a_version", version=one),
            key=_CHOSEN,
            first=numbers[0],
        )
    with right:
        if st.button(
            texts("registry.promote", version=number),
            icon=":material/publish:",
            disabled=number == champion,
            key="registry_promote",
            width="stretch",
            help=texts("registry.is_production" if number == champion else "registry.promote_help"),
        ):
            ask(desk, models, "promotion", number)
    version = models.version(number)
    assert version is not None  # chosen among those that are there
    verdict = registry_tables.gates(texts, version)
    if verdict is None:
        st.markdown(texts("registry.gates_table.without"))
    else:
        st.html(verdict)
    st.html(registry_tables.details(texts, models, version))
    if champion is not None and champion != number and models.version(champion) is not None:
        comparison(desk, champion, number)
