"""Which operating point the user looks at: chosen on one page, kept on all."""

import streamlit as st

from app.desk import Desk
from skin_lesion.decisions import OperatingPoint
from skin_lesion.modeling.bundle import Contract
from skin_lesion.texts import Texts

# In the session's state, shared by all pages. A widget's own key is forgotten on other pages.
_CHOSEN = "operating_point"
# What is chosen until somebody chooses: melanomas are what must not be missed.
_PREFERRED = "melanoma_sensitivity_95"


def current_point(contract: Contract) -> OperatingPoint | None:
    """The operating point that the user chose; None where the model has none.

    One that this model does not have is not forgotten: the next model may have it.
    """
    points = _points(contract)
    wanted = st.session_state.get(_CHOSEN, _PREFERRED)
    return next((point for point in points if point.name == wanted), points[0] if points else None)


def choose_point(desk: Desk, contract: Contract, *, key: str) -> OperatingPoint | None:
    """Let the user choose an operating point.

    Args:
        desk: What the page works with.
        contract: Of the model.
        key: Of the widget, unique on the page.

    Returns:
        The chosen one; None where the model has none, and nothing is drawn.
    """
    points = {point.name: point for point in _points(contract)}
    current = current_point(contract)
    if current is None:
        return None

    def keep() -> None:
        st.session_state[_CHOSEN] = st.session_state[key]

    if st.session_state.get(key) != current.name:  # another page chose another one
        st.session_state[key] = current.name
    chosen = st.selectbox(
        desk.texts("answer.point.label"),
        list(points),
        format_func=lambda name: point_name(desk.texts, points[name]),
        key=key,
        on_change=keep,
    )
    return points[chosen]


def point_name(texts: Texts, point: OperatingPoint) -> str:
    """What an operating point is called: what it looks for, and what was asked of it."""
    return texts(
        f"answer.point.by_{point.criterion}",
        target=texts(f"answer.point.{point.target}"),
        goal=texts.percent(point.goal),
    )


def _points(contract: Contract) -> tuple[OperatingPoint, ...]:
    return contract.decisions.operating_points if contract.decisions else ()
