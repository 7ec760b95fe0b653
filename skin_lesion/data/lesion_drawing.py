"""Draw one skin lesion of each kind, seen through an imaginary dermatoscope.

What makes each kind recognisable follows the criteria dermatologists use; what varies at random is
size, shape, colour and texture, so that no two lesions look alike.
"""

from collections.abc import Callable

import numpy as np
from scipy import ndimage

from skin_lesion.data.skin_canvas import Canvas, Colour, Field, Outline, outline, ramp

_WHITE: Colour = (240, 232, 224)
_SCALE: Colour = (238, 222, 190)
_KERATIN: Colour = (226, 190, 118)
_VEIL: Colour = (112, 128, 158)
_SLATE: Colour = (86, 92, 118)
_BLACK: Colour = (28, 20, 20)


def _scatter(canvas: Canvas, shape: Outline, count: int, low: float, high: float) -> Field:
    """Random places between two relative distances from the centre, (count, 2) in units."""
    angle = canvas.random.uniform(0, 2 * np.pi, count)
    distance = shape.radius * np.sqrt(canvas.random.uniform(low**2, high**2, count))
    places = np.stack([distance * np.sin(angle), distance * np.cos(angle)], axis=1)
    return np.asarray(places + np.array(shape.centre))


def _sizes(canvas: Canvas, count: int, low: float, high: float) -> Field:
    return canvas.random.uniform(low, high, count)


def _network(canvas: Canvas, spacing: float, wobble: float) -> Field:
    """Lines of a pigment network, 0 to 1; here thicker, there thinner."""
    thickness = 0.38 + 0.09 * canvas.noise(3 * spacing)
    return ramp(thickness - canvas.honeycomb(spacing, wobble), 0.38)


def _tree(
    canvas: Canvas, start: Field, heading: float, length: float, width: float
) -> list[tuple[Field, float]]:
    """A vessel that branches and gets thinner."""
    steps = 9
    bends = heading + np.cumsum(canvas.random.normal(0, 0.22, steps))
    moves = np.stack([np.sin(bends), np.cos(bends)], axis=1) * (length / steps)
    path = np.vstack([start, start + np.cumsum(moves, axis=0)])
    branches = [(path, width)]
    if width > 0.006:
        for _ in range(canvas.count(2, 3)):
            fork = path[canvas.count(2, steps)]
            side = heading + canvas.random.choice([-1, 1]) * canvas.between(0.5, 1.1)
            branches += _tree(
                canvas, fork, float(side), length * canvas.between(0.45, 0.75), width * 0.6
            )
    return branches


def _naevus(canvas: Canvas) -> None:
    """Even brown, round, with a regular network or globules that fade at the border."""
    shape = outline(canvas, (0.17, 0.40), (0.62, 1.0), 0.035)
    body = shape.inside(canvas.between(0.25, 0.6))
    tone = canvas.between(0.35, 1.1) * (1 + 0.12 * canvas.noise(0.12))
    centre = canvas.between(-0.35, 0.5)
    canvas.melanin += body * tone * (1 + centre * np.clip(shape.depth, 0, 1))
    canvas.blood += body * canvas.between(0.0, 0.35)
    if canvas.random.random() < 0.65:
        net = _network(canvas, canvas.between(0.045, 0.07), 0.22)
        canvas.melanin += net * body * canvas.between(0.45, 0.9)
    else:
        places = _scatter(canvas, shape, canvas.count(40, 110), 0.0, 0.92)
        spots = canvas.blobs(places, _sizes(canvas, len(places), 0.011, 0.021), 0.8)
        canvas.melanin += spots * body * canvas.between(0.5, 0.9)


