"""What a frozen model comes to on pictures that had no say in it: a test split or another data set.

Every number here is measured under decisions that were frozen before; nothing is fitted.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skin_lesion.decisions import Decisions, OperatingPoint
from skin_lesion.evaluation.calibration_figures import CalibrationFiguresPair, calibration_figures
from skin_lesion.evaluation.cannot_assess import OutlierKind, OutlierSample
from skin_lesion.evaluation.confidence_bands import BandFigures, confidence_bands
from skin_lesion.evaluation.conformal import CoverageFigures, coverage
from skin_lesion.evaluation.decision_curve import DecisionFigures, decision_figures
from skin_lesion.evaluation.discrimination import PerUnit, per_image_and_lesion
from skin_lesion.evaluation.explanation_figures import ExplanationFigures
from skin_lesion.evaluation.explanations import measure_explanations
from skin_lesion.evaluation.figures import Figures, Units
from skin_lesion.evaluation.gallery import ClassGallery, gallery
from skin_lesion.evaluation.measured import TARGETS
from skin_lesion.evaluation.operating_points import PointFigures, measure_point
from skin_lesion.evaluation.predictive_values import PredictiveFigures, predictive_figures
from skin_lesion.evaluation.refusals import Gates, RefusalFigures, measure_refusals
from skin_lesion.evaluation.resampling import Resamples
from skin_lesion.evaluation.risk_coverage import RiskCoverage, risk_coverage
from skin_lesion.evaluation.robustness import robustness
from skin_lesion.evaluation.robustness_figures import RobustnessFigures
from skin_lesion.evaluation.sample import Sample
from skin_lesion.evaluation.subgroups import SubgroupFigures, subgroups
from skin_lesion.inference import ServingModel
from skin_lesion.labels import LABELS, MELANOMA_INDEX
from skin_lesion.modeling.bundle import ModelBundle
from skin_lesion.ood import OodReference
from skin_lesion.quality import Quality
from skin_lesion.settings import EvaluateConfig

logger = logging.getLogger(__name__)

# Where a predictive value is read: from a screening clinic to a pigmented-lesion unit.
PREVALENCES = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4)
DECISION_THRESHOLDS = (0.03, 0.1, 0.2)
# The points that a table by subgroup has room for.
SUBGROUP_POINTS = ("melanoma_sensitivity_95", "malignant_sensitivity_95")


class Evidence(Figures):
    """Everything measured on one set of images. None means: not measured here.

    Attributes:
        discrimination: Figures per image and per lesion, with intervals.
        calibration: Before and after.
        operating_points: What each frozen threshold comes to.
        predictive_values: PPV and NPV of each point as functions of prevalence.
        confidence: What the answers of each band are worth.
        decision_curves: Net benefit for melanoma and for malignancy.
        prediction_sets: Coverage and size.
        refusals: What the gates refuse, and how well they tell other pictures.
        risk_coverage: Mistakes among the answers that are given when the least sure are withheld.
        subgroups: By sex, age and site.
        robustness: Under perturbations.
        explanations: Whether heat-maps mean something.
        gallery: Pictures shown of each class.
        checks_need: Lesions that trying perturbations and checking heat-maps would have needed; None
            where there were enough.
        units: What counts as a lesion wherever lesions are counted here.
    """

    discrimination: PerUnit
    calibration: CalibrationFiguresPair
    operating_points: tuple[PointFigures, ...]
    predictive_values: tuple[PredictiveFigures, ...]
    confidence: BandFigures | None
    decision_curves: tuple[DecisionFigures, ...]
    prediction_sets: CoverageFigures | None
    refusals: RefusalFigures | None
    risk_coverage: RiskCoverage
    subgroups: SubgroupFigures | None
    robustness: RobustnessFigures | None
    explanations: ExplanationFigures | None
    gallery: dict[str, ClassGallery]
    checks_need: int | None = None
    units: Units = "lesion_group"


@dataclass(frozen=True)
class Subject:
    """A set of images, and the model that is measured on it.

    Attributes:
        sample: What the model says, under the frozen calibrator.
        pixels: Shape (M, H, W, 3); may be memory-mapped.
        rows: Rows of `pixels` that belong to the sample, shape (N,).
        qualities: Measures of the sample's pictures.
        demographics: Columns `age`, `sex`, `localization`, one row for each image of the sample;
            None where they are not known.
        model: The serving export.
        bundle: The same model for the checks that need its Keras form; None leaves those out.
        decisions: As frozen.
        reference: The training pictures, as far as the gate needs them.
        outliers: Pictures that should be refused; only sources that had no say in the gate.
        where: Such as `test split`, for captions.
        skin_tone: What these data allow to be said of skin tone.
    """

    sample: Sample
    pixels: NDArray[np.uint8]
    rows: NDArray[np.int64]
    qualities: Sequence[Quality]
    demographics: pd.DataFrame | None
    model: ServingModel
    bundle: ModelBundle | None
    decisions: Decisions
    reference: OodReference | None
    outliers: dict[OutlierKind, OutlierSample]
    where: str
    skin_tone: str

    def pictures(self) -> NDArray[np.uint8]:
        """The sample's pictures, in its order, shape (N, H, W, 3)."""
        return np.asarray(self.pixels[self.rows])


@dataclass(frozen=True)
class Measurement:
    """Evidence with the pictures that were made on the way.

    Attributes:
        evidence: The figures.
        resamples: Of the images that were measured.
        sheets: PNG pictures by name.
    """

    evidence: Evidence
    resamples: Resamples
    sheets: dict[str, bytes]


