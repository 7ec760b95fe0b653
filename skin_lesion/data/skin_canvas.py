"""Skin to draw on: noise, lattices, spots, lines and outlines, and the colour of it all.

Colour comes from a model of skin: melanin and blood absorb light by the law of Beer and Lambert,
and scales, scars, cysts and the blue veil lie on top as paint.

Everything is computed in double precision and rounded once at the end: rounding differences
between machines do not reach the pixels.
"""

import functools
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Field = NDArray[np.float64]
Colour = tuple[float, float, float]

# How strongly each of red, green and blue is absorbed.
_MELANIN = (0.55, 0.95, 1.35)
_BLOOD = (0.16, 0.95, 0.78)
_SKIN_TONES = np.array(
    [[238, 199, 184], [229, 183, 160], [212, 160, 130], [184, 130, 98], [146, 101, 76]], float
)
# Lines are drawn this many times as large and averaged, which smooths their edges.
_SUPERSAMPLING = 2
# Distance between the rows of a hexagonal lattice, relative to its spacing.
_ROW_DISTANCE = 0.866


@dataclass
class Canvas:
    """A square piece of skin around a lesion.

    Distances are measured in `unit`, the height of a picture at normal zoom, so that lesions look
    the same at any resolution.

    Attributes:
        side: Side of the square in pixels.
        unit: Pixels a unit of length; a picture's height where it is not zoomed.
        random: Source of all that varies.
        melanin: Absorption by melanin, shape (side, side).
        blood: Absorption by blood, shape (side, side).
        paints: What lies on top, in order: opacity, 0 to 1, and colour.
    """

    side: int
    unit: float
    random: np.random.Generator
    melanin: Field = field(init=False)
    blood: Field = field(init=False)
    paints: list[tuple[Field, Colour]] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.melanin = np.zeros((self.side, self.side))
        self.blood = np.zeros((self.side, self.side))

    def between(self, low: float, high: float) -> float:
        """A number drawn evenly."""
        return float(self.random.uniform(low, high))

    def count(self, low: int, high: int) -> int:
        """A whole number drawn evenly, both ends included."""
        return int(self.random.integers(low, high + 1))

    @functools.cached_property
    def grid(self) -> tuple[Field, Field]:
        """Coordinates y and x of the pixels in units, 0 in the middle."""
        axis = (np.arange(self.side) - (self.side - 1) / 2) / self.unit
        y, x = np.meshgrid(axis, axis, indexing="ij")
        return y, x

    def noise(self, scale: float) -> Field:
        """Smooth noise of mean 0 and standard deviation about 1; `scale` is the size of a patch."""
        knots = max(4, round(self.side / (self.unit * scale)) + 3)
        weights = _spline_weights(self.side, knots)
        # B-spline smoothing leaves about half the standard deviation of the knots.
        return weights @ self.random.normal(0.0, 2.1, (knots, knots)) @ weights.T

    def honeycomb(self, spacing: float, wobble: float) -> Field:
        """A bent hexagonal lattice, 0 to 1: bright in the holes, dark along the lines."""
        y, x = self.grid
        y = y + wobble * spacing * self.noise(2.5 * spacing)
        x = x + wobble * spacing * self.noise(2.5 * spacing)
        turn = self.between(0, np.pi)
        waves = sum(
            np.cos(
                (x * np.cos(turn + a) + y * np.sin(turn + a)) * 2 * np.pi / spacing / _ROW_DISTANCE
            )
            for a in (0.0, 2 * np.pi / 3, 4 * np.pi / 3)
        )
        return np.asarray((waves + 1.5) / 4.5)

    def blobs(self, centres: Field, radii: Field, softness: float = 0.35) -> Field:
        """Round spots, opacity 0 to 1; centres (n, 2) as y and x, and radii (n,), in units."""
        result = np.zeros((self.side, self.side))
        for (y, x), radius in zip(centres, radii, strict=True):
            middle = np.array([y, x]) * self.unit + (self.side - 1) / 2
            r = max(radius * self.unit, 0.8)
            stretch, turn = self.between(0.75, 1.0), self.between(0, np.pi)
            low = np.maximum(np.floor(middle - 1.6 * r - 1), 0).astype(int)
            high = np.minimum(np.ceil(middle + 1.6 * r + 2), self.side).astype(int)
            if (low >= high).any():
                continue
            dy, dx = np.ogrid[low[0] : high[0], low[1] : high[1]]
            dy, dx = dy - middle[0], dx - middle[1]
            along = dx * np.cos(turn) + dy * np.sin(turn)
            across = (dy * np.cos(turn) - dx * np.sin(turn)) / stretch
            spot = ramp(1.0 + softness / 2 - np.hypot(along, across) / r, softness)
            window = result[low[0] : high[0], low[1] : high[1]]
            np.maximum(window, spot, out=window)
        return result

    def frayed(self, opacity: Field) -> Field:
        """Give smooth spots an irregular border."""
        return ramp(opacity * (1 + 0.3 * self.noise(0.035)) - 0.3, 0.4)

    def lines(self, paths: list[tuple[Field, float]]) -> Field:
        """Curves, opacity 0 to 1; each a path (n, 2) as y and x and a width, in units."""
        size = self.side * _SUPERSAMPLING
        sheet = Image.new("L", (size, size))
        pen = ImageDraw.Draw(sheet)
        for path, width in paths:
            points = (path * self.unit + self.side / 2) * _SUPERSAMPLING
            thickness = max(1, round(width * self.unit * _SUPERSAMPLING))
            pen.line([(x, y) for y, x in points.tolist()], fill=255, width=thickness, joint="curve")
        return np.asarray(sheet.reduce(_SUPERSAMPLING), dtype=np.float64) / 255

    def paint(self, opacity: Field, colour: Colour) -> None:
        """Lay colour on top."""
        self.paints.append((opacity, colour))

    def develop(self) -> Field:
        """The finished skin as RGB, 0 to 255, shape (side, side, 3)."""
        tone = float(self.random.beta(1.3, 3.0)) * (len(_SKIN_TONES) - 1.001)
        lower = int(tone)
        skin = _SKIN_TONES[lower] + (tone - lower) * (_SKIN_TONES[lower + 1] - _SKIN_TONES[lower])
        skin = skin + self.random.normal(0, 5, 3)
        melanin = self.melanin + 0.035 * self.noise(0.35) + 0.02 * self.noise(0.02)
        blood = self.blood + 0.06 * self.noise(0.5) + 0.025 * self.noise(0.06)
        planes = [
            base * np.exp(-np.maximum(melanin * brown + blood * red, -0.15))
            for base, brown, red in zip(skin, _MELANIN, _BLOOD, strict=True)
        ]
        for opacity, colour in self.paints:
            cover = np.clip(opacity, 0, 1)
            for plane, level in zip(planes, colour, strict=True):
                plane += cover * (level - plane)
        return np.asarray(np.clip(np.stack(planes, axis=-1), 0, 255))


