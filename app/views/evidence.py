"""The evidence behind the model in production, for clinicians."""

from collections.abc import Callable

import streamlit as st

from app.clinic.measured import Evidence, measured, why_not
from app.desk import Desk
from app.model_store import NotReadyError, Served
from app.widgets.evidence_belief import belief
from app.widgets.evidence_classes import classes
from app.widgets.evidence_failures import failures
from app.widgets.evidence_groups import groups
from app.widgets.evidence_origin import card, origin
from app.widgets.evidence_points import operating_points
from app.widgets.evidence_summary import summary

_SECTION, _LAST = "evidence_section", "evidence_section_last"
# Only the section that is looked at is drawn.
_SECTIONS: dict[str, Callable[[Desk, Evidence], None]] = {
    "summary": summary,
    "points": operating_points,
    "classes": classes,
    "belief": belief,
    "groups": groups,
    "failures": failures,
    "origin": origin,
    "card": card,
}


def show(desk: Desk) -> None:
    """Draw the page."""
    texts = desk.texts
    st.title(texts("evidence.title"), anchor=False)
    try:
        served = desk.store.current()
    except NotReadyError:
        return  # the frame says why, and draws the page anew when that changes
    found = measured(served)
    if found is None:
        _without(desk, served)
        return
    st.markdown(texts("evidence.lead", version=served.version.version))
    section = st.segmented_control(
        texts("evidence.sections"),
        list(_SECTIONS),
        default=st.session_state.get(_LAST, "summary"),
        format_func=lambda name: texts(f"evidence.section.{name}"),
        key=_SECTION,
    )
    # Clicking on what is chosen takes the choice away; the page stays where it was.
    section = section or st.session_state.get(_LAST, "summary")
    st.session_state[_LAST] = section
    with st.container(key=f"evidence_section_{section}"):
        _SECTIONS[section](desk, found)


def _without(desk: Desk, served: Served) -> None:
    """There is no evidence at this moment."""
    texts, reason = desk.texts, why_not(served)
    if reason == "loading":
        desk.asks.append(lambda: why_not(served) != "loading")
        st.info(texts("evidence.without.loading"), icon=":material/hourglass_top:")
    elif reason is not None:
        st.warning(
            texts(f"evidence.without.{reason}", version=served.version.version),
            icon=":material/warning:",
        )
    else:
        st.rerun()
