"""What a clinician says of an answer: agree, or name the class it is, with a note. Written once."""

import html
import logging
import threading

import streamlit as st

from app.desk import Desk
from app.widgets import door
from skin_lesion.audit import FEEDBACK_LABELS, OTHER, AuditError, AuditRow
from skin_lesion.labels import LABELS
from skin_lesion.settings import AuditConfig
from skin_lesion.texts import Texts

log = logging.getLogger(__name__)

_GIVEN = "feedback.given"
_FAILED = "feedback.failed"
# A script that is stopped late may still be at work when the next one of its session begins.
_WRITING = threading.Lock()


def feedback_form(desk: Desk, audit_id: int, prediction: str | None) -> None:
    """Draw the form, or what was recorded.

    Feedback that the log holds already from an earlier session is the caller's to draw, with
    `recorded_feedback`.

    Args:
        desk: What the page works with.
        audit_id: The reading, a row of the audit log.
        prediction: Code of the class that the model named; None where it named none.
    """
    given: dict[int, AuditRow] = st.session_state.setdefault(_GIVEN, {})
    if audit_id in given:
        recorded_feedback(desk.texts, given[audit_id], prediction)
        return
    texts = desk.texts
    label, note = f"feedback.label.{audit_id}", f"feedback.note.{audit_id}"
    with st.container(key=f"feedback_{audit_id}"):
        st.selectbox(
            texts("answer.feedback.diagnosis"),
            FEEDBACK_LABELS,
            index=None,
            format_func=lambda code: feedback_name(texts, code),
            placeholder=texts("answer.feedback.choose"),
            key=label,
        )
        st.text_area(
            texts("answer.feedback.note"),
            key=note,
            max_chars=AuditConfig().max_note_characters,
            height=68,
            help=texts("answer.feedback.note_help"),
        )
        with st.container(horizontal=True):
            if prediction is not None:
                st.button(
                    texts("answer.feedback.agree", name=feedback_name(texts, prediction)),
                    key=f"feedback_agree_{audit_id}",
                    icon=":material/check:",
                    # Whoever has chosen another class does not agree, and the log forgets nothing.
                    disabled=st.session_state[label] not in (None, prediction),
                    on_click=_give,
                    args=(desk, audit_id, prediction, note),
                )
            st.button(
                texts("answer.feedback.record"),
                key=f"feedback_record_{audit_id}",
                icon=":material/edit:",
                disabled=st.session_state[label] is None,
                on_click=_give_chosen,
                args=(desk, audit_id, label, note),
            )
        if failed := st.session_state.pop(_FAILED, None):
            st.error(texts(f"answer.feedback.{failed}"), icon=":material/error:")


def recorded_feedback(texts: Texts, row: AuditRow, prediction: str | None) -> None:
    """Say what the log holds: who said what of a reading, and when."""
    assert row.feedback_label is not None  # feedback always names a class
    agrees = row.feedback_label == prediction
    note = (
        f'<div class="sl-said-note">{html.escape(row.feedback_note)}</div>'
        if row.feedback_note
        else ""
    )
    said = texts(
        "answer.feedback.agreed" if agrees else "answer.feedback.corrected",
        name=feedback_name(texts, row.feedback_label),
    )
    when = texts(
        "answer.feedback.by", user=row.user, at=texts.date(row.at, zone=True), number=row.id
    )
    st.html(
        f'<div class="sl-said" role="status"><span aria-hidden="true">{"✓" if agrees else "✎"}</span>'
        f"<div><strong>{html.escape(said)}</strong>{note}"
        f'<div class="sl-quiet">{html.escape(when)}</div></div></div>'
    )


def reopen(audit_id: int) -> None:
    """Let more be said of a reading in this session; what was said before stays in the log."""
    st.session_state.get(_GIVEN, {}).pop(audit_id, None)


def feedback_name(texts: Texts, code: str) -> str:
    """The name of a diagnosis that feedback can name."""
    return texts("answer.feedback.other") if code == OTHER else texts(f"classes.{code}.name")


def _give_chosen(desk: Desk, audit_id: int, label: str, note: str) -> None:
    chosen = st.session_state[label]
    if chosen is not None:
        _give(desk, audit_id, chosen, note)


def _give(desk: Desk, audit_id: int, label: str, note: str) -> None:
    """Write it down; a second click that was on its way finds it done.

    Streamlit calls this before the page is drawn, and so before anybody looks who sits there.
    """
    if door.is_over():
        return
    given: dict[int, AuditRow] = st.session_state.setdefault(_GIVEN, {})
    text = st.session_state.get(note)
    assert label in (*LABELS, OTHER)
    try:
        with _WRITING:
            # Nothing of Streamlit stands between writing and noting it: there it may stop the script.
            if audit_id not in given:
                given[audit_id] = desk.audit.feedback(
                    audit_id, desk.user.name, desk.user.role, label, text
                )
    except ValueError:
        log.warning("feedback on reading %s was refused", audit_id, exc_info=True)
        st.session_state[_FAILED] = "refused"
    except (AuditError, LookupError):
        log.exception("feedback on reading %s was not written", audit_id)
        st.session_state[_FAILED] = "failed"
