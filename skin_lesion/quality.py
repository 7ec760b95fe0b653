"""Whether a picture is good enough to be assessed at all.

Everything is measured on a copy of one fixed size, so that a figure means the same whatever the
size of the model's input. Only what the file itself says, its sides, is judged as it came.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from skin_lesion.decisions import Limits

QualityReason = Literal[
    "too_small", "odd_shape", "too_dark", "too_bright", "blank", "too_blurred", "not_skin"
]
# Codes that callers see, in the order in which they take precedence over one another.
QUALITY_REASONS: tuple[QualityReason, ...] = get_args(QualityReason)

_WORKING_SIZE = (96, 72)
_LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
_NEARLY_BLACK = 25.0
_NEARLY_WHITE = 250.0
# Darker pixels have no colour to speak of: there, one grey level changes any ratio of channels.
_COLOURED = 40.0
# Skin and lesions reflect red more than green. Blue may exceed red: pictures of HAM10000 run from
# orange to violet, and blue veils and nests lie on top.
_LEAST_RED_TO_GREEN = 2.0**0.02
_LEAST_RED_TO_BLUE = 2.0**-0.3
# Keeps the logarithm of an even surface finite.
_LEAST_VARIANCE = 1e-3


@dataclass(frozen=True)
class Quality:
    """Measures of one picture.

    Attributes:
        sharpness: Decimal logarithm of the variance of the Laplacian of luminance (Pech-Pacheco et
            al., ICPR 2000); -3 for an even surface, about 2 for a sharp dermatoscopic picture.
        brightness: Mean luminance of the brighter half of the pixels, 0 to 255. It tells how well
            the picture is lit; a dark lesion hardly changes it.
        dark_share: Share of nearly black pixels, 0 to 1.
        bright_share: Share of nearly white pixels, 0 to 1.
        contrast: Standard deviation of luminance, 0 to 127.5.
        skin_likeness: Share of the pixels bright enough to have a colour that could be skin or
            lesion by that colour, 0 to 1.
        short_side: Shorter side of the source picture in pixels.
        aspect: Ratio of its longer side to its shorter one, at least 1.
    """

    sharpness: float
    brightness: float
    dark_share: float
    bright_share: float
    contrast: float
    skin_likeness: float
    short_side: float
    aspect: float


@dataclass(frozen=True)
class _Bad:
    """One way of being bad: on which side of its range a measure lies, and what that is called."""

    measure: str
    too_low: bool
    reason: QualityReason

    def refuses(self, value: float, limits: Limits) -> bool:
        end = limits.low if self.too_low else limits.high
        return end is not None and (value < end if self.too_low else value > end)


_FIXED = (_Bad("short_side", True, "too_small"), _Bad("aspect", False, "odd_shape"))
_FITTED = (
    _Bad("brightness", True, "too_dark"),
    _Bad("dark_share", False, "too_dark"),
    _Bad("brightness", False, "too_bright"),
    _Bad("bright_share", False, "too_bright"),
    _Bad("contrast", True, "blank"),
    _Bad("sharpness", True, "too_blurred"),
    _Bad("skin_likeness", True, "not_skin"),
)
_MEASURES = frozenset(bad.measure for bad in (*_FIXED, *_FITTED))
# No limit is ever stricter than this, however rare such pictures are where it is fitted: pictures of
# HAM10000 that go as far can well be assessed. A black lesion, a dark rim, a reflection or white
# balance without a tint is no reason to refuse.
_HARMLESS = {
    ("brightness", "too_dark"): 100.0,
    ("dark_share", "too_dark"): 0.3,
    ("brightness", "too_bright"): 240.0,
    ("bright_share", "too_bright"): 0.1,
    ("contrast", "blank"): 6.0,
    ("sharpness", "too_blurred"): 1.15,
    ("skin_likeness", "not_skin"): 0.5,
}
# Floating-point slack of a share of a whole number of pictures.
_ROUNDING = 1e-9


def measure(pixels: NDArray[np.uint8], source_height: int, source_width: int) -> Quality:
    """Measure one picture.

    Args:
        pixels: RGB as the model sees it, 0 to 255, shape (H, W, 3).
        source_height: Height of the upright picture as encoded, in pixels.
        source_width: Width of it.

    Raises:
        ValueError: No such pixels or sides.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ValueError(
            f"got {pixels.dtype} pixels of shape {pixels.shape}; expected uint8 RGB (H, W, 3)"
        )
    short, long = sorted((source_height, source_width))
    if short < 1:
        raise ValueError(
            f"the source picture is {source_width} x {source_height}; expected at least 1 x 1"
        )
    image = Image.fromarray(np.ascontiguousarray(pixels))
    small = np.asarray(image.resize(_WORKING_SIZE, Image.Resampling.BICUBIC), dtype=np.float32)
    grey = small @ _LUMINANCE
    return Quality(
        sharpness=float(np.log10(_laplacian(grey).var() + _LEAST_VARIANCE)),
        brightness=float(np.sort(grey, axis=None)[grey.size // 2 :].mean()),
        dark_share=float((grey <= _NEARLY_BLACK).mean()),
        bright_share=float((grey >= _NEARLY_WHITE).mean()),
        contrast=float(grey.std()),
        skin_likeness=_skin_likeness(small, grey),
        short_side=float(short),
        aspect=long / short,
    )


def judge(quality: Quality, limits: Mapping[str, Limits]) -> QualityReason | None:
    """Why a picture is not good enough.

    Args:
        quality: Its measures.
        limits: Acceptable range of each measure by its name; a measure without one is not judged.

    Returns:
        The first of `QUALITY_REASONS` that applies; None where the picture is acceptable.

    Raises:
        ValueError: Limits of a measure that does not exist.
    """
    if not limits.keys() <= _MEASURES:
        raise ValueError(
            f"there are limits of {sorted(limits.keys() - _MEASURES)}; "
            f"expected some of {sorted(_MEASURES)}"
        )
    for bad in (*_FIXED, *_FITTED):
        if bad.measure in limits and bad.refuses(
            getattr(quality, bad.measure), limits[bad.measure]
        ):
            return bad.reason
    return None


def fit_quality_limits(
    qualities: Sequence[Quality],
    *,
    acceptance: float,
    quality_share: float,
    min_short_side: float,
    max_aspect: float,
) -> dict[str, Limits]:
    """Limits that refuse the pictures furthest out in any measure, within one budget for all.

    Each picture counts by the measure in which the fewest others go as far. Those furthest out by
    that count are given up until the budget is spent; the limits are the extremes of the others.
    No limit is stricter than what is known to do no harm.

    Args:
        qualities: Of pictures that should be accepted.
        acceptance: Share of them that all gates together accept, 0 to 1.
        quality_share: Share of the refusals, 0 to 1, that these limits may take; at most
            (1 - acceptance) * quality_share of the pictures is refused.
        min_short_side: Shortest side of a source picture, in pixels; not fitted.
        max_aspect: Largest ratio of its sides; not fitted.

    Returns:
        By the name of the measure.

    Raises:
        ValueError: No picture, or none whose source has acceptable sides.
    """
    limits = {"short_side": Limits(low=min_short_side), "aspect": Limits(high=max_aspect)}
    usable = [quality for quality in qualities if judge(quality, limits) is None]
    if not usable:
        raise ValueError(
            f"none of {len(qualities)} pictures has a short side of at least {min_short_side:g} "
            f"pixels and an aspect of at most {max_aspect:g}; lower the first or raise the second"
        )
    values = {bad: _badness(usable, bad) for bad in _FITTED}
    rarity = np.min([_share_as_extreme(of_bad) for of_bad in values.values()], axis=0)
    refused = int((1 - acceptance) * quality_share * len(usable) + _ROUNDING)
    accepted = rarity >= np.sort(rarity)[min(refused, len(usable) - 1)]
    ends: dict[str, dict[str, float]] = {}
    for bad, of_bad in values.items():
        extreme = float(of_bad[accepted].max())
        side, end = ("low", -extreme) if bad.too_low else ("high", extreme)
        ends.setdefault(bad.measure, {})[side] = end
    return limits | {name: Limits(**sides) for name, sides in ends.items()}


def _badness(qualities: Sequence[Quality], bad: _Bad) -> NDArray[np.float64]:
    """How far each picture goes in one bad direction, shape (N,); harmless values are all alike."""
    sign = -1.0 if bad.too_low else 1.0
    values = sign * np.array([getattr(quality, bad.measure) for quality in qualities])
    return np.maximum(values, sign * _HARMLESS[bad.measure, bad.reason])


def _share_as_extreme(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of the values that are at least as large as each, shape (N,)."""
    below = np.searchsorted(np.sort(values), values, side="left")
    return 1.0 - below / len(values)


def _laplacian(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    laplacian: NDArray[np.float32] = around - 4 * grey[1:-1, 1:-1]
    return laplacian


def _skin_likeness(rgb: NDArray[np.float32], grey: NDArray[np.float32]) -> float:
    coloured = grey >= _COLOURED
    if not coloured.any():
        return 0.0
    red, green, blue = (rgb[..., channel] for channel in range(3))
    skin = (red >= _LEAST_RED_TO_GREEN * green) & (red >= _LEAST_RED_TO_BLUE * blue)
    return float(skin[coloured].mean())
