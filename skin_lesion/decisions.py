"""What is decided after training, on validation alone, and frozen with the model.

These values travel in `contract.json`: how logits become probabilities, from which probability a
picture counts as suspicious, when an answer is sure, and when there must be no answer at all. How
they are found is `skin_lesion.evaluation`'s business; applying them is this module's.
"""

from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from skin_lesion.labels import LABELS, MALIGNANT_INDICES, MELANOMA_INDEX, NUM_CLASSES

Probabilities = NDArray[np.float64]
Target = Literal["melanoma", "malignant"]
Confidence = Literal["high", "medium", "low"]
OodScore = Literal["energy", "max_softmax", "mahalanobis", "knn"]


class Frozen(BaseModel):
    """Base of every frozen value: immutable, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class MonotoneCurve(Frozen):
    """A rising, piecewise linear function, constant beyond its ends.

    Attributes:
        x: Ascending.
        y: Not descending, one for each `x`.
    """

    x: tuple[float, ...] = Field(min_length=1)
    y: tuple[float, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if len(self.x) != len(self.y):
            raise ValueError(f"{len(self.x)} values of x and {len(self.y)} of y; expected as many")
        if any(np.diff(self.x) <= 0) or any(np.diff(self.y) < 0):
            raise ValueError("x has to ascend and y must not descend")
        return self

    def __call__(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The function's values, in the shape of the argument."""
        return np.interp(values, self.x, self.y)


class Calibrator(Frozen):
    """How logits become probabilities that can be believed.

    Attributes:
        method: `temperature`: softmax(logits / temperature). `vector`: softmax(logits * scale +
            offset). `isotonic`: softmax(logits), each class through its own curve, divided by their
            sum.
        temperature: Above 0; used by `temperature` alone.
        scale: One above 0 for each class; used by `vector` alone.
        offset: One for each class; used by `vector` alone.
        curves: One for each class; used by `isotonic` alone.
    """

    method: Literal["temperature", "vector", "isotonic"] = "temperature"
    temperature: float = Field(default=1.0, gt=0.0)
    scale: tuple[float, ...] = ()
    offset: tuple[float, ...] = ()
    curves: tuple[MonotoneCurve, ...] = ()

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        needed = {
            "temperature": (),
            "vector": (self.scale, self.offset),
            "isotonic": (self.curves,),
        }
        for values in needed[self.method]:
            if len(values) != NUM_CLASSES:
                raise ValueError(
                    f"method {self.method!r} got {len(values)} values; expected one for each of "
                    f"the {NUM_CLASSES} classes"
                )
        return self

    def probabilities(self, logits: NDArray[np.floating]) -> Probabilities:
        """Calibrated probabilities, shape (N, 7); each row sums to 1."""
        if self.method == "vector":
            return softmax(logits * np.asarray(self.scale) + np.asarray(self.offset))
        if self.method == "isotonic":
            raw = softmax(logits)
            curved = np.stack([curve(raw[:, i]) for i, curve in enumerate(self.curves)], axis=1)
            # Where every curve says 0 nothing is left to share out: the raw answer stands.
            lost = curved.sum(axis=1, keepdims=True) <= 0
            shares = np.where(lost, raw, curved)
            calibrated: Probabilities = shares / shares.sum(axis=1, keepdims=True)
            return calibrated
        return softmax(logits, self.temperature)


class OperatingPoint(Frozen):
    """From which probability on a picture counts as suspicious.

    Attributes:
        name: Unique, such as `melanoma_sensitivity_95`.
        target: `melanoma` goes by the melanoma probability, `malignant` by the summed probability
            of melanoma, basal cell carcinoma and actinic keratosis / Bowen's disease.
        criterion: What was asked for on validation: this `sensitivity`, or the `ppv` from which
            referral is worth it.
        goal: The share that was asked for, 0 to 1.
        threshold: A probability at or above it is positive.
        reached: Whether validation could give what was asked for.
    """

    name: str
    target: Target
    criterion: Literal["sensitivity", "ppv"]
    goal: float = Field(gt=0.0, lt=1.0)
    threshold: float = Field(ge=0.0, le=1.0)
    reached: bool = True

    def positive(self, probabilities: Probabilities) -> NDArray[np.bool_]:
        """Which rows of (N, 7) count as suspicious, shape (N,)."""
        suspicious: NDArray[np.bool_] = target_score(probabilities, self.target) >= self.threshold
        return suspicious


class ConfidenceCutoffs(Frozen):
    """How sure the model is, by its top probability. It says nothing about danger.

    Attributes:
        high: Top probabilities at or above it are `high`; 1 where validation gave none.
        medium: Those at or above it, but below `high`, are `medium`; the others are `low`.
    """

    high: float = Field(ge=0.0, le=1.0)
    medium: float = Field(ge=0.0, le=1.0)

    @model_validator(mode="after")
    def _are_in_order(self) -> Self:
        if self.medium > self.high:
            raise ValueError(f"medium is {self.medium:g}, above high, {self.high:g}")
        return self

    def band(self, top_probability: float) -> Confidence:
        """The band of one picture."""
        if top_probability >= self.high:
            return "high"
        return "medium" if top_probability >= self.medium else "low"


