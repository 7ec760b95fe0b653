"""The page `read`: give a picture, see what the model in production says of it and where it looked."""

import logging
import threading
from html import escape

import streamlit as st

from app.clinic.measured import measured
from app.clinic.tray import OnTray, Tray
from app.desk import Desk
from app.model_store import Served
from app.widgets import door
from app.widgets.answer import answer
from app.widgets.definitions import definitions
from app.widgets.feedback import feedback_form
from app.widgets.probabilities import probabilities_chart, sorted_labels
from app.widgets.provenance import provenance
from app.widgets.refusal import refusal_panel
from app.widgets.reports import report_buttons
from app.widgets.strip import strip
from app.widgets.uploader import intake
from app.widgets.viewer import viewer
from app.widgets.waiting import served_or_wait
from skin_lesion.audit import AuditError

log = logging.getLogger(__name__)

_TRAY = "read.tray"
_FAILED = "read.failed"
_CLASS = "read_class"
_COLUMNS = (1.2, 1.0)


def show(desk: Desk) -> None:
    """Draw the page."""
    texts = desk.texts
    st.title(texts("read.title"))
    if not desk.user.may("clinician"):
        st.warning(texts("read.not_clinician"), icon=":material/lock:")
        return
    served = served_or_wait(desk, texts("read.waiting"))
    if served is None:
        return
    if _TRAY not in st.session_state:
        st.session_state[_TRAY] = Tray(desk.config)
        # Fetched while the user looks for a picture: the first answer need not wait for it.
        threading.Thread(target=measured, args=(served,), name="measured", daemon=True).start()
    tray: Tray = st.session_state[_TRAY]
    # Before the intake is drawn, which makes room for what was read; always in the same place, so
    # that nothing below moves.
    with st.container(key="read_reading"):
        _read(desk, tray, served)
    intake(desk, tray)
    _refused(desk, tray)
    if tray.chosen is not None:
        # Whatever is chosen below draws this part anew, and leaves the rest of the page alone.
        st.fragment(_table)(desk, tray)


def _read(desk: Desk, tray: Tray, served: Served) -> None:
    """Read what waits; what failed is tried again only when the user says so."""
    texts = desk.texts
    if not tray.waiting:
        return
    if _FAILED not in st.session_state:
        words = (
            texts("read.reading.one")
            if tray.waiting == 1
            else texts("read.reading.many", count=tray.waiting)
        )
        with st.spinner(words):
            try:
                tray.read(served, desk.user, desk.audit)
            except AuditError:
                log.exception("readings were not written down")
                st.session_state[_FAILED] = "failed"
            except Exception:
                # Whatever a hostile picture or a broken model brings up: it is not read again and
                # again, and the user gets his page back.
                log.exception("pictures were not read")
                st.session_state[_FAILED] = "broken"
            else:
                return
    with st.container(key="read_failed"):
        st.error(texts(f"read.reading.{st.session_state[_FAILED]}"), icon=":material/error:")
        with st.container(horizontal=True):
            st.button(
                texts("read.reading.again"),
                key="read_again",
                on_click=lambda: st.session_state.pop(_FAILED, None),
            )
            st.button(
                texts("read.reading.give_up"), key="read_give_up", on_click=_give_up, args=(tray,)
            )


def _give_up(tray: Tray) -> None:
    st.session_state.pop(_FAILED, None)
    tray.give_up()


def _refused(desk: Desk, tray: Tray) -> None:
    """Say which files were not taken, and why."""
    if not tray.refused:
        return
    texts = desk.texts
    rows = "".join(
        "<li>"
        + escape(
            texts(
                f"read.refused.{each.why}",
                name=each.name,
                size=texts.number(desk.config.max_file_bytes / 2**20),
                count=desk.config.tray_pictures,
                page=texts("frame.pages.batch"),
            )
        )
        + "</li>"
        for each in tray.refused
    )
    title = texts("read.refused.title", count=len(tray.refused))
    st.html(
        f'<div class="sl-not-taken" role="alert"><strong>{escape(title)}</strong><ul>{rows}</ul></div>'
    )