def gather(subject: Subject, config: EvaluateConfig, seed: int) -> Measurement:
    """Measure everything.

    Args:
        subject: Images and model.
        config: How.
        seed: Of resamples and draws.

    Raises:
        ValueError: The set is empty or its parts do not fit together.
    """
    sample, decisions = subject.sample, subject.decisions
    resamples = Resamples.over_lesions(sample.groups, config.resamples, seed)
    pictures = subject.pictures()
    sheets: dict[str, bytes] = {}
    enough = len(np.unique(sample.groups)) >= config.min_checked_lesions
    explained, perturbed = None, None
    if enough:
        explained = _explanations(subject, pictures, config, seed, sheets)
        perturbed = _robustness(subject, pictures, config, seed)
    logger.info("figures with intervals, %s: %d", subject.where, len(sample))
    evidence = Evidence(
        discrimination=per_image_and_lesion(
            sample, count=config.resamples, seed=seed, bins=config.calibration_bins
        ),
        calibration=calibration_figures(sample, resamples, bins=config.calibration_bins),
        operating_points=tuple(
            measure_point(sample, point, resamples) for point in decisions.operating_points
        ),
        predictive_values=tuple(
            predictive_figures(sample, point, resamples, prevalences=PREVALENCES)
            for point in decisions.operating_points
        ),
        confidence=decisions.confidence
        and confidence_bands(sample, decisions.confidence, resamples),
        decision_curves=tuple(
            decision_figures(sample, target, resamples, thresholds=DECISION_THRESHOLDS)
            for target in TARGETS
        ),
        prediction_sets=decisions.prediction_sets
        and coverage(sample, decisions.prediction_sets, resamples),
        refusals=_refusals(subject, resamples, seed),
        risk_coverage=risk_coverage(sample, resamples),
        subgroups=_subgroups(subject, config, resamples),
        robustness=perturbed,
        explanations=explained,
        gallery=_gallery(subject, pictures, config, seed, sheets),
        checks_need=None if enough else config.min_checked_lesions,
        units=sample.units,
    )
    return Measurement(evidence, resamples, sheets)


def _explanations(
    subject: Subject,
    pictures: NDArray[np.uint8],
    config: EvaluateConfig,
    seed: int,
    sheets: dict[str, bytes],
) -> ExplanationFigures | None:
    if not config.explained_images:
        return None
    logger.info("checks of the heat-maps")
    found = measure_explanations(
        subject.model,
        subject.bundle,
        pictures,
        subject.sample,
        subject.decisions.calibrator,
        label=LABELS[MELANOMA_INDEX],
        deletion_pictures=config.explained_images,
        randomisation_pictures=config.randomised_images,
        batch_size=config.batch_size,
        resamples=config.resamples,
        seed=seed,
        steps=config.deletion_steps,
        repeats=config.deletion_orders,
        cascade_repeats=config.randomised_models,
        blur=config.hiding_blur,
        deletion_goal=config.deletion_goal,
        randomisation_goal=config.randomisation_goal,
        min_lesions=config.min_explained_lesions,
    )
    sheets.update(found.plots)
    return found.figures


def _robustness(
    subject: Subject, pictures: NDArray[np.uint8], config: EvaluateConfig, seed: int
) -> RobustnessFigures | None:
    if not config.robustness_images:
        return None
    shown = min(config.robustness_images, len(pictures))
    logger.info("perturbations of %d pictures, which take longest", shown)
    return robustness(
        lambda shown: subject.model.run(shown, config.batch_size).logits,
        subject.decisions.calibrator,
        subject.decisions.operating_points,
        pictures,
        subject.sample,
        images=config.robustness_images,
        resamples=config.resamples,
        min_lesions=config.min_group_positives,
        seed=seed,
    )


def _refusals(subject: Subject, resamples: Resamples, seed: int) -> RefusalFigures | None:
    decisions, sample = subject.decisions, subject.sample
    if decisions.ood is None:
        return None
    point = _point(decisions, "melanoma_sensitivity_95")
    return measure_refusals(
        sample,
        subject.qualities,
        subject.outliers,
        Gates(decisions.quality, decisions.ood, subject.reference),
        point.positive(sample.probabilities) if point else None,
        resamples,
        seed=seed,
    )


def _point(decisions: Decisions, name: str) -> OperatingPoint | None:
    return next((point for point in decisions.operating_points if point.name == name), None)


def _subgroups(
    subject: Subject, config: EvaluateConfig, resamples: Resamples
) -> SubgroupFigures | None:
    if subject.demographics is None:
        return None
    points = [
        point for point in subject.decisions.operating_points if point.name in SUBGROUP_POINTS
    ]
    return subgroups(
        subject.sample,
        subject.demographics,
        points,
        resamples,
        min_images=config.min_group_images,
        min_positives=config.min_group_positives,
        skin_tone=subject.skin_tone,
    )


def _gallery(
    subject: Subject,
    pictures: NDArray[np.uint8],
    config: EvaluateConfig,
    seed: int,
    sheets: dict[str, bytes],
) -> dict[str, ClassGallery]:
    def features_of(shown: NDArray[np.uint8]) -> NDArray[np.float32]:
        features = subject.model.run(shown, config.batch_size, with_features=True).features
        assert features is not None  # asked for above
        return features

    found = gallery(
        subject.sample,
        pictures,
        features_of,
        subject.model.kernel,
        per_class=config.gallery_images,
        seed=seed,
    )
    sheets.update({f"gallery_{name}": sheet for name, sheet in found.sheets.items()})
    return found.classes