class Limits(Frozen):
    """A range of acceptable values, both ends included; None leaves an end open."""

    low: float | None = None
    high: float | None = None

    def hold(self, value: float) -> bool:
        """Whether the value lies in the range."""
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)


class OodGate(Frozen):
    """When a picture is too unlike everything the model has learnt.

    Attributes:
        score: Which score; higher always means more unlike. `mahalanobis` and `knn` need the
            arrays in `serving/ood.npz`.
        threshold: A score above it is not assessed.
        neighbours: For `knn`: the distance counted is that to the neighbour of this rank.
    """

    score: OodScore
    threshold: float
    neighbours: int = Field(default=10, ge=1)


class PredictionSets(Frozen):
    """Class-conditional conformal prediction sets.

    A set holds every class whose 1 - probability is at most the class's threshold, and the most
    probable class where that leaves it empty. Where validation had too few lesions of a class to
    promise anything, the class is in every set.

    Attributes:
        error: Share of the lesions of a class whose set may miss it, 0 to 1.
        thresholds: For each class, 0 to 1; 1 includes it always.
        supported: For each class, whether validation had enough lesions for the promise.
    """

    error: float = Field(gt=0.0, lt=1.0)
    thresholds: tuple[float, ...] = Field(min_length=NUM_CLASSES, max_length=NUM_CLASSES)
    supported: tuple[bool, ...] = Field(min_length=NUM_CLASSES, max_length=NUM_CLASSES)

    def members(self, probabilities: Probabilities) -> NDArray[np.bool_]:
        """Which classes are in the set of each picture, shape (N, 7)."""
        inside = 1.0 - probabilities <= np.asarray(self.thresholds)
        top = np.eye(NUM_CLASSES, dtype=bool)[probabilities.argmax(axis=1)]
        filled: NDArray[np.bool_] = np.where(inside.any(axis=1, keepdims=True), inside, top)
        return filled

    def labels(self, probabilities: Probabilities) -> list[tuple[str, ...]]:
        """The set of each picture as class codes, in label order."""
        return [
            tuple(label for label, inside in zip(LABELS, row, strict=True) if inside)
            for row in self.members(probabilities)
        ]


class Decisions(Frozen):
    """Everything frozen after training.

    Attributes:
        calibrator: From logits to probabilities.
        operating_points: When a picture counts as suspicious.
        confidence: When an answer counts as sure.
        prediction_sets: Which classes remain possible.
        quality: Acceptable range of each measure of `skin_lesion.quality`, by its name.
        ood: When a picture is too unlike the training pictures; None where no score could be set.
    """

    calibrator: Calibrator = Calibrator()
    operating_points: tuple[OperatingPoint, ...] = ()
    confidence: ConfidenceCutoffs | None = None
    prediction_sets: PredictionSets | None = None
    quality: dict[str, Limits] = Field(default_factory=dict)
    ood: OodGate | None = None

    def operating_point(self, name: str) -> OperatingPoint:
        """The operating point of that name.

        Raises:
            KeyError: There is none.
        """
        for point in self.operating_points:
            if point.name == name:
                return point
        known = ", ".join(point.name for point in self.operating_points) or "none"
        raise KeyError(f"no operating point is called {name!r}; there are: {known}")


def softmax(
    logits: NDArray[np.floating], temperature: float | NDArray[np.float64] = 1.0
) -> Probabilities:
    """Probabilities of logits divided by a temperature.

    Args:
        logits: Shape (N, classes).
        temperature: Above 0; above 1 it softens, below 1 it sharpens. One for all rows, or one for
            each, shape (N,).

    Returns:
        Shape (N, classes); each row sums to 1.
    """
    scaled = logits.astype(np.float64) / np.reshape(temperature, (-1, 1))
    # Subtracting the largest logit changes nothing but keeps the exponential from overflowing.
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    probabilities: Probabilities = powers / powers.sum(axis=1, keepdims=True)
    return probabilities


def malignant_probability(probabilities: Probabilities) -> NDArray[np.float64]:
    """Summed probability of the malignant classes, shape (N, 7) to (N,)."""
    summed = probabilities[:, list(MALIGNANT_INDICES)].sum(axis=1)
    # Rounding may carry the sum a hair above 1.
    bounded: NDArray[np.float64] = np.minimum(summed, 1.0)
    return bounded


def target_score(probabilities: Probabilities, target: Target) -> NDArray[np.float64]:
    """Probability of the target, shape (N, 7) to (N,)."""
    if target == "malignant":
        return malignant_probability(probabilities)
    score: NDArray[np.float64] = probabilities[:, MELANOMA_INDEX]
    return score


def target_truth(truth: NDArray[np.int64], target: Target) -> NDArray[np.bool_]:
    """Which true classes, shape (N,), are of the target."""
    if target == "malignant":
        return np.isin(truth, MALIGNANT_INDICES)
    of_target: NDArray[np.bool_] = truth == MELANOMA_INDEX
    return of_target