@dataclass
class Outline:
    """The shape of a lesion on its canvas.

    Attributes:
        depth: 1 at the centre, 0 on the border, negative outside, shape (side, side).
        angle: Direction from the centre in radians, shape (side, side).
        radius: Mean radius in units.
        centre: (y, x) in units.
    """

    depth: Field
    angle: Field
    radius: float
    centre: tuple[float, float]

    def inside(self, softness: float) -> Field:
        """1 inside, 0 outside, with a border of this width relative to the radius."""
        return ramp(self.depth + softness / 2, softness)


@functools.cache
def _spline_weights(side: int, knots: int) -> Field:
    """Cubic B-spline weights of evenly spread knots at each pixel, shape (side, knots)."""
    position = np.linspace(1, knots - 2, side)[:, None] - np.arange(knots)[None, :]
    distance = np.abs(position)
    near = 2 / 3 - distance**2 + distance**3 / 2
    far = np.maximum(2 - distance, 0) ** 3 / 6
    return np.where(distance < 1, near, far)


def ramp(value: Field, width: float) -> Field:
    """A smooth step from 0 to 1 while the value goes from 0 to `width`."""
    t = np.clip(value / width, 0, 1)
    return np.asarray(t * t * (3 - 2 * t))


def outline(
    canvas: Canvas, radius: tuple[float, float], roundness: tuple[float, float], ragged: float
) -> Outline:
    """Draw a closed shape: an ellipse with waves on its border.

    Args:
        canvas: Where.
        radius: Range of the mean radius in units.
        roundness: Range of the ratio of the axes.
        ragged: Height of the waves relative to the radius; 0 gives an ellipse.
    """
    mean = canvas.between(*radius)
    ratio = canvas.between(*roundness)
    turn = canvas.between(0, np.pi)
    centre = (canvas.between(-0.05, 0.05), canvas.between(-0.05, 0.05))
    y, x = canvas.grid
    along = (x - centre[1]) * np.cos(turn) + (y - centre[0]) * np.sin(turn)
    across = (y - centre[0]) * np.cos(turn) - (x - centre[1]) * np.sin(turn)
    angle = np.arctan2(across, along)
    orders = np.arange(2, 8)
    heights = ragged * canvas.random.normal(0, 1, orders.size) / np.sqrt(orders - 1)
    phases = canvas.random.uniform(0, 2 * np.pi, orders.size)
    around = np.linspace(-np.pi, np.pi, 361)
    border = 1 + (heights * np.cos(orders * around[:, None] + phases)).sum(axis=1)
    distance = np.hypot(along * np.sqrt(ratio), across / np.sqrt(ratio)) / mean
    depth = 1 - distance / np.interp(angle, around, np.maximum(border, 0.35))
    return Outline(depth, angle, mean, centre)
