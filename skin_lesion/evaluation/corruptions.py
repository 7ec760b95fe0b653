"""What may befall a picture on its way to the model, at five strengths.

Ten perturbations: of optics and files after Hendrycks and Dietterich, "Benchmarking neural network
robustness to common corruptions and perturbations", ICLR 2019, and what lies on skin: hair, rulers
and surgical ink (Winkler et al., "Association between surgical skin markings in dermoscopic images
and diagnostic performance of a deep learning convolutional neural network for melanoma
recognition", JAMA Dermatol. 155, 2019).

Lengths are shares of the shorter side of the picture, so that a strength looks the same at any
resolution.
"""

import hashlib
import io
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from skin_lesion.data.contact_sheets import contact_sheet
from skin_lesion.data.skin_canvas import Field
from skin_lesion.evaluation.skin_markings import (
    MOST_HAIRS,
    MOST_STROKES,
    Light,
    Pixels,
    add_hair,
    add_ink,
    add_ruler,
)

STRENGTHS: tuple[int, ...] = (1, 2, 3, 4, 5)
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722])  # ITU-R BT.709


@dataclass(frozen=True)
class Corruption:
    """One perturbation.

    Attributes:
        title: For headings.
        quantity: What its amount measures.
        unit: Unit of the amount, as it stands behind the number.
        amounts: At strengths 1 to 5.
        apply: Takes a picture (H, W, 3), an amount and a source of chance; gives RGB, 0 to 255,
            that is not yet rounded or bounded.
        training: What the default augmentation policy of training covers of it.
    """

    title: str
    quantity: str
    unit: str
    amounts: tuple[float, float, float, float, float]
    apply: Callable[[Pixels, float, np.random.Generator], NDArray[np.generic]]
    training: str

    def amount_text(self, strength: int) -> str:
        """The amount with its unit, such as `20°`."""
        return f"{self.amounts[strength - 1]:g}{self.unit}"


def corrupt(name: str, strength: int, pixels: Pixels, seed: int) -> Pixels:
    """Perturb pictures.

    What is left to chance (where hairs lie, whether a picture gets brighter or darker) depends on
    the seed and on the picture itself, never on its place among others; and not on the strength:
    a stronger perturbation is more of the same.

    Args:
        name: One of `CORRUPTIONS`.
        strength: 1 to 5.
        pixels: RGB, shape (N, H, W, 3); not changed.
        seed: Equal seeds give equal pictures.

    Returns:
        Shape (N, H, W, 3).

    Raises:
        ValueError: No such perturbation or strength, or no such pixels.
    """
    if name not in CORRUPTIONS:
        raise ValueError(
            f"no perturbation is called {name!r}; expected one of {', '.join(CORRUPTIONS)}"
        )
    if strength not in STRENGTHS:
        raise ValueError(f"strength is {strength}; expected a whole number from 1 to 5")
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[3] != 3:
        raise ValueError(
            f"got {pixels.dtype} pixels of shape {pixels.shape}; expected uint8 (N, H, W, 3)"
        )
    corruption = CORRUPTIONS[name]
    amount = corruption.amounts[strength - 1]
    result: Pixels = np.empty(pixels.shape, np.uint8)
    for row, picture in enumerate(pixels):
        changed = corruption.apply(picture, amount, _random(name, picture, seed))
        whole = changed.dtype == np.uint8
        result[row] = changed if whole else np.clip(np.rint(changed), 0, 255)
    return result


def corruption_sheet(picture: Pixels, seed: int) -> bytes:
    """A PNG of one picture (H, W, 3) under each perturbation: a row each, stronger to the right."""
    pictures, captions = [], []
    for name, corruption in CORRUPTIONS.items():
        pictures += [picture, *(corrupt(name, s, picture[None], seed)[0] for s in STRENGTHS)]
        captions += [f"{corruption.title}: unchanged"]
        captions += [f"{s}: {corruption.amount_text(s)}" for s in STRENGTHS]
    title = "One picture, ten perturbations, five strengths"
    return contact_sheet(pictures, captions, columns=1 + len(STRENGTHS), title=title)


def _random(name: str, picture: Pixels, seed: int) -> np.random.Generator:
    digest = hashlib.blake2b(np.ascontiguousarray(picture).tobytes(), digest_size=8).digest()
    return np.random.default_rng(
        [abs(seed), int(seed < 0), zlib.crc32(name.encode()), int.from_bytes(digest, "big")]
    )


def _either_way(random: np.random.Generator) -> float:
    return 1.0 if random.random() < 0.5 else -1.0


def _blur(picture: Pixels, share: float, random: np.random.Generator) -> Light:
    from scipy.ndimage import gaussian_filter

    sigma = share / 100 * min(picture.shape[:2])
    blurred: Light = gaussian_filter(picture.astype(np.float32), (sigma, sigma, 0), mode="mirror")
    return blurred


def _jpeg(picture: Pixels, quality: float, random: np.random.Generator) -> Pixels:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=round(quality))
    return np.asarray(Image.open(buffer))


