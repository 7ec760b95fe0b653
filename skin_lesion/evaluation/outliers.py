"""Pictures that no model of skin lesions should answer for.

Photographs without a lesion are cut from the pictures that scikit-image, scikit-learn and
matplotlib ship with their code, so nothing is downloaded (SciPy's pictures would have to be).
Silhouettes, logos, charts and test patterns are left out: they are no photographs.

Licences: `china` and `flower` are CC BY 2.0, by the Flickr users danielbuechele and vultilion.
`astronaut`, `grace_hopper`, `hubble` and `rocket` were released by NASA, the US Navy and SpaceX and
are in the public domain, as is `clock`. `brick`, `camera`, `cell`, `chelsea`, `coffee`, `grass`,
`gravel` and `retina` are CC0. `coins` and `ihc` have no known restrictions. `moon`, `page` and
`text` come with scikit-image under its BSD licence; `motorcycle` is from the Middlebury stereo
benchmark of 2014 (Scharstein et al.). None of them is stored with this project.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from skin_lesion.data.skin_canvas import Canvas

Pixels = NDArray[np.uint8]
Package = Literal["skimage", "sklearn", "matplotlib"]

_FOLDERS: dict[Package, str] = {
    "skimage": "data",
    "sklearn": "datasets/images",
    "matplotlib": "mpl-data/sample_data",
}


@dataclass(frozen=True)
class Photograph:
    """A picture that comes with a library.

    Attributes:
        package: The library.
        file: Its name in the library's folder of pictures.
        coloured: False where it is grey.
    """

    package: Package
    file: str
    coloured: bool

    def read(self) -> Image.Image:
        """The whole picture as RGB.

        Raises:
            FileNotFoundError: The installed library does not hold it.
        """
        spec = find_spec(self.package)
        if spec is None or spec.origin is None:
            raise FileNotFoundError(f"{self.package} is not installed; it is a requirement")
        path = Path(spec.origin).parent / _FOLDERS[self.package] / self.file
        if not path.is_file():
            raise FileNotFoundError(
                f"{path} is not there; expected it to come with {self.package}: install the "
                "version in requirements.lock"
            )
        with Image.open(path) as image:
            return image.convert("RGB")


# One picture of a scene: crops of a stereo pair would not be independent.
PHOTOGRAPHS: dict[str, Photograph] = {
    "astronaut": Photograph("skimage", "astronaut.png", True),
    "brick": Photograph("skimage", "brick.png", False),
    "camera": Photograph("skimage", "camera.png", False),
    "cell": Photograph("skimage", "cell.png", False),
    "chelsea": Photograph("skimage", "chelsea.png", True),
    "china": Photograph("sklearn", "china.jpg", True),
    "clock": Photograph("skimage", "clock_motion.png", False),
    "coffee": Photograph("skimage", "coffee.png", True),
    "coins": Photograph("skimage", "coins.png", False),
    "flower": Photograph("sklearn", "flower.jpg", True),
    "grace_hopper": Photograph("matplotlib", "grace_hopper.jpg", True),
    "grass": Photograph("skimage", "grass.png", False),
    "gravel": Photograph("skimage", "gravel.png", False),
    "hubble": Photograph("skimage", "hubble_deep_field.jpg", True),
    "ihc": Photograph("skimage", "ihc.png", True),
    "moon": Photograph("skimage", "moon.png", False),
    "motorcycle": Photograph("skimage", "motorcycle_left.png", True),
    "page": Photograph("skimage", "page.png", False),
    "retina": Photograph("skimage", "retina.jpg", True),
    "rocket": Photograph("skimage", "rocket.jpg", True),
    "text": Photograph("skimage", "text.png", False),
}
# A gate may be chosen by the one half; figures are reported on the other, which no choice ever saw.
# Fixed, so that this holds for every model and seed. Each half has its share of grey pictures, and of
# those with the colours of skin.
SELECTION_SOURCES: frozenset[str] = frozenset(
    ("brick", "cell", "chelsea", "coins", "flower", "grass", "hubble", "ihc", "motorcycle", "page")
)
REPORT_SOURCES: frozenset[str] = frozenset(PHOTOGRAPHS.keys() - SELECTION_SOURCES)
# A crop is at least this share of the largest one that fits its picture.
_SMALLEST_CROP = 0.3
# Skin is drawn this much larger than the frame, so that no edge of the canvas shows.
_SKIN_MARGIN = 1.1


@dataclass(frozen=True)
class Outliers:
    """Pictures that should be refused.

    Attributes:
        pixels: RGB, 0 to 255, shape (n, H, W, 3).
        source: What each comes from: the photograph, the kind of corruption, or the drawing, shape
            (n,).
    """

    pixels: Pixels
    source: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.source)

    def take(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> "Outliers":
        """Some of the pictures."""
        return Outliers(self.pixels[chosen], self.source[chosen])


def non_lesion_crops(*, count: int, height: int, width: int, seed: int) -> Outliers:
    """Cut photographs without a lesion at random places and scales, as many of each.

    Args:
        count: Crops; the photographs give as equal numbers as can be.
        height: Of a crop, in pixels.
        width: Of a crop, in pixels.
        seed: Equal seeds give equal crops. A photograph's first crops do not depend on `count`.

    Raises:
        FileNotFoundError: An installed library does not hold its picture.
        ValueError: Fewer crops than photographs.
    """
    if count < len(PHOTOGRAPHS):
        raise ValueError(
            f"{count} crops are asked for; expected at least one of each of the "
            f"{len(PHOTOGRAPHS)} photographs"
        )
    pixels: Pixels = np.empty((count, height, width, 3), np.uint8)
    source = np.empty(count, f"<U{max(map(len, PHOTOGRAPHS))}")
    row = 0
    for index, (name, photograph) in enumerate(PHOTOGRAPHS.items()):
        whole = photograph.read()
        random = np.random.default_rng([seed, 61, index])
        for _ in range(_portion(count, len(PHOTOGRAPHS), index)):
            pixels[row] = _crop(whole, height, width, random)
            source[row] = name
            row += 1
    return Outliers(pixels, source)


def corrupted(pixels: Pixels, seed: int) -> Outliers:
    """Spoil pictures so thoroughly that nobody could assess them.

    Args:
        pixels: RGB, shape (N, H, W, 3); not changed.
        seed: Equal seeds spoil each picture in the same way.

    Returns:
        One for each picture, in order; the source is one of `SPOILT_BY`, each as often as can be.

    Raises:
        ValueError: No such pixels.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[3] != 3:
        raise ValueError(
            f"got {pixels.dtype} pixels of shape {pixels.shape}; expected uint8 (N, H, W, 3)"
        )
    random = np.random.default_rng([seed, 63])
    kinds = random.permutation(np.arange(len(pixels)) % len(SPOILT_BY))
    source = np.array(SPOILT_BY)[kinds]
    spoilt: Pixels = np.empty(pixels.shape, np.uint8)
    for row, (name, picture) in enumerate(zip(source, pixels, strict=True)):
        spoilt[row] = _SPOIL[str(name)](picture, random)
    return Outliers(spoilt, source)


