"""What a model says of one picture."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from skin_lesion.decisions import Confidence
from skin_lesion.explain.gradcam import Heat
from skin_lesion.quality import Quality

Status = Literal["ok", "unreadable", "cannot_assess"]

# Goes with every answer that a person reads.
NOTICE = (
    "For research only: not a medical device. No diagnosis, triage or treatment may rest on an "
    "answer; it knows seven classes of pigmented lesions seen through a dermatoscope."
)


@dataclass(frozen=True)
class Versions:
    """Which model spoke.

    Attributes:
        bundle: SHA-256 of the bundle, `ModelBundle.bundle_hash`.
        contract: SHA-256 of its `contract.json`, which holds every threshold.
        model: Version of the model as whoever loaded it calls it; None where it has none.
        precision: Of the computation; `float32` unless whoever loaded it asked for another.
    """

    bundle: str
    contract: str
    model: str | None = None
    precision: Literal["float32", "bfloat16"] = "float32"


@dataclass(frozen=True)
class HeatMap:
    """Where a picture speaks for a class; not evidence that the answer is right.

    Attributes:
        pixels: What the model saw, RGB, shape (H, W, 3).
        heat: Shape (h, w), 0 to 1; `skin_lesion.explain.gradcam.overlay` lays it over the pixels.
        label: Code of the class.
    """

    pixels: NDArray[np.uint8]
    heat: Heat
    label: str


@dataclass(frozen=True)
class Prediction:
    """The answer for one picture.

    Attributes:
        status: `ok`; `unreadable` where the bytes are no usable picture; `cannot_assess` where the
            picture is readable but must not be judged.
        reason: Why not: a code of `ImageError.reason`, of `skin_lesion.quality.QUALITY_REASONS`, or
            `unlike_training`; None where the status is `ok`.
        probabilities: Calibrated probability of each class; like all that follows up to `verdicts`
            None unless the status is `ok`.
        prediction: Code of the most probable class.
        malignant_probability: Summed probability of the malignant classes.
        confidence: How sure the model is; it says nothing about danger.
        prediction_set: Classes that remain possible at the model's error rate.
        verdicts: Whether the picture counts as suspicious at each operating point, by its name.
        quality: Measures of the picture; None where it is unreadable.
        ood_score: How unlike the training pictures it is, on the scale of the contract's `ood`;
            None where it did not come to that, or where the model has no such gate.
        unlike_training: Whether that is more than the model accepts; None where `ood_score` is.
        embedding_distance: Distance to the nearest class in the network's features, 0 to 2; None where
            the picture did not come to that, or the model was registered without it.
        image_sha256: SHA-256 of the bytes that were given; None where there were none.
        versions: Which model spoke.
        several_frames: Whether the file holds more than one frame, page or picture of an animation;
            only the first was judged. None where it is unreadable.
        heat_map: Where the picture speaks for a class; None unless asked for and `ok`. Two answers
            are equal whatever their heat-maps.
    """

    status: Status
    reason: str | None = None
    probabilities: Mapping[str, float] | None = None
    prediction: str | None = None
    malignant_probability: float | None = None
    confidence: Confidence | None = None
    prediction_set: tuple[str, ...] | None = None
    verdicts: Mapping[str, bool] | None = None
    quality: Quality | None = None
    ood_score: float | None = None
    unlike_training: bool | None = None
    embedding_distance: float | None = None
    image_sha256: str | None = None
    versions: Versions | None = None
    several_frames: bool | None = None
    heat_map: HeatMap | None = field(default=None, compare=False, repr=False)