def _noise(picture: Pixels, deviation: float, random: np.random.Generator) -> Light:
    return picture + deviation * random.standard_normal(picture.shape, np.float32)


def _brightness(picture: Pixels, stops: float, random: np.random.Generator) -> Field:
    return _exposed(picture, np.full(3, 2.0 ** (stops * _either_way(random))))


def _white_balance(picture: Pixels, stops: float, random: np.random.Generator) -> Field:
    lean = stops * _either_way(random) / 2
    gains = 2.0 ** np.array([lean, 0.0, -lean])
    return _exposed(picture, gains / (gains @ _LUMINANCE))


def _exposed(picture: Pixels, gains: Field) -> Field:
    """More or less light in each channel, where light adds up: before the sRGB curve."""
    grey = np.arange(256) / 255
    linear = np.where(grey <= 0.04045, grey / 12.92, ((grey + 0.055) / 1.055) ** 2.4)
    lit = np.minimum(linear[:, None] * gains, 1.0)
    curve = np.where(lit <= 0.0031308, lit * 12.92, 1.055 * lit ** (1 / 2.4) - 0.055) * 255
    return np.stack([curve[:, channel][picture[..., channel]] for channel in range(3)], axis=-1)


def _rotation(picture: Pixels, degrees: float, random: np.random.Generator) -> Pixels:
    height, width = picture.shape[:2]
    reach = int(np.ceil(np.hypot(height, width) / 2)) + 2
    top, left = reach - height // 2, reach - width // 2
    rows = np.pad(np.arange(height), top, "reflect")
    columns = np.pad(np.arange(width), left, "reflect")
    sheet = Image.fromarray(picture[rows][:, columns])
    turned = sheet.rotate(degrees * _either_way(random), Image.Resampling.BILINEAR)
    return np.asarray(turned)[top : top + height, left : left + width]


def _resolution(picture: Pixels, share: float, random: np.random.Generator) -> Pixels:
    image = Image.fromarray(picture)
    small = (max(1, round(image.width * share / 100)), max(1, round(image.height * share / 100)))
    return np.asarray(
        image.resize(small, Image.Resampling.LANCZOS).resize(image.size, Image.Resampling.BICUBIC)
    )


_NOT_COVERED = "Not part of the augmentation policy: training has not met it on purpose."

CORRUPTIONS: dict[str, Corruption] = {
    "blur": Corruption(
        "Blur",
        "standard deviation of a Gaussian blur, of the shorter side",
        " % of side",
        (0.4, 0.8, 1.3, 2.0, 3.0),
        _blur,
        "Not part of the augmentation policy, but for the slight softness of its interpolation.",
    ),
    "jpeg": Corruption(
        "JPEG", "quality of the file", " quality", (60, 40, 25, 15, 10), _jpeg, _NOT_COVERED
    ),
    "noise": Corruption(
        "Noise",
        "standard deviation of Gaussian noise in each channel",
        " grey levels",
        (4, 8, 14, 22, 32),
        _noise,
        _NOT_COVERED,
    ),
    "brightness": Corruption(
        "Exposure",
        "light added to one half of the pictures, by lot, and taken from the other",
        " stops",
        (0.15, 0.3, 0.5, 0.75, 1.0),
        _brightness,
        "Covered in part: the policy shifts grey levels by up to a tenth of the range and contrast "
        "by up to 15 % by default, which is about strength 3.",
    ),
    "white_balance": Corruption(
        "White balance",
        "ratio of red to blue light, warmer in one half of the pictures, by lot, cooler in the "
        "other",
        " stops",
        (0.1, 0.25, 0.4, 0.6, 0.9),
        _white_balance,
        "Not part of the augmentation policy: it changes saturation, but casts no colour.",
    ),
    "rotation": Corruption(
        "Rotation",
        "angle to either side, by lot; what was outside is filled by reflection",
        "°",
        (5, 15, 30, 60, 90),
        _rotation,
        "Covered: by default the policy turns training pictures by any angle and fills by "
        "reflection as here. No drop is expected; one would speak of a broken augmentation.",
    ),
    "resolution": Corruption(
        "Resolution",
        "share of the sides that is kept before scaling back",
        " %",
        (70, 50, 35, 25, 15),
        _resolution,
        "Not part of the augmentation policy: it zooms by up to 15 %, but throws no detail away.",
    ),
    "hair": Corruption(
        "Hair",
        "drawn hairs",
        " hairs",
        (3, 8, 16, 28, MOST_HAIRS),
        add_hair,
        "Not part of the augmentation policy; real training pictures hold some hair.",
    ),
    "ruler": Corruption(
        "Ruler",
        "longest mark of a scale drawn along one edge, of the shorter side",
        " % of side",
        (5, 8, 12, 17, 24),
        add_ruler,
        "Not part of the augmentation policy; few real training pictures hold a scale.",
    ),
    "ink": Corruption(
        "Surgical ink",
        "violet strokes drawn around the lesion",
        " strokes",
        (2, 3, 4, 5, MOST_STROKES),
        add_ink,
        "Not part of the augmentation policy; very few real training pictures hold ink.",
    ),
}