def _melanoma(canvas: Canvas) -> None:
    """Lopsided, ragged and of many colours, with a blue veil, streaks, blotches and regression."""
    shape = outline(canvas, (0.25, 0.45), (0.55, 0.92), canvas.between(0.09, 0.15))
    side = canvas.between(-np.pi, np.pi)
    rays = np.cos(canvas.count(15, 24) * shape.angle + 0.8 * canvas.noise(0.1))
    streaks = canvas.between(0.0, 0.07) * ramp(np.cos(shape.angle - side) - 0.2, 0.8) * rays
    shape.depth = shape.depth + streaks + 0.06 * canvas.noise(0.08) + 0.02 * canvas.noise(0.03)
    body = shape.inside(canvas.between(0.08, 0.22))
    lean = ramp(np.cos(shape.angle - side) + 0.5 * canvas.noise(0.2) + 0.4, 1.6)
    mottle = 1 + 0.2 * canvas.noise(0.06)
    canvas.melanin += body * mottle * (canvas.between(0.45, 0.9) + canvas.between(0.7, 1.4) * lean)
    net = _network(canvas, canvas.between(0.06, 0.10), 0.5)
    canvas.melanin += net * body * ramp(canvas.noise(0.22), 0.9) * canvas.between(0.6, 1.1)
    canvas.blood += body * ramp(canvas.noise(0.25) - 0.3, 0.9) * canvas.between(0.4, 0.9)
    blotch = ramp(canvas.noise(0.16) + 0.3 * canvas.noise(0.05) + 0.7 * lean - 0.8, 0.9)
    canvas.melanin += body * blotch * canvas.between(0.8, 1.8)
    veil = ramp(canvas.noise(0.2) + 0.6 * lean - 0.3, 1.0) * ramp(shape.depth - 0.05, 0.3)
    canvas.paint(veil * canvas.between(0.45, 0.75) * mottle, _VEIL)
    if canvas.random.random() < 0.6:
        scar = ramp(canvas.noise(0.2) - 0.5 * lean - 0.3, 0.8) * ramp(shape.depth - 0.1, 0.25)
        canvas.paint(scar * canvas.between(0.35, 0.65), _WHITE)
    places = _scatter(canvas, shape, canvas.count(8, 30), 0.5, 1.1)
    dots = canvas.blobs(places, _sizes(canvas, len(places), 0.006, 0.02), 0.8)
    canvas.paint(dots * 0.8, _BLACK)


def _keratosis(canvas: Canvas) -> None:
    """Waxy and stuck on: a sharp border, brain-like furrows, white cysts and dark openings."""
    shape = outline(canvas, (0.24, 0.44), (0.58, 0.95), 0.06)
    shape.depth = shape.depth + 0.045 * canvas.noise(0.07) + 0.015 * canvas.noise(0.025)
    body = shape.inside(0.07)
    grain = 1 + 0.3 * canvas.noise(0.12) + 0.25 * canvas.noise(0.03)
    canvas.paint(body * canvas.between(0.15, 0.5), _KERATIN)
    canvas.melanin += body * canvas.between(0.25, 0.9) * grain
    rim = body * ramp(0.18 - shape.depth, 0.18)
    canvas.melanin += rim * canvas.between(0.0, 0.4)
    furrows = ramp(0.3 - np.abs(canvas.noise(canvas.between(0.05, 0.09))), 0.3)
    canvas.melanin += furrows * body * canvas.between(0.25, 0.7)
    places = _scatter(canvas, shape, canvas.count(5, 16), 0.0, 0.88)
    openings = canvas.blobs(places, _sizes(canvas, len(places), 0.01, 0.027), 0.6)
    canvas.paint(canvas.frayed(openings) * body * 0.75, (74, 46, 30))
    places = _scatter(canvas, shape, canvas.count(9, 26), 0.0, 0.88)
    cysts = canvas.blobs(places, _sizes(canvas, len(places), 0.009, 0.024), 1.0)
    canvas.paint(cysts * body * canvas.between(0.7, 0.9), (250, 240, 214))


def _basal_cell(canvas: Canvas) -> None:
    """Pink and translucent, with branching vessels in focus and slate-blue nests."""
    shape = outline(canvas, (0.22, 0.42), (0.62, 1.0), 0.07)
    body = shape.inside(canvas.between(0.3, 0.55))
    canvas.blood += body * canvas.between(0.12, 0.4) * (1 + 0.35 * canvas.noise(0.15))
    canvas.paint(body * canvas.between(0.1, 0.35), (236, 204, 200))
    if canvas.random.random() < 0.85:
        places = _scatter(canvas, shape, canvas.count(3, 11), 0.1, 0.95)
        nests = canvas.blobs(places, _sizes(canvas, len(places), 0.022, 0.07), 0.9)
        canvas.paint(canvas.frayed(nests) * canvas.between(0.5, 0.8), _SLATE)
    vessels: list[tuple[Field, float]] = []
    for start in _scatter(canvas, shape, canvas.count(2, 5), 0.6, 1.05):
        inward = np.arctan2(shape.centre[0] - start[0], shape.centre[1] - start[1])
        heading = float(inward) + canvas.between(-0.7, 0.7)
        vessels += _tree(canvas, start, heading, shape.radius * 1.1, canvas.between(0.010, 0.017))
    canvas.paint(canvas.lines(vessels) * canvas.between(0.55, 0.75), (176, 36, 42))
    if canvas.random.random() < 0.35:
        places = _scatter(canvas, shape, 1, 0.0, 0.5)
        ulcer = canvas.frayed(canvas.blobs(places, _sizes(canvas, 1, 0.04, 0.09), 0.9))
        canvas.paint(ulcer * 0.8, (164, 84, 40))


