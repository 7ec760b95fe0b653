"""What computing in bfloat16 changes of a model that was measured in float32.

A figure, a threshold or a gate holds for the computation that it was found with. Before a model is
served in bfloat16, this tells how far its answers move.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from skin_lesion.decisions import Decisions, Probabilities, malignant_probability
from skin_lesion.modeling.bundle import ModelBundle
from skin_lesion.ood import OodReference
from skin_lesion.ood import score as ood_scores
from skin_lesion.serving_model import Precision, ServingModel

_BATCH = 16


class PrecisionChange(BaseModel):
    """How far answers in bfloat16 lie from those in float32.

    Attributes:
        pictures: Number of pictures that both judged.
        largest: Largest change of a calibrated probability.
        percentile_99: Change that 99 % of the pictures stay at or below, each by its class that
            changed most.
        malignant: Largest change of the summed malignant probability.
        predictions: Pictures whose most probable class changed.
        prediction_sets: Pictures whose set of possible classes changed.
        verdicts: Pictures that changed sides, by the name of the operating point.
        refusals: Pictures that changed sides as to being unlike the training pictures.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    pictures: int
    largest: float
    percentile_99: float
    malignant: float
    predictions: int
    prediction_sets: int
    verdicts: dict[str, int]
    refusals: int


@dataclass(frozen=True)
class Judged:
    """What a model says of N pictures in one precision.

    Attributes:
        logits: Shape (N, 7).
        features: Pooled, shape (N, C).
        probabilities: Calibrated, shape (N, 7).
    """

    logits: NDArray[np.float32]
    features: NDArray[np.float32]
    probabilities: Probabilities


def judge_in(bundle: ModelBundle, pixels: NDArray[np.uint8], precision: Precision) -> Judged:
    """Show pictures to a model in one precision.

    Args:
        bundle: The model.
        pixels: As it sees them, shape (N, H, W, 3); may be memory-mapped.
        precision: Of the computation.

    Raises:
        RuntimeError: This processor has no `bfloat16`.
        ValueError: The pictures do not fit the contract.
    """
    outputs = ServingModel.load(bundle, precision=precision).run(pixels, _BATCH)
    probabilities = bundle.contract.calibrator.probabilities(outputs.logits)
    return Judged(outputs.logits, outputs.pooled, probabilities)


def change_between(bundle: ModelBundle, exact: Judged, rough: Judged) -> PrecisionChange:
    """Compare what a model says of the same pictures in two precisions.

    Args:
        bundle: The model.
        exact: In float32.
        rough: In bfloat16.

    Raises:
        ValueError: There are no pictures, or not the same number.
    """
    if not len(exact.logits) or exact.logits.shape != rough.logits.shape:
        raise ValueError(
            f"got answers to {len(exact.logits)} and {len(rough.logits)} pictures; expected the "
            "same pictures, at least one"
        )
    decisions = bundle.contract.decisions or Decisions(calibrator=bundle.contract.calibrator)
    one, other = exact.probabilities, rough.probabilities
    changed = np.abs(one - other).max(axis=1)
    sets = decisions.prediction_sets
    return PrecisionChange(
        pictures=len(one),
        largest=float(changed.max()),
        percentile_99=float(np.percentile(changed, 99, method="inverted_cdf")),
        malignant=float(np.abs(malignant_probability(one) - malignant_probability(other)).max()),
        predictions=int((one.argmax(axis=1) != other.argmax(axis=1)).sum()),
        prediction_sets=0
        if sets is None
        else int((sets.members(one) != sets.members(other)).any(axis=1).sum()),
        verdicts={
            point.name: int((point.positive(one) != point.positive(other)).sum())
            for point in decisions.operating_points
        },
        refusals=_changed_refusals(bundle, decisions, exact, rough),
    )


def _changed_refusals(
    bundle: ModelBundle, decisions: Decisions, exact: Judged, rough: Judged
) -> int:
    gate = decisions.ood
    if gate is None:
        return 0
    reference = OodReference.load(bundle.ood_path) if bundle.ood_path else None
    refused = [
        ood_scores(gate.score, each.logits, each.features, reference, gate.neighbours)
        > gate.threshold
        for each in (exact, rough)
    ]
    return int((refused[0] != refused[1]).sum())
