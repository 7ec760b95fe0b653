"""What is in production, what was before, whether all places agree, and what came of a change."""

from html import escape

import streamlit as st

from app.clinic.models import Models, Order, Outcome
from app.desk import Desk
from app.widgets.registry_dialog import OUTCOME, ask, reasons
from app.widgets.registry_tables import gates_word
from skin_lesion.registry import Disagreement
from skin_lesion.texts import Texts

_ICONS = {"done": ":material/check_circle:", "already": ":material/info:"}


def outcome(desk: Desk, models: Models) -> None:
    """Say what came of the last change that this user ordered, until they do something else."""
    texts = desk.texts
    found: tuple[Order, Outcome] | None = st.session_state.get(OUTCOME)
    if found is None:
        return
    order, came = found
    words = texts(f"registry.outcome.{came.result}", version=order.target)
    with st.container(key=f"registry_outcome_{came.result}"):
        show = st.error if came.failed else st.success if came.result == "done" else st.info
        show(words, icon=_ICONS.get(came.result, ":material/error:"))
        if came.reasons:
            st.html(reasons(texts, came, models.version(order.target)))
        if st.button(texts("registry.outcome.close"), key="registry_outcome_close"):
            st.session_state.pop(OUTCOME, None)
            st.rerun()


def production(desk: Desk, models: Models) -> None:
    """The version in production, the one before, and going back."""
    texts, state = desk.texts, models.state
    now, before, act = st.columns([2, 2, 1], gap="medium", vertical_alignment="center")
    with now:
        st.html(_card(texts, models, state.champion, "production"))
    with before:
        st.html(_card(texts, models, state.previous, "previous"))
    with act:
        possible = state.previous is not None and state.previous != state.champion
        if st.button(
            texts("registry.rollback"),
            icon=":material/undo:",
            disabled=not possible,
            key="registry_rollback",
            help=texts("registry.rollback_help") if possible else texts("registry.no_rollback"),
            width="stretch",
        ):
            assert state.previous is not None  # the button is disabled otherwise
            ask(desk, models, "rollback", state.previous)


def _card(texts: Texts, models: Models, number: int | None, place: str) -> str:
    version = models.version(number)
    title = escape(texts(f"registry.place.{place}"))
    if number is None:
        return f'<div class="sl-rg-card"><span>{title}</span><strong>{texts("registry.no_version")}</strong></div>'
    lines = [f"<strong>{escape(texts('registry.a_version', version=number))}</strong>"]
    if version is None:
        lines.append(f"<em>{escape(texts('registry.missing'))}</em>")
    else:
        lines.append(
            f"<em>{escape(texts('registry.card_gates', gates=gates_word(texts, version)))}</em>"
        )
    since = _since(texts, models, number) if place == "production" else ""
    if since:
        lines.append(f"<em>{escape(since)}</em>")
    return f'<div class="sl-rg-card sl-rg-{place}"><span>{title}</span>{"".join(lines)}</div>'


def _since(texts: Texts, models: Models, number: int) -> str:
    done = [one for one in models.state.changes if one.state == "done"]
    if not done or done[-1].change.after != number:
        return texts("registry.since_unknown")
    change = done[-1].change
    return texts("registry.since", when=texts.date(change.when), user=change.user)


def agreement(texts: Texts, models: Models) -> None:
    """ZenML's mirror, and every contradiction."""
    with st.container(key=f"registry_mirror_{models.mirror}"):
        if models.mirror == "lags":
            assert models.record is not None  # it lags behind what it records
            shown = (
                texts("registry.nothing")
                if models.record.version is None
                else texts("registry.the_version", version=models.record.version)
            )
            st.warning(
                texts("registry.mirror.lags", shown=shown, when=texts.date(models.record.when)),
                icon=":material/sync_problem:",
            )
        elif models.mirror == "unknown":
            st.warning(texts("registry.mirror.unknown"), icon=":material/sync_problem:")
        elif models.mirror == "follows" and models.record is not None:
            st.caption(texts("registry.mirror.follows", when=texts.date(models.record.when)))
    for one in models.state.disagreements:
        _disagreement(texts, one)
    if not models.state.disagreements:
        st.caption(texts("registry.agrees"))
    elif any(one.repairable for one in models.state.disagreements):
        st.markdown(texts("registry.repair"))


def _disagreement(texts: Texts, one: Disagreement) -> None:
    st.warning(texts(f"registry.disagreement.{one.code}"), icon=":material/warning:")
    st.html(f'<p class="sl-rg-words" lang="en">{escape(one.text)}</p>')
