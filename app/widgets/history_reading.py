"""One reading of the log, with what was said of it, and the form to say more."""

from html import escape

import streamlit as st

from app.clinic.history import class_of, malignant_probability, ranked
from app.desk import Desk
from app.model_store import NotReadyError
from app.widgets.feedback import feedback_form, recorded_feedback, reopen
from app.widgets.history_tables import class_name, picture_name
from app.widgets.operating_point import point_name
from skin_lesion.audit import Reading
from skin_lesion.labels import MALIGNANT

_CORRECTING = "history_correcting"


def show_reading(desk: Desk, reading: Reading) -> None:
    """Draw a reading and what can be done with it."""
    texts, row = desk.texts, reading.row
    with st.container(key="history_reading", border=True):
        name = class_name(texts, class_of(reading))
        st.header(f"{texts('history.reading.title', id=row.id)} · {name}", anchor=False)
        meta = "history.reading.meta" if row.image_sha256 else "history.reading.meta_no_picture"
        at, picture = texts.date(row.at), picture_name(reading)
        st.caption(texts(meta, at=at, version=row.model_version, picture=picture))
        said, answer = st.columns([1, 1.2])
        with answer:
            _answer(desk, reading)
        with said:
            st.markdown(f"**{texts('history.reading.feedback')}**")
            _feedback(desk, reading)


def _answer(desk: Desk, reading: Reading) -> None:
    texts = desk.texts
    if reading.row.probabilities is None:
        reason = f"reasons.{reading.row.reason}.why"
        st.info(texts(reason) if reason in texts else texts("history.no_class"))
        return
    bars = "".join(
        f"<li{' data-malignant' if label in MALIGNANT else ''}>"
        f"<span>{escape(texts(f'classes.{label}.name'))}</span>"
        f'<span class="sl-history-bar" aria-hidden="true"><i style="width:{100 * share:.1f}%"></i></span>'
        f"<span>{escape(texts.probability(share))}</span></li>"
        for label, share in ranked(reading)
    )
    together = escape(texts.probability(malignant_probability(reading) or 0.0))
    st.html(
        f'<ul class="sl-history-bars">{bars}</ul>'
        f'<p class="sl-history-sum">{texts("history.reading.malignant")}: '
        f"<strong>{together}</strong></p>{_verdicts(desk, reading)}"
    )


def _verdicts(desk: Desk, reading: Reading) -> str:
    texts, verdicts = desk.texts, reading.row.verdicts
    if not verdicts:
        return ""
    names = _point_names(desk)
    kinds = {True: ("▲", "history.reading.positive"), False: ("▽", "history.reading.negative")}
    lines = "".join(
        f'<li><span aria-hidden="true">{kinds[positive][0]}</span> {escape(names.get(name, name))}: '
        f"<strong>{texts(kinds[positive][1])}</strong></li>"
        for name, positive in verdicts.items()
    )
    title = texts("history.reading.verdicts")
    return f'<p class="sl-history-sum">{title}</p><ul class="sl-history-verdicts">{lines}</ul>'


def _point_names(desk: Desk) -> dict[str, str]:
    """Words for operating points; the log keeps only what they are called in the contract."""
    try:
        decisions = desk.store.current().contract.decisions
    except NotReadyError:
        return {}
    points = decisions.operating_points if decisions else ()
    return {point.name: point_name(desk.texts, point) for point in points}


def _feedback(desk: Desk, reading: Reading) -> None:
    row, said = reading.row, reading.feedback
    if said is None or st.session_state.get(_CORRECTING) == (row.id, said.id):
        feedback_form(desk, row.id, row.prediction)
        return
    recorded_feedback(desk.texts, said, row.prediction)
    st.button(
        desk.texts("history.reading.change"),
        key=f"history_change_{row.id}",
        icon=":material/edit:",
        help=desk.texts("history.reading.change_help"),
        on_click=_correct,
        args=(row.id, said.id),
    )


def _correct(reading: int, said: int) -> None:
    """Open the form anew; once something else was said than this, it is closed again."""
    st.session_state[_CORRECTING] = (reading, said)
    reopen(reading)