def lesion_free_skin(*, count: int, height: int, width: int, seed: int) -> Outliers:
    """Drawn skin with nothing on it: near the training pictures, yet there is nothing to assess.

    Drawn, not photographed: no real skin without a lesion comes with any library.

    Args:
        count: Pictures.
        height: In pixels.
        width: In pixels.
        seed: Equal seeds draw the same skin.
    """
    pixels: Pixels = np.empty((count, height, width, 3), np.uint8)
    side = round(_SKIN_MARGIN * max(height, width))
    top, left = (side - height) // 2, (side - width) // 2
    for row in range(count):
        random = np.random.default_rng([seed, 64, row])
        light = Canvas(side, height, random).develop()[top : top + height, left : left + width]
        light *= random.uniform(0.85, 1.08)
        light += random.normal(0, random.uniform(1.0, 2.5), (height, width, 1))
        pixels[row] = np.clip(np.rint(light), 0, 255)
    return Outliers(pixels, np.full(count, "lesion-free skin"))


def _portion(count: int, among: int, index: int) -> int:
    """How many of `count` the part of this index gets."""
    return count // among + (index < count % among)


def _crop(image: Image.Image, height: int, width: int, random: np.random.Generator) -> Pixels:
    largest = min(image.height / height, image.width / width)
    scale = largest * random.uniform(_SMALLEST_CROP, 1.0)
    left = random.uniform(0, image.width - width * scale)
    top = random.uniform(0, image.height - height * scale)
    # Floating-point noise must not reach beyond the picture.
    right = min(left + width * scale, image.width)
    bottom = min(top + height * scale, image.height)
    return np.asarray(
        image.resize((width, height), Image.Resampling.BILINEAR, (left, top, right, bottom))
    )


def _nearly_blank(picture: Pixels, random: np.random.Generator) -> Pixels:
    mean = picture.mean(axis=(0, 1))
    blank: Pixels = np.rint(mean + 0.03 * (picture - mean)).astype(np.uint8)
    return blank


def _extremely_blurred(picture: Pixels, random: np.random.Generator) -> Pixels:
    from scipy.ndimage import gaussian_filter

    sigma = 0.12 * min(picture.shape[:2])
    return np.asarray(gaussian_filter(picture, (sigma, sigma, 0), mode="mirror"))


def _noise(picture: Pixels, random: np.random.Generator) -> Pixels:
    return random.integers(0, 256, picture.shape, dtype=np.uint8)


def _inverted(picture: Pixels, random: np.random.Generator) -> Pixels:
    inverted: Pixels = 255 - picture
    return inverted


def _shuffled(picture: Pixels, random: np.random.Generator) -> Pixels:
    return random.permutation(picture.reshape(-1, 3)).reshape(picture.shape)


_SPOIL: dict[str, Callable[[Pixels, np.random.Generator], Pixels]] = {
    "nearly blank": _nearly_blank,
    "extreme blur": _extremely_blurred,
    "pure noise": _noise,
    "inverted colours": _inverted,
    "shuffled pixels": _shuffled,
}
SPOILT_BY: tuple[str, ...] = tuple(_SPOIL)
