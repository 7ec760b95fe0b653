"""Everything that is decided on validation and then frozen with the model.

Validation chose the weights already and is small, so whatever is fitted on it is judged there by
cross-fitting over lesions. No function of this module is given a test picture.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from skin_lesion.decisions import Decisions
from skin_lesion.evaluation.calibration_choice import CalibrationChoiceFigures, choose_calibrator
from skin_lesion.evaluation.cannot_assess import (
    OodChoice,
    OutlierKind,
    OutlierSample,
    choose_ood_gate,
)
from skin_lesion.evaluation.confidence_bands import BandFigures, choose_confidence_cutoffs
from skin_lesion.evaluation.confidence_bands import confidence_bands as measure_bands
from skin_lesion.evaluation.conformal import fit_prediction_sets
from skin_lesion.evaluation.figures import Figures
from skin_lesion.evaluation.forward import Seen
from skin_lesion.evaluation.operating_points import (
    CrossFittedPoint,
    choose_operating_points,
    cross_fitted_point,
)
from skin_lesion.evaluation.resampling import Resamples
from skin_lesion.evaluation.sample import Sample
from skin_lesion.ood import OodReference, fit_reference
from skin_lesion.quality import Quality
from skin_lesion.settings import EvaluateConfig


class FreezingFigures(Figures):
    """How each decision was found on validation, and what cross-fitting says it is worth there.

    Attributes:
        calibration: The calibrators that competed.
        operating_points: Each with its threshold fitted on all of validation, and refitted without
            each fold.
        confidence: Bands of the cross-fitted probabilities; they were chosen by them.
        cannot_assess: Both gates.
    """

    calibration: CalibrationChoiceFigures
    operating_points: tuple[CrossFittedPoint, ...]
    confidence: BandFigures
    cannot_assess: OodChoice


@dataclass(frozen=True)
class FrozenModel:
    """What was frozen.

    Attributes:
        decisions: Goes into the contract.
        reference: The training pictures, for every score; `served_reference` is what goes along
            with the model.
        validation: Validation with cross-fitted probabilities.
        figures: How it was found.
    """

    decisions: Decisions
    reference: OodReference
    validation: Sample
    figures: FreezingFigures

    @property
    def served_reference(self) -> OodReference | None:
        """The training pictures, as far as the chosen score needs them."""
        return self.reference.only(self.decisions.ood.score) if self.decisions.ood else None


@dataclass(frozen=True)
class ValidationSet:
    """What decisions are found on.

    Attributes:
        sample: Validation, not calibrated.
        qualities: Measures of its pictures.
        outliers: Pictures that should be refused.
        training: What the model says of the training pictures.
        training_truth: Index of their true class, shape (M,).
    """

    sample: Sample
    qualities: Sequence[Quality]
    outliers: dict[OutlierKind, OutlierSample]
    training: Seen
    training_truth: NDArray[np.int64]


def freeze(given: ValidationSet, config: EvaluateConfig, seed: int) -> FrozenModel:
    """Find every decision on validation.

    Args:
        given: Validation, training pictures and pictures to be refused.
        config: How.
        seed: Of folds, resamples and draws.

    Raises:
        ValueError: Validation is too small to fit anything on it.
    """
    choice = choose_calibrator(
        given.sample,
        folds=config.calibration_folds,
        seed=seed,
        bins=config.calibration_bins,
        tolerated_loss=config.calibration_tolerated_loss,
    )
    val = replace(given.sample, probabilities=choice.cross_fitted)
    resamples = Resamples.over_lesions(val.groups, config.resamples, seed)
    points = choose_operating_points(val.probabilities, val.truth, val.groups)
    cutoffs = choose_confidence_cutoffs(
        val.probabilities,
        val.truth,
        val.groups,
        high_accuracy=config.high_accuracy,
        medium_accuracy=config.medium_accuracy,
    )
    reference = fit_reference(
        given.training.features,
        given.training_truth,
        bank_size=config.reference_images,
        seed=seed,
    )
    gate = choose_ood_gate(
        val,
        given.qualities,
        given.outliers,
        reference,
        acceptance=config.acceptance,
        quality_share=config.quality_share,
        min_short_side=config.min_short_side,
        max_aspect=config.max_aspect,
        neighbours=config.neighbours,
        folds=config.calibration_folds,
        resamples=config.resamples,
        seed=seed,
    )
    decisions = Decisions(
        calibrator=choice.calibrator,
        operating_points=points,
        confidence=cutoffs,
        prediction_sets=fit_prediction_sets(
            val.probabilities, val.truth, val.groups, error=config.set_error
        ),
        quality=gate.limits,
        ood=gate.gate,
    )
    figures = FreezingFigures(
        calibration=choice.figures,
        operating_points=tuple(
            cross_fitted_point(
                val.probabilities,
                val.truth,
                val.groups,
                point,
                resamples,
                folds=config.calibration_folds,
                seed=seed,
            )
            for point in points
        ),
        confidence=measure_bands(val, cutoffs, resamples),
        cannot_assess=gate,
    )
    return FrozenModel(decisions, reference, val, figures)
