"""Hair, rulers and surgical ink, drawn onto pictures of skin.

Lengths are shares of the shorter side of the picture. How they look follows the pictures of
HAM10000 that hold them.
"""

import numpy as np
from numpy.typing import NDArray

from skin_lesion.data.skin_canvas import Canvas, Field, ramp

Pixels = NDArray[np.uint8]
Light = NDArray[np.float32]

# A path (n, 2) as y and x from the middle, and a width.
Stroke = tuple[Field, float]

MOST_HAIRS = 44
MOST_STROKES = 7
_HAIR_COLOURS = np.array([(30, 22, 20), (52, 36, 28), (88, 64, 46)], np.float32)
_TICK_COLOUR = np.array((34, 33, 38), np.float32)
# What blue and violet marker ink let through of red, green and blue.
_INKS = np.array([(0.30, 0.36, 0.86), (0.42, 0.28, 0.80)])


def _canvas(picture: Pixels, random: np.random.Generator) -> Canvas:
    return Canvas(max(picture.shape[:2]), min(picture.shape[:2]), random)


def _cropped(sheet: Field, picture: Pixels) -> Light:
    """The part of a square sheet that lies on the picture, shape (H, W, 1)."""
    height, width = picture.shape[:2]
    top, left = (sheet.shape[0] - height) // 2, (sheet.shape[1] - width) // 2
    return sheet[top : top + height, left : left + width, None].astype(np.float32)


def add_hair(picture: Pixels, count: float, random: np.random.Generator) -> Light:
    """Curved hairs of about one direction, thinner towards their ends.

    Args:
        picture: RGB, shape (H, W, 3).
        count: Hairs, 0 to `MOST_HAIRS`.
        random: Equal states give equal hairs; more hairs hold the fewer ones.

    Returns:
        RGB, 0 to 255, shape (H, W, 3).
    """
    canvas = _canvas(picture, random)
    n = MOST_HAIRS
    extent = np.array(picture.shape[:2]) / canvas.unit / 2
    middles = random.uniform(-extent, extent, (n, 2))
    stray = np.where(random.random(n) < 0.2, 1.2, 0.3)
    heading = random.uniform(0, np.pi) + random.normal(0, 1, n) * stray
    steps = np.stack([np.sin(heading), np.cos(heading)], 1) * random.uniform(0.15, 0.55, (n, 1))
    bends = middles + random.normal(0, 0.12, (n, 2))
    widths = random.uniform(0.005, 0.011, n)
    fair = random.random(n) < 0.35
    t = np.linspace(0, 1, 15)[:, None]
    thick: list[Stroke] = []
    thin: list[Stroke] = []
    for i in range(round(count)):
        path = (1 - t) ** 2 * (middles[i] - steps[i]) + 2 * t * (1 - t) * bends[i]
        path += t**2 * (middles[i] + steps[i])
        thin.append((path, 0.6 * widths[i]))
        if not fair[i]:
            thick.append((path[3:-3], widths[i]))
    cover = np.maximum(0.65 * canvas.lines(thin), 0.88 * canvas.lines(thick))
    return _painted(picture, _cropped(cover, picture), random.choice(_HAIR_COLOURS))


def add_ruler(picture: Pixels, length: float, random: np.random.Generator) -> Light:
    """Marks of a scale along one edge, every fifth of them longer, never quite straight.

    Args:
        picture: RGB, shape (H, W, 3).
        length: Longest mark in per cent of the shorter side.
        random: Equal states give a scale in the same place.

    Returns:
        RGB, 0 to 255, shape (H, W, 3).
    """
    canvas = _canvas(picture, random)
    height, width = np.array(picture.shape[:2]) / canvas.unit
    lying, far = random.random() < 0.5, random.random() < 0.5
    depth, along = (height, width) if lying else (width, height)
    inset, tilt = random.uniform(0.01, 0.05), random.uniform(-0.06, 0.06)
    pitch, thickness = random.uniform(0.035, 0.06), random.uniform(0.007, 0.012)
    places = np.arange(random.uniform(0, pitch), along, pitch) - along / 2
    reach = np.where(np.arange(len(places)) % 5 == 0, 1.0, 0.55) * length / 100
    marks: list[Stroke] = []
    for place, mark in zip(places, reach, strict=True):
        start = inset + tilt * (place + along / 2 if tilt > 0 else place - along / 2)
        ends = np.array([[start, place], [start + mark, place - tilt * mark]])
        ends[:, 0] = (depth / 2 - ends[:, 0]) * (1 if far else -1)
        marks.append((ends if lying else ends[:, ::-1], thickness))
    return _painted(picture, 0.88 * _cropped(canvas.lines(marks), picture), _TICK_COLOUR)


