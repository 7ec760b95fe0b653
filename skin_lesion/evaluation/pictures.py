"""Every picture of an evaluation, by name, in the order in which a reader wants them."""

import numpy as np

from skin_lesion.evaluation.calibration_plots import draw_calibration
from skin_lesion.evaluation.cannot_assess import OodChoice, OutlierSample
from skin_lesion.evaluation.cannot_assess_plots import (
    refusal_picture,
    risk_coverage_picture,
    score_histograms,
    separation_picture,
)
from skin_lesion.evaluation.conformal_plots import coverage_picture
from skin_lesion.evaluation.corruptions import corruption_sheet
from skin_lesion.evaluation.decision_curve import (
    THRESHOLDS,
    decision_curve,
    draw_decision_curves,
)
from skin_lesion.evaluation.evidence import Measurement, Subject
from skin_lesion.evaluation.measured import TARGETS
from skin_lesion.evaluation.operating_plots import (
    confidence_band_bars,
    predictive_value_curves,
    roc_with_points,
)
from skin_lesion.evaluation.outliers import REPORT_SOURCES
from skin_lesion.evaluation.robustness_plots import robustness_plot
from skin_lesion.evaluation.roc_plots import forest, roc_bands
from skin_lesion.evaluation.sample import Sample
from skin_lesion.evaluation.subgroup_plots import subgroup_forests
from skin_lesion.ood import Scores, score


def draw_evidence(
    measurement: Measurement, subject: Subject, gate: OodChoice | None, *, bins: int, seed: int
) -> dict[str, bytes]:
    """Draw what was measured on one set of images.

    Args:
        measurement: The figures.
        subject: What they were measured on.
        gate: How the gate for likeness was chosen; None where that is not of interest here.
        bins: Equal-mass bins of the reliability diagrams.
        seed: Of the perturbations that are shown.
    """
    evidence, where, sample = measurement.evidence, subject.where, subject.sample
    units = sample.units
    pictures = {
        "forest": forest(evidence.discrimination, units),
        "roc_bands": roc_bands(sample, measurement.resamples),
        "operating_points": roc_with_points(sample, evidence.operating_points),
        "predictive_values": predictive_value_curves(evidence.predictive_values),
        "decision_curves": draw_decision_curves(
            [
                decision_curve(sample, target, measurement.resamples, thresholds=THRESHOLDS)
                for target in TARGETS
            ]
        ),
        **draw_calibration(sample, bins=bins, where=where),
    }
    if evidence.confidence:
        pictures["confidence_bands"] = confidence_band_bars(evidence.confidence)
    pictures["risk_coverage"] = risk_coverage_picture(evidence.risk_coverage, where)
    if evidence.prediction_sets:
        pictures["prediction_sets"] = coverage_picture(evidence.prediction_sets, where, units)
    pictures |= _cannot_assess(measurement, subject, gate)
    if evidence.subgroups:
        pictures |= subgroup_forests(evidence.subgroups, units)
    if evidence.robustness:
        pictures["robustness"] = robustness_plot(evidence.robustness, units)
        example = int(np.argmax(sample.probabilities.max(axis=1)))
        picture = np.asarray(subject.pixels[subject.rows[example]])
        pictures["perturbations"] = corruption_sheet(picture, seed)
    return pictures | measurement.sheets


def _cannot_assess(
    measurement: Measurement, subject: Subject, gate: OodChoice | None
) -> dict[str, bytes]:
    refusals, ood = measurement.evidence.refusals, subject.decisions.ood
    if refusals is None or ood is None or not refusals.outliers:
        return {}

    def scores(of: Sample | OutlierSample) -> Scores:
        return score(ood.score, of.logits, of.features, subject.reference, ood.neighbours)

    outside = {
        kind: scores(found.of_sources(REPORT_SOURCES) if kind == "crops" else found)
        for kind, found in subject.outliers.items()
    }
    pictures = {
        "ood_scores": score_histograms(scores(subject.sample), outside, ood, subject.where),
        "refusals": refusal_picture(refusals, subject.where),
    }
    if gate is not None:
        pictures["ood_separation"] = separation_picture(
            refusals.separations, ood.score, subject.where
        )
    return pictures
