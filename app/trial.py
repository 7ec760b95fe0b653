"""A first run of a freshly loaded model, before anyone relies on it."""

import io
import math

from PIL import Image

from skin_lesion.data.synthetic import draw_lesion
from skin_lesion.inference import Prediction, Predictor
from skin_lesion.labels import LABELS
from skin_lesion.settings import SyntheticConfig

_TOLERANCE = 1e-6
_LESION, _VIEW, _SEED = 0, 0, 0
# Pictures can be drawn from this height and width on.
_LEAST_SIDE = 32


class TrialError(ValueError):
    """A model that loads, but does not answer as a model should."""


def try_out(predictor: Predictor) -> None:
    """Ask a model about a drawn lesion and about bytes that are no picture.

    It also warms the model: buffers are made at the first pass.

    Raises:
        TrialError: An answer is not one that a sound model gives.
        ValueError: The network gives numbers that are not finite.
    """
    picture = drawn_picture(predictor)
    drawn, broken = predictor.predict([picture, b"this is no picture"])
    if broken.status != "unreadable":
        raise TrialError(f"bytes that are no picture got the status {broken.status!r}")
    if drawn.status == "unreadable":
        raise TrialError(f"a whole picture could not be read: {drawn.reason}")
    if drawn.status == "ok":
        _check(drawn)
    # A picture that was refused on sight has not been through the network; a heat-map always has.
    heat = predictor.heat_map(picture, LABELS[0]).heat
    if not bool(((heat >= 0) & (heat <= 1)).all()):
        raise TrialError("the heat-map leaves the range from 0 to 1")


def drawn_picture(predictor: Predictor) -> bytes:
    """A PNG of a drawn lesion, as large as the model's training pictures were."""
    contract = predictor.contract
    config = SyntheticConfig(
        height=max(_LEAST_SIDE, contract.source_height),
        width=max(_LEAST_SIDE, contract.source_width),
    )
    [pixels] = draw_lesion("nv", _LESION, [_VIEW], config, _SEED)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def _check(answer: Prediction) -> None:
    probabilities = answer.probabilities or {}
    values = list(probabilities.values())
    if tuple(probabilities) != LABELS or not all(0 <= value <= 1 for value in values):
        raise TrialError(f"the probabilities are {dict(probabilities)}")
    if not math.isclose(sum(values), 1.0, abs_tol=_TOLERANCE):
        raise TrialError(f"the probabilities sum to {sum(values)}")
    if answer.prediction != max(probabilities, key=lambda label: probabilities[label]):
        raise TrialError(f"{answer.prediction!r} is not the most probable class")
