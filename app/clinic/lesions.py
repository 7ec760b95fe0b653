"""Several pictures of one lesion, combined into one answer by one rule.

The rule: the probabilities are the mean of the calibrated probabilities of the pictures that could be
assessed, each picture once. The lesion counts as suspicious at an operating point if the mean or any
single picture reaches the threshold. A mean is never above the largest of its parts, so what decides
is the most suspicious picture; the mean tells how far the others agree.

That is the safe side, and it has a price. A threshold was frozen, and its sensitivity and specificity
were measured, for one picture of a lesion. With each further picture sensitivity can only rise and
specificity can only fall: of n pictures at a specificity s, it lies between 1 - n (1 - s) and s
(Boole's inequality), wherever the pictures err together or apart. Neither was measured for lesions.
The prediction set is the union of those of the pictures, which covers the truth at least as often as
one of them; confidence is the lowest of theirs. Both are on the safe side as well.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from app.clinic.readings import PictureReading
from skin_lesion.decisions import Confidence, malignant_probability
from skin_lesion.labels import LABELS

# More digits than these count what a camera took, not the pictures of one lesion.
_RUNNING_DIGITS = 2
_CONFIDENCES: tuple[Confidence, ...] = ("low", "medium", "high")


class MixedModelsError(ValueError):
    """Pictures that different models read cannot be combined."""


@dataclass(frozen=True)
class LesionVerdict:
    """Whether a lesion counts as suspicious at one operating point.

    Attributes:
        by_mean: Whether the mean reaches the threshold.
        by_pictures: The pictures that reach it by themselves.
    """

    by_mean: bool
    by_pictures: tuple[PictureReading, ...] = field(repr=False)

    @property
    def suspicious(self) -> bool:
        """Whether the mean or any picture reaches the threshold."""
        return self.by_mean or bool(self.by_pictures)


@dataclass(frozen=True)
class Lesion:
    """The combined answer for one lesion.

    Attributes:
        assessed: The pictures that count, in the order they were given.
        left_out: Those that are unreadable or could not be assessed.
        repeated: Those whose file is the same, byte for byte, as one that counts already.
        probabilities: Mean calibrated probability of each class; like all that follows None where no
            picture could be assessed.
        prediction: Code of the class with the highest mean.
        malignant_probability: Summed mean probability of the malignant classes.
        confidence: The lowest of the pictures'; None also where the model states none.
        prediction_set: Classes that are in the set of any picture, in label order; None also where
            the model gives no sets.
        verdicts: By the name of the operating point.
    """

    assessed: tuple[PictureReading, ...] = field(repr=False)
    left_out: tuple[PictureReading, ...] = field(repr=False)
    repeated: tuple[PictureReading, ...] = field(repr=False)
    probabilities: Mapping[str, float] | None = None
    prediction: str | None = None
    malignant_probability: float | None = None
    confidence: Confidence | None = None
    prediction_set: tuple[str, ...] | None = None
    verdicts: Mapping[str, LesionVerdict] | None = None


def combine(readings: Sequence[PictureReading]) -> Lesion:
    """Combine the pictures of one lesion; the rule stands at the top of this module.

    Args:
        readings: All of one lesion, at least one.

    Raises:
        ValueError: There are none.
        MixedModelsError: They were not all read by the same model, at the same precision.
    """
    if not readings:
        raise ValueError("no picture was given; expected at least one of the lesion")
    versions = {reading.prediction.versions for reading in readings}
    if len(versions) > 1 or None in versions:
        names = sorted({str(reading.model_version) for reading in readings})
        raise MixedModelsError(
            f"the pictures were read by different models (versions {', '.join(names)}); "
            "read all of them again with one"
        )
    assessed: list[PictureReading] = []
    repeated: list[PictureReading] = []
    seen: set[str | None] = set()
    for reading in readings:
        if reading.prediction.probabilities is None:
            continue
        sha256 = reading.prediction.image_sha256
        (repeated if sha256 in seen else assessed).append(reading)
        seen.add(sha256)
    left_out = tuple(one for one in readings if one.prediction.probabilities is None)
    if not assessed:
        return Lesion((), left_out, ())
    # Rows of (N, 7), in the order of the labels.
    rows = np.array([_row(reading) for reading in assessed])
    mean = rows.mean(axis=0, keepdims=True)
    return Lesion(
        assessed=tuple(assessed),
        left_out=left_out,
        repeated=tuple(repeated),
        probabilities=dict(zip(LABELS, mean[0].tolist(), strict=True)),
        prediction=LABELS[int(mean[0].argmax())],
        malignant_probability=float(malignant_probability(mean)[0]),
        confidence=_lowest(assessed),
        prediction_set=_union(assessed),
        verdicts=_verdicts(assessed, mean),
    )


def least_specificity(specificity: float, pictures: int) -> float:
    """The lowest specificity that so many pictures of a lesion can come to, whatever they share.

    Args:
        specificity: Of one picture, 0 to 1.
        pictures: How many of the lesion count, at least 1.
    """
    return max(0.0, 1.0 - pictures * (1.0 - specificity))


def groups_by_name(names: Sequence[str], separators: str = "_- .") -> list[list[int]]:
    """Pictures that seem to show one lesion, by the common beginning of their files' names.

    What stands before the last separator of a name without its suffix is the lesion, if what follows
    is a short number or one letter: `pat7_arm-1.jpg` and `pat7_arm-2.jpg` share `pat7_arm`. Long
    numbers are those of a camera or an archive, and a beginning without any digit, such as `IMG_1`,
    names no lesion. It is a proposal; a person decides.

    Args:
        names: Of the files.
        separators: Characters that may stand before what differs.

    Returns:
        Positions in `names` of each group of at least two, in order.
    """
    groups: dict[str, list[int]] = {}
    for position, name in enumerate(names):
        stem = name.rpartition(".")[0] or name
        cut = max(stem.rfind(separator) for separator in separators)
        rest, beginning = stem[cut + 1 :], stem[: max(cut, 0)]
        running = len(rest) <= _RUNNING_DIGITS and rest.isdecimal()
        letter = len(rest) == 1 and rest.isalpha()
        if (running or letter) and any(character.isdigit() for character in beginning):
            groups.setdefault(beginning.casefold(), []).append(position)
    return [found for found in groups.values() if len(found) > 1]


def _row(reading: PictureReading) -> list[float]:
    probabilities = reading.prediction.probabilities
    assert probabilities is not None  # of those that are assessed
    return [probabilities[label] for label in LABELS]


def _verdicts(assessed: Sequence[PictureReading], mean: np.ndarray) -> dict[str, LesionVerdict]:
    decisions = assessed[0].served.contract.decisions
    return {
        point.name: LesionVerdict(
            by_mean=bool(point.positive(mean)[0]),
            by_pictures=tuple(
                one for one in assessed if (one.prediction.verdicts or {}).get(point.name)
            ),
        )
        for point in (decisions.operating_points if decisions else ())
    }


def _lowest(assessed: Sequence[PictureReading]) -> Confidence | None:
    said = [one.prediction.confidence for one in assessed]
    bands = [band for band in said if band is not None]
    return min(bands, key=_CONFIDENCES.index) if len(bands) == len(said) else None


def _union(assessed: Sequence[PictureReading]) -> tuple[str, ...] | None:
    sets = [one.prediction.prediction_set for one in assessed]
    if any(each is None for each in sets):
        return None
    return tuple(label for label in LABELS if any(label in (each or ()) for each in sets))