def _table(desk: Desk, tray: Tray) -> None:
    """The pictures before the user, and the answer for the one that is shown."""
    if door.is_over():
        st.rerun()  # whoever still sits there has to log in first
    texts = desk.texts
    strip(texts, tray)
    picture = tray.chosen
    if picture is None:
        st.rerun()  # the last one was removed
    _heading(desk, tray, picture)
    if picture.drawn:
        st.html(f'<p class="sl-drawn">✎ {escape(texts("read.picture.drawn"))}</p>')
    prediction = picture.reading.prediction
    assessed = prediction.status == "ok"
    decisions = picture.reading.served.contract.decisions
    # Two rows, so that on a narrow screen the answer follows the picture, and the chart the answer.
    with st.container(key="read_table"):
        left, right = st.columns(_COLUMNS, gap="medium")
        with left:
            label = _look(desk, picture)
        with right:
            if assessed:
                answer(desk, picture.reading)
            else:
                st.html(refusal_panel(texts, prediction, decisions))
            if prediction.several_frames:
                st.info(texts("answer.several_frames"), icon=":material/filter_1:")
        left, right = st.columns(_COLUMNS, gap="medium")
        with left:
            if assessed:
                sets = decisions.prediction_sets if decisions else None
                st.html(probabilities_chart(texts, prediction, sets))
            report_buttons(desk, picture.reading, label)
        with right:
            _feedback(desk, picture)
    st.html(provenance(texts, picture.reading))
    if assessed:
        inside = prediction.prediction_set or ()
        matter = [one for one in sorted_labels(prediction) if one in inside]
        first = [one for one in (prediction.prediction,) if one and one not in matter] + matter
        st.html(definitions(texts, first))


def _heading(desk: Desk, tray: Tray, picture: OnTray) -> None:
    texts = desk.texts
    title = texts("read.picture.title", number=picture.number, name=picture.reading.name)
    with st.container(horizontal=True, vertical_alignment="center", key="read_heading"):
        by = texts("read.versions.by", version=picture.reading.model_version)
        st.html(
            f'<h2 class="sl-picture-title">{escape(title)}</h2><p class="sl-quiet">{escape(by)}</p>'
        )
        st.button(
            texts("read.strip.remove"),
            key="read_remove",
            icon=":material/close:",
            type="tertiary",
            on_click=tray.remove,
            args=(picture.number,),
        )
        if len(tray.pictures) > 1:
            st.button(
                texts("read.strip.clear"),
                key="read_clear",
                icon=":material/delete_sweep:",
                type="tertiary",
                on_click=tray.clear,
            )
    if picture.took_over_from is not None:
        took_over = texts(
            "read.versions.took_over",
            version=picture.reading.model_version,
            before=picture.took_over_from,
        )
        st.html(
            f'<p class="sl-took-over"><span aria-hidden="true">⇄</span> {escape(took_over)}</p>'
        )
    _outdated(desk, tray, picture)


def _outdated(desk: Desk, tray: Tray, picture: OnTray) -> None:
    """Say that another model would read this by now, and offer it."""
    texts, mine = desk.texts, picture.reading.model_version
    current = desk.store.state().served
    if current is None or current.predictor.versions == picture.reading.prediction.versions:
        return
    version = current.version.version
    with st.container(key="read_outdated", horizontal=True, vertical_alignment="center"):
        outdated = texts("read.versions.outdated", version=mine, current=version)
        st.html(f'<p class="sl-outdated"><span aria-hidden="true">⇄</span> {escape(outdated)}</p>')
        if st.button(
            texts("read.versions.again", version=version),
            key="read_by_current",
            icon=":material/refresh:",
        ):
            try:
                tray.read_again(picture.number, current, desk.user, desk.audit)
            except AuditError:
                log.exception("a reading was not written down")
                st.error(texts("read.reading.failed"), icon=":material/error:")
            else:
                st.rerun()


def _look(desk: Desk, picture: OnTray) -> str | None:
    """The picture and, where it was assessed, its heat-map; the class that the latter is of."""
    texts, prediction = desk.texts, picture.reading.prediction
    if picture.picture is None:
        st.html(f'<p class="sl-no-preview">{escape(texts("read.picture.no_preview"))}</p>')
        return None
    if prediction.status != "ok":
        viewer(texts, picture, None)
        return None
    labels = sorted_labels(prediction)
    label = st.selectbox(
        texts("read.viewer.class"),
        labels,
        format_func=lambda code: texts(f"classes.{code}.name"),
        key=f"{_CLASS}_{picture.number}",
    )
    viewer(texts, picture, label)
    st.html(f'<p class="sl-caveat">⚠ {escape(texts("read.viewer.caveat"))}</p>')
    return label


def _feedback(desk: Desk, picture: OnTray) -> None:
    texts, reading = desk.texts, picture.reading
    if reading.prediction.status == "unreadable":
        return  # there is nothing to have an opinion of
    if reading.audit_id is None:
        st.caption(texts("answer.feedback.no_log"))
        return
    with st.container(border=True, key="read_feedback"):
        st.html(
            f'<h2 class="sl-small-title">{escape(texts("answer.feedback.title"))}</h2>'
            f'<p class="sl-quiet">{escape(texts("answer.feedback.intro"))}</p>'
        )
        feedback_form(desk, reading.audit_id, reading.prediction.prediction)
