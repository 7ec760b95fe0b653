"""A picture that every model has to answer as it did on the day it was registered."""

import io
import json

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from skin_lesion.inference import Predictor, ServingModel
from skin_lesion.labels import LABELS
from skin_lesion.modeling.bundle import ModelBundle
from skin_lesion.registry.version import RegisteredVersion

ANSWER_TAG = "known_answer"


def known_answer(bundle: ModelBundle) -> dict[str, float]:
    """Raw output for each class (logit) for a drawn lesion, by a freshly loaded model.

    Raw, since a model that is sure of itself gives the same probabilities after many a change. What
    the gates for quality and likeness would say of the drawing is left aside.

    Raises:
        ValueError: The model cannot be loaded, or gives numbers that are not finite.
    """
    contract = bundle.contract
    pixels = _drawn(contract.input_height, contract.input_width)
    logits = ServingModel.load(bundle).run(pixels[None]).logits[0]
    return {label: round(float(value), 6) for label, value in zip(LABELS, logits, strict=True)}


def answer_tag(bundle: ModelBundle) -> dict[str, str]:
    """What is recorded with a version."""
    return {ANSWER_TAG: json.dumps(known_answer(bundle), separators=(",", ":"))}


def wrong_answers(version: RegisteredVersion, bundle: ModelBundle, tolerance: float) -> list[str]:
    """What is wrong with the answers of a fetched bundle, one sentence each.

    Args:
        version: With the answer that was recorded; one without any is only asked to answer.
        bundle: Its files.
        tolerance: Largest difference of an output, as a share of it or, below 1, of 1.
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
    try:
        recorded = _recorded(version)
    except ValueError as error:
        return [*found, str(error)]
    for label, output in recorded.items():
        if not abs(answer.get(label, np.nan) - output) <= tolerance * max(1.0, abs(output)):
            found.append(
                f"its output for {label} is {answer.get(label)} for the picture that is drawn to "
                f"try it; {output} is recorded"
            )
    return found


def _recorded(version: RegisteredVersion) -> dict[str, float]:
    """Output for each class; empty where none was recorded.

    Raises:
        ValueError: What is recorded is no answer, so that nothing can be held against it.
    """
    text = version.tags.get(ANSWER_TAG)
    if text is None:
        return {}
    try:
        recorded = TypeAdapter(dict[str, float]).validate_json(text)
    except ValidationError:
        recorded = {}
    if recorded.keys() != set(LABELS):
        raise ValueError(f"what is recorded as its answer in the tag {ANSWER_TAG!r} is none")
    return recorded


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
