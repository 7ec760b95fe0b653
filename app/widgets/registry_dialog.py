"""Confirming a change of production: from what to what, why, and what stands against it."""

import threading
from html import escape
from uuid import uuid4

import streamlit as st

from app.clinic.models import REGRESSION, Kind, Models, Order, Outcome, carry_out, gate_of, verdict
from app.desk import Desk
from app.widgets import door
from app.widgets.registry_tables import check_words, gate_name, gates_word
from skin_lesion.registry import RegisteredVersion, Seen
from skin_lesion.settings import RegistryConfig
from skin_lesion.texts import Texts

OUTCOME = "registry_outcome"
_NUMBER, _REFUSAL = "registry_order", "registry_refusal"
_REASON, _OVERRIDE = "registry_reason", "registry_override"
_LINES = 80  # pixels: the dialog is to fit a low screen


def ask(desk: Desk, models: Models, kind: Kind, target: int) -> None:
    """Open the dialog for a change that the user wants."""
    begin()
    title = desk.texts(f"registry.dialog.{kind}")
    st.dialog(title, width="medium")(confirm)(desk, models, kind, target)


def begin() -> None:
    """Take a new number for the order that is about to be written."""
    st.session_state[_NUMBER] = uuid4().hex
    st.session_state.pop(_REFUSAL, None)


def confirm(desk: Desk, models: Models, kind: Kind, target: int) -> None:
    """Draw what is inside the dialog: from what to what, why, and the button that does it."""
    texts, seen = desk.texts, models.seen()
    st.markdown(_from_to(texts, seen, target))
    version = models.version(target)
    if version is not None:
        st.markdown(texts("registry.dialog.verdict", verdict=gates_word(texts, version)))
        if version.tags.get("synthetic_only") == "true":
            st.warning(texts("registry.dialog.synthetic"), icon=":material/warning:")
    st.caption(texts(f"registry.dialog.{kind}_means"))
    reason = st.text_area(
        texts("registry.dialog.reason"),
        max_chars=RegistryConfig().max_words,
        height=_LINES,
        key=_REASON,
        help=texts("registry.dialog.reason_help"),
    )
    refusal: Outcome | None = st.session_state.get(_REFUSAL)
    override = _in_spite(texts, refusal, version)
    sure, not_sure = st.columns(2)
    with sure:
        label = "in_spite" if override is not None else f"do_{kind}"
        confirmed = st.button(
            texts(f"registry.dialog.{label}", version=target),
            type="primary",
            width="stretch",
            key="registry_confirm",
        )
    with not_sure:
        if st.button(texts("registry.dialog.cancel"), width="stretch", key="registry_cancel"):
            st.rerun()
    if confirmed:
        # A double click comes back with the number of the order, which is carried out once.
        number = f"{st.session_state[_NUMBER]}/{'in spite' if override else 'plain'}"
        _act(desk, Order(number, kind, target, seen, reason, override or ""))


def _act(desk: Desk, order: Order) -> None:
    texts = desk.texts
    user = door.admit(desk.config, texts)  # who they are now, not when the dialog was opened
    with st.spinner(texts("registry.dialog.working")):
        outcome = carry_out(order, user)
    if outcome.result in ("no_reason", "words"):
        st.error(texts(f"registry.outcome.{outcome.result}"), icon=":material/error:")
        return
    if outcome.result == "refused":
        if order.override:  # an override of nothing but blanks was none
            st.error(texts("registry.outcome.no_reason"), icon=":material/error:")
        st.session_state[_REFUSAL] = outcome
        _draw_again()
    if not outcome.failed:
        # The store looks every few seconds by itself; this is sooner, and nobody waits for it.
        threading.Thread(target=desk.store.refresh, name="model-store-now", daemon=True).start()
    st.session_state[OUTCOME] = (order, outcome)
    st.session_state.pop(_REFUSAL, None)
    st.rerun()


def _draw_again() -> None:
    """Draw the dialog anew, which stays open."""
    st.rerun(scope="fragment")


def _in_spite(
    texts: Texts, refusal: Outcome | None, version: RegisteredVersion | None
) -> str | None:
    """After a refusal by the gates: each with its reason, and room to override them."""
    if refusal is None:
        return None
    st.error(texts("registry.outcome.refused"), icon=":material/block:")
    st.html(reasons(texts, refusal, version))
    written: str = st.text_area(
        texts("registry.dialog.override"),
        max_chars=RegistryConfig().max_words,
        height=_LINES,
        key=_OVERRIDE,
        help=texts("registry.dialog.override_help"),
    )
    return written


def reasons(texts: Texts, outcome: Outcome, version: RegisteredVersion | None) -> str:
    """Why not: the gates in the reader's words, what else the registry says in its own.

    Args:
        texts: The reader's language.
        outcome: With the registry's reasons.
        version: That was refused; None where it is gone.
    """
    report = verdict(version) if version is not None else None
    recorded = {check.name: check for check in report.failed} if report else {}
    items = ""
    for reason in outcome.reasons:
        gate, words = gate_of(reason)
        title = f"<strong>{escape(gate_name(texts, gate))}</strong><br>" if gate else ""
        # What is compared with production is worked out anew, and is not what was recorded.
        if gate in recorded and not gate.startswith(REGRESSION):
            said = escape(check_words(texts, recorded[gate]))
        else:
            said = f'<span lang="en">{escape(words)}</span>'
        items += f"<li>{title}{said}</li>"
    return f'<ul class="sl-rg-reasons">{items}</ul>'


def _from_to(texts: Texts, seen: Seen, target: int) -> str:
    now = (
        texts("registry.no_version")
        if seen.champion is None
        else texts("registry.a_version", version=seen.champion)
    )
    return texts(
        "registry.dialog.from_to", now=now, then=texts("registry.a_version", version=target)
    )