def add_ink(picture: Pixels, count: float, random: np.random.Generator) -> Light:
    """Broad marker strokes around the lesion, frayed where ink runs along the creases of skin.

    Args:
        picture: RGB, shape (H, W, 3).
        count: Strokes, 1 to `MOST_STROKES`.
        random: Equal states give equal strokes; more strokes hold the fewer ones.

    Returns:
        RGB, 0 to 255, shape (H, W, 3).
    """
    from scipy.ndimage import gaussian_filter

    canvas = _canvas(picture, random)
    strokes = _strokes_beside(picture, canvas)[: round(count)]
    body = gaussian_filter(canvas.lines(strokes).astype(np.float32), 0.018 * canvas.unit)
    creases = 0.16 * canvas.noise(0.06) + 0.17 * canvas.noise(0.014)
    # No crease carries ink to where there is none.
    wet = ramp(body - 0.4 + creases * ramp(body, 0.25), 0.4)
    cover = wet * canvas.between(0.72, 0.92) * (1 + 0.12 * creases)
    through = _INKS[0] + canvas.between(0, 1) * (_INKS[1] - _INKS[0])
    light: Light = picture * (1 - _cropped(cover, picture) * (1 - through).astype(np.float32))
    return light


def _strokes_beside(picture: Pixels, canvas: Canvas) -> list[Stroke]:
    """Strokes around the lesion, those with most room between it and the picture's edge first."""
    centre, radius = _lesion(picture, canvas.unit)
    n, random = MOST_STROKES, canvas.random
    angles = random.uniform(0, 2 * np.pi) + np.arange(n) * 2 * np.pi / n
    angles = angles + random.normal(0, 0.15, n)
    ways = np.stack([np.sin(angles), np.cos(angles)], axis=1)
    extent = np.array(picture.shape[:2]) / canvas.unit / 2
    # Distance from the lesion's centre to the edge of the picture, along each way.
    room = (np.maximum(extent - centre * np.sign(ways), 0) / np.maximum(np.abs(ways), 1e-9)).min(1)
    distances = np.minimum(1.2 * radius + random.uniform(0.09, 0.18, n), room - 0.02)
    spans = random.uniform(0.1, 0.24, n)
    widths = random.uniform(0.06, 0.12, n)
    leans = random.normal(0, 0.3, n)
    t = np.linspace(-1, 1, 9)[:, None]
    strokes: list[Stroke] = []
    for i in np.argsort(random.normal(0, 0.08, n) - room, kind="stable"):
        across = np.array([ways[i, 1], -ways[i, 0]]) + leans[i] * ways[i]
        bend = distances[i] - 0.25 * spans[i] * t**2
        strokes.append((centre + bend * ways[i] + spans[i] * t * across, float(widths[i])))
    return strokes


def _painted(picture: Pixels, cover: Light, colour: Light) -> Light:
    light: Light = picture.astype(np.float32)
    return light + cover * (colour - light)


def _lesion(picture: Pixels, unit: float) -> tuple[Field, float]:
    """Roughly where what is darker than skin lies: (y, x) from the middle and radius, in units."""
    step = max(1, min(picture.shape[:2]) // 30)
    grey = picture[::step, ::step].mean(axis=2)
    y, x = ((np.arange(n) - (n - 1) / 2) * step / unit for n in grey.shape)
    near = np.exp(-((y[:, None] ** 2 + x[None, :] ** 2) / 0.35**2))
    dark = np.maximum(np.quantile(grey, 0.7) - grey - 20, 0) * near
    total = dark.sum()
    if total == 0:
        return np.zeros(2), 0.25
    centre = np.array([(dark.sum(axis=1) * y).sum(), (dark.sum(axis=0) * x).sum()]) / total
    away = np.hypot(y[:, None] - centre[0], x[None, :] - centre[1])
    radius = 1.6 * np.sqrt((dark * away**2).sum() / total)
    return centre, float(np.clip(radius, 0.1, 0.45))
