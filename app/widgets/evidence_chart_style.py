"""What all charts of the evidence have in common: the dark look, axes, and colours that dashes back."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import altair as alt

BLUE, ORANGE, GREEN, MUTED, INK = "#5cc8ff", "#ffb056", "#8fd694", "#7f93a5", "#e6edf3"
DASHED, DOTTED = [6, 4], [2, 3]
# Vega knows no language; where an axis needs a decimal separator, it is put in.
PER_CENT = "format(100 * datum.value, '.0f') + '\u00a0%'"
FINE_PER_CENT = (
    "(100 * datum.value < 1 ? replace(format(100 * datum.value, '.1f'), '.', '{point}') "
    ": format(100 * datum.value, '.0f')) + '\u00a0%'"
)
NUMBER = "replace(format(datum.value, '.2f'), '.', '{point}')"


def share_axis(alt: Any, field: str, title: str, *, vertical: bool = False) -> Any:
    """An axis from 0 to 100 %."""
    channel = alt.Y if vertical else alt.X
    return channel(
        field,
        scale=alt.Scale(domain=[0, 1]),
        axis=alt.Axis(labelExpr=PER_CENT, title=title),
    )


def end(known: float | None, value: float | None) -> float | None:
    """An end of an interval; a figure without one is drawn as a point."""
    return value if known is None else known


def chart(alt: Any, rows: Sequence[Mapping[str, object]]) -> Any:
    """A chart of these rows, to be drawn and encoded."""
    return alt.Chart(alt.Data(values=list(rows)))


def dress(plain: Any, description: str, height: int) -> "alt.LayerChart":
    """Give a chart its look, and the words that a screen reader reads out."""
    dressed: alt.LayerChart = (
        plain.properties(height=height, description=description)
        .configure_axis(
            labelColor="#c6d3df", titleColor="#c6d3df", gridColor="#22303c", labelFontSize=12,
            titleFontSize=12, titleFontWeight="normal", domainColor="#3a4d5e", tickColor="#3a4d5e",
        )
        .configure_legend(labelColor="#e6edf3", labelFontSize=13)
        .configure_view(strokeWidth=0)
    )  # fmt: skip
    return dressed
