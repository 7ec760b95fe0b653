"""One look for all figures: colour-blind safe, quiet, and without matplotlib's global state."""

from io import BytesIO
from typing import TYPE_CHECKING

from skin_lesion.labels import LABELS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#222222"
MUTED = "#6b6b6b"
GRID = "#e3e3e3"
BLUE = "#0072B2"
ORANGE = "#D55E00"
GREEN = "#009E73"
PURPLE = "#CC79A7"
# Okabe and Ito's colours without their yellow, which is too pale for lines on white.
CLASS_COLOURS: dict[str, str] = dict(
    zip(LABELS, ("#E69F00", "#56B4E9", GREEN, "#000000", ORANGE, BLUE, PURPLE), strict=True)
)
# Short enough for an axis; the code stands beside the name everywhere.
CLASS_NAMES: dict[str, str] = {
    "akiec": "Actinic keratosis / Bowen",
    "bcc": "Basal cell carcinoma",
    "bkl": "Benign keratosis",
    "df": "Dermatofibroma",
    "mel": "Melanoma",
    "nv": "Melanocytic naevus",
    "vasc": "Vascular lesion",
}
DPI = 130


def new_figure(width: float, height: float) -> "Figure":
    """An empty figure that lays itself out.

    Args:
        width: In inches.
        height: In inches.
    """
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=DPI, layout="constrained", facecolor="white")


def dress(axes: "Axes", title: str, x: str, y: str) -> None:
    """Give axes the common look, with a title and the names of both axes."""
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold", color=INK, pad=10)
    axes.set_xlabel(x, fontsize=9.5, color=INK)
    axes.set_ylabel(y, fontsize=9.5, color=INK)
    axes.tick_params(labelsize=8.5, colors=INK, length=3, color=MUTED)
    axes.grid(color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(MUTED)


def png(figure: "Figure") -> bytes:
    """The figure as a PNG picture, the same bytes for the same figure."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    buffer = BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()
