"""From a report to the verdict of the gates."""

from dataclasses import dataclass

from skin_lesion.data.looking import Ledger, LookedAt, Purpose, look_at_answers
from skin_lesion.evaluation.comparison import compare
from skin_lesion.evaluation.figures import Estimate
from skin_lesion.evaluation.gate_report import GateReport
from skin_lesion.evaluation.gates import (
    GUARDED,
    GateFigures,
    ProductionComparison,
    ProductionDifferences,
    WorstSubgroup,
    judge,
)
from skin_lesion.evaluation.report import EvaluationReport, sample_of_test
from skin_lesion.evaluation.sample import Sample
from skin_lesion.evaluation.subgroups import UNKNOWN
from skin_lesion.evaluation.summary import ReportSummary
from skin_lesion.settings import GateConfig

_RESAMPLES = 1000


@dataclass(frozen=True)
class ProductionModel:
    """The model in production.

    Attributes:
        version: Its version in the registry.
        bundle_hash: Its bundle.
        split_hash: Split it was trained and tested on.
        data_fingerprint: Data set it was trained and tested on.
        sample: Its test images with what it said of them; None where that is not to be had.
    """

    version: str
    bundle_hash: str
    split_hash: str
    data_fingerprint: str
    sample: Sample | None


def pass_judgement(
    report: EvaluationReport,
    bundle_hash: str,
    limits: GateConfig,
    production: ProductionModel | None,
    *,
    ledger: Ledger,
    purpose: Purpose,
) -> GateReport:
    """Hold a report against the limits, and against the production model on the same images.

    The limits are held against recorded figures, which shows nothing new. The comparison is a look at
    the test split, and is written down first where it is made.

    Args:
        report: Of the new model.
        bundle_hash: Of the new bundle with its decisions.
        limits: What it has to reach.
        production: The model in production; None where there is none.
        ledger: Where the look is written down.
        purpose: Who looks, and why.

    Raises:
        RuntimeError: The look could not be written down; nothing was compared.
    """
    summary = report.summary
    figures = gate_figures(summary, bundle_hash)
    if not _comparable(summary, bundle_hash, production):
        return judge(figures, limits, _not_compared(production))
    assert production is not None  # said above
    assert production.sample is not None
    look_at_answers(
        production.sample.rows["image_id"],
        summary.split_hash,
        ledger,
        LookedAt(bundle_hash, summary.bundle_hash),
        purpose,
        against=production.bundle_hash,
    )
    return judge(figures, limits, _compared(report, production, production.sample))


def gate_figures(summary: ReportSummary, bundle_hash: str) -> GateFigures:
    """What the gates judge."""
    estimates = summary.evidence.discrimination.images.estimates
    return GateFigures(
        macro_f1=estimates["macro_f1"],
        balanced_accuracy=estimates["balanced_accuracy"],
        macro_auc=estimates["macro_auc"],
        melanoma_auc=estimates["melanoma_auc"],
        ece=estimates["ece"],
        melanoma_sensitivity=_melanoma_sensitivity(summary),
        worst_subgroup=worst_subgroup(summary),
        synthetic_only=summary.synthetic_only,
        split_hash=summary.split_hash,
        bundle_hash=bundle_hash,
    )


def worst_subgroup(summary: ReportSummary) -> WorstSubgroup | None:
    """The group with the lowest malignant AUC among those large enough to report."""
    subgroups = summary.evidence.subgroups
    if subgroups is None:
        return None
    found = [
        WorstSubgroup(name=f"{attribute.name}: {group.name}", malignant_auc=figure)
        for attribute in subgroups.attributes
        for group in attribute.groups
        if group.name != UNKNOWN
        and (figure := group.figure("malignant_auc")) is not None
        and figure.value is not None
    ]
    return min(found, key=lambda group: group.malignant_auc.value or 0.0, default=None)


def _melanoma_sensitivity(summary: ReportSummary) -> Estimate:
    """Share of the melanomas found, counted by lesion as the threshold was chosen.

    A threshold of 0 flags everything: where validation gave no better one, nothing was measured.
    """
    for one in summary.evidence.operating_points:
        if one.point.name == "melanoma_sensitivity_95" and one.point.threshold > 0:
            return one.figures.lesion_sensitivity
    return Estimate(value=None)


def _comparable(
    summary: ReportSummary, bundle_hash: str, production: ProductionModel | None
) -> bool:
    """Whether the model in production is another one that answered the same test images."""
    return (
        production is not None
        and production.sample is not None
        and production.split_hash == summary.split_hash
        and production.data_fingerprint == summary.data_fingerprint
        and production.bundle_hash != bundle_hash
    )


def _not_compared(production: ProductionModel | None) -> ProductionComparison | None:
    if production is None:
        return None
    return ProductionComparison(
        version=production.version,
        bundle_hash=production.bundle_hash,
        split_hash=production.split_hash,
        differences=None,
    )


def _compared(
    report: EvaluationReport, production: ProductionModel, answers: Sample
) -> ProductionComparison:
    compared = compare(
        answers,
        sample_of_test(report.predictions),
        count=_RESAMPLES,
        seed=report.summary.seed,
        bins=report.summary.freezing.calibration.bins,
    )
    return ProductionComparison(
        version=production.version,
        bundle_hash=production.bundle_hash,
        split_hash=production.split_hash,
        differences=ProductionDifferences(
            **{name: compared.figures[name].difference for name in GUARDED}
        ),
    )