def _actinic(canvas: Canvas) -> None:
    """A strawberry: red between pale follicles in rows, under patches of scale."""
    shape = outline(canvas, (0.26, 0.46), (0.6, 1.0), 0.07)
    shape.depth = shape.depth + 0.12 * canvas.noise(0.14)
    body = shape.inside(canvas.between(0.45, 0.75))
    canvas.blood += (
        body
        * canvas.between(0.45, 0.95)
        * (1 + 0.18 * canvas.noise(0.12) + 0.08 * canvas.noise(0.03))
    )
    canvas.melanin += body * canvas.between(0.0, 0.22)
    lattice = canvas.honeycomb(canvas.between(0.06, 0.09), 0.3) + 0.08 * canvas.noise(0.1)
    canvas.paint(ramp(lattice - 0.42, 0.5) * body * canvas.between(0.5, 0.8), (244, 212, 194))
    texture = canvas.noise(0.10) + 0.5 * canvas.noise(0.03)
    scale = ramp(texture - canvas.between(0.6, 1.2), 0.9)
    canvas.paint(scale * body * canvas.between(0.6, 0.85), _SCALE)
    places = _scatter(canvas, shape, canvas.count(0, 40), 0.0, 0.9)
    dots = canvas.blobs(places, _sizes(canvas, len(places), 0.006, 0.011), 0.8)
    canvas.paint(dots * body * 0.55, (150, 30, 40))


def _fibroma(canvas: Canvas) -> None:
    """Small and round: a white scar in the middle of a delicate brown network."""
    shape = outline(canvas, (0.19, 0.33), (0.72, 1.0), 0.04)
    body = shape.inside(canvas.between(0.5, 0.85))
    middle = canvas.between(0.4, 0.6)
    ring = body * (1 - ramp(shape.depth - middle, 0.3))
    canvas.melanin += ring * canvas.between(0.2, 0.5) * (1 + 0.2 * canvas.noise(0.1))
    canvas.blood += body * canvas.between(0.0, 0.35)
    net = _network(canvas, canvas.between(0.036, 0.055), 0.3)
    canvas.melanin += net * ring * canvas.between(0.25, 0.6)
    cloud = 0.10 * canvas.noise(0.07) + 0.05 * canvas.noise(0.025)
    scar = ramp(shape.depth - middle + 0.05 + cloud, 0.32)
    canvas.paint(scar * canvas.between(0.6, 0.85), _WHITE)


def _vascular(canvas: Canvas) -> None:
    """Red, maroon or blue-black lakes, sharply set apart by paler walls."""
    shape = outline(canvas, (0.17, 0.38), (0.6, 1.0), 0.06)
    body = shape.inside(canvas.between(0.25, 0.6))
    canvas.blood += body * canvas.between(0.25, 0.8) * (1 + 0.2 * canvas.noise(0.1))
    places = _scatter(canvas, shape, canvas.count(12, 34), 0.0, 0.9)
    radii = _sizes(canvas, len(places), 0.03, 0.075) * (shape.radius / 0.28)
    lakes = canvas.frayed(canvas.blobs(places, radii, 0.45))
    canvas.blood += lakes * canvas.between(0.8, 1.7) * (1 + 0.25 * canvas.noise(0.06))
    canvas.paint(lakes * canvas.between(0.0, 0.55), (78, 36, 92))
    if canvas.random.random() < 0.35:
        clot = canvas.frayed(canvas.blobs(places[:4], radii[:4], 0.6))
        canvas.paint(clot * 0.75, (36, 16, 30))
    walls = ndimage.gaussian_filter(lakes, 0.012 * canvas.unit) - lakes
    canvas.paint(ramp(walls, 0.5) * 0.4, (240, 206, 206))


_DRAWN: dict[str, Callable[[Canvas], None]] = {
    "akiec": _actinic,
    "bcc": _basal_cell,
    "bkl": _keratosis,
    "df": _fibroma,
    "mel": _melanoma,
    "nv": _naevus,
    "vasc": _vascular,
}


def draw_skin(label: str, unit: float, random: np.random.Generator) -> Field:
    """Draw a piece of skin with one lesion in its middle.

    Args:
        label: Its diagnosis, one of `LABELS`.
        unit: Pixels a unit of length, the height of a picture.
        random: Source of all that varies.

    Returns:
        RGB, 0 to 255, float64, shape (side, side, 3); the side is one and a half units.
    """
    canvas = Canvas(round(1.5 * unit), unit, random)
    _DRAWN[label](canvas)
    return canvas.develop()
