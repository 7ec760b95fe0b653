"""Pictures to try the dashboard with: drawn by a program, none of them of a patient."""

import io
from dataclasses import dataclass, field
from functools import cache

from PIL import Image, ImageFilter

from skin_lesion.labels import LABELS

BLURRED = "blurred"
# A lesion far beyond those that the embedded data set holds by default, so that no model has seen it.
_LESION = 900_001
# One whose pictures the model of `make demo` assesses: there is more to try with an answer. A model
# that learnt from skin refuses them, as it should.
_SEED = 2
_JPEG_QUALITY = 95
# In shares of the height: far beyond what any camera that is in focus gives.
_BLUR = 0.04


@dataclass(frozen=True)
class Sample:
    """A drawn picture.

    Attributes:
        key: Code of the class that it was drawn as, or `blurred`.
        jpeg: The encoded picture.
    """

    key: str
    jpeg: bytes = field(repr=False)


@cache
def samples() -> tuple[Sample, ...]:
    """One picture of each class, and one that is too blurred to be assessed."""
    # Drawing needs pandas and SciPy, which whoever brings pictures of his own need not wait for.
    from skin_lesion.data.synthetic import draw_lesion
    from skin_lesion.settings import SyntheticConfig

    drawn = {
        label: Image.fromarray(draw_lesion(label, _LESION + i, [0], SyntheticConfig(), _SEED)[0])
        for i, label in enumerate(LABELS)
    }
    naevus = drawn["nv"]
    drawn[BLURRED] = naevus.filter(ImageFilter.GaussianBlur(_BLUR * naevus.height))
    return tuple(Sample(key, _jpeg(image)) for key, image in drawn.items())


def _jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=_JPEG_QUALITY)
    return buffer.getvalue()
