"""A picture that every model has to answer as it did on the day it was registered."""

import io
import json

import numpy as np
from numpy.typing import NDArray

from skin_lesion.inference import Predictor, ServingModel
from skin_lesion.labels import LABELS
from skin_lesion.modeling.bundle import ModelBundle
from skin_lesion.registry.version import RegisteredVersion

ANSWER_TAG = "known_answer"


def known_answer(bundle: ModelBundle) -> dict[str, float]:
    """Calibrated probability of each class for a drawn lesion, by a freshly loaded model.

    Whether the picture would be refused as unlike a photograph is left aside: it is there to move
    every weight.

    Raises:
        ValueError: The model cannot be loaded, or gives no probabilities.
    """
    contract = bundle.contract
    pixels = _drawn(contract.input_height, contract.input_width)
    logits = ServingModel.load(bundle).run(pixels[None]).logits
    row = contract.calibrator.probabilities(logits)[0]
    if not np.isclose(row.sum(), 1.0, atol=1e-6):
        raise ValueError(f"the probabilities add up to {row.sum()}; expected 1")
    return dict(zip(LABELS, np.round(row.astype(float), 8).tolist(), strict=True))


def answer_tag(bundle: ModelBundle) -> dict[str, str]:
    """What is recorded with a version."""
    return {ANSWER_TAG: json.dumps(known_answer(bundle), separators=(",", ":"))}


def wrong_answers(version: RegisteredVersion, bundle: ModelBundle, tolerance: float) -> list[str]:
    """What is wrong with the answers of a fetched bundle, one sentence each.

    Args:
        version: With the answer that was recorded; one without any is only asked to answer.
        bundle: Its files.
        tolerance: Largest difference of a probability.
    """
    try:
        answer = known_answer(bundle)
        status = Predictor(bundle).predict([_encoded(bundle)])[0].status
    # OpenVINO raises RuntimeError for whatever it cannot read.
    except (ValueError, OSError, RuntimeError, KeyError) as error:
        return [f"it cannot be loaded and asked: {error}"]
    found = []
    if status == "unreadable":
        found.append("it cannot read a plain PNG picture")
    recorded = json.loads(version.tags.get(ANSWER_TAG, "{}"))
    for label, probability in recorded.items():
        if not abs(answer.get(label, np.nan) - probability) <= tolerance:
            found.append(
                f"it gives {label} a probability of {answer.get(label)} for the picture that is "
                f"drawn to try it; {probability} is recorded"
            )
    return found


def _drawn(height: int, width: int) -> NDArray[np.uint8]:
    """A dark, uneven spot on noisy skin, the same on every machine; shape (H, W, 3)."""
    random = np.random.default_rng(17)
    rows, columns = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    spot = np.exp(-6 * (rows**2 + 0.7 * columns**2 + 0.5 * rows * columns))[..., None]
    skin, dark = np.array([214.0, 170.0, 150.0]), np.array([80.0, 50.0, 45.0])
    noise = random.integers(-12, 13, (height, width, 3))
    pixels: NDArray[np.uint8] = np.clip(skin * (1 - spot) + dark * spot + noise, 0, 255).astype(
        np.uint8
    )
    return pixels


def _encoded(bundle: ModelBundle) -> bytes:
    from PIL import Image

    contract = bundle.contract
    buffer = io.BytesIO()
    picture = _drawn(contract.source_height, contract.source_width)
    Image.fromarray(picture).save(buffer, format="PNG")
    return buffer.getvalue()
