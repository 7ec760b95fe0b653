"""Shapes that say without colour what a colour says; `shapes.css` draws them in the text's colour.

They are for the eye, so hidden from screen readers: words stand beside each.
"""

from app.clinic.risk import RiskLevel
from skin_lesion.decisions import Confidence


def risk_shape(level: RiskLevel | None) -> str:
    """Circle, diamond, triangle, octagon from no signal to very high; a dashed square for none."""
    return _shape(f"risk-{level or 'none'}")


def confidence_shape(band: Confidence | None) -> str:
    """Three bars, of which as many are filled as the model is sure."""
    return _shape(f"confidence-{band or 'none'}")


def refusal_shape() -> str:
    """A crossed circle."""
    return _shape("refusal")


def flag_shape(*, raised: bool) -> str:
    """A flag that is filled where something was found, and outlined where it was not."""
    return _shape("flag-raised" if raised else "flag")


def _shape(name: str) -> str:
    return f'<span class="sl-shape sl-shape-{name}" aria-hidden="true"></span>'
