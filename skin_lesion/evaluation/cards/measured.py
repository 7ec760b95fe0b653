"""What was measured on a model, as facts of its cards."""

from skin_lesion.evaluation.cards.sections import (
    BandRow,
    CalibrationFacts,
    CannotAssessFacts,
    ClassRow,
    PointRow,
    PredictionSetFacts,
    RobustnessRow,
    SanityRow,
    SubgroupRow,
)
from skin_lesion.evaluation.evidence import Evidence
from skin_lesion.evaluation.figures import Estimate
from skin_lesion.evaluation.summary import ReportSummary
from skin_lesion.labels import LABELS

_SUBGROUP_FIGURES = {
    "malignant_auc": "Malignant AUC",
    "melanoma_sensitivity_95.sensitivity": "Melanoma sensitivity",
}


def classes(summary: ReportSummary) -> tuple[ClassRow, ...]:
    """Figures of each class."""
    found = summary.evidence.discrimination.images
    return tuple(
        ClassRow(
            label=label,
            **{
                name: found.estimates[f"per_class.{label}.{name}"]
                for name in ("precision", "recall", "f1", "auc")
            },
            images=summary.test.per_class[label].n,
            lesions=found.class_lesions[label],
        )
        for label in LABELS
    )


def points(evidence: Evidence) -> tuple[PointRow, ...]:
    """What each frozen threshold does."""
    return tuple(
        PointRow(
            **one.point.model_dump(),
            sensitivity=one.figures.sensitivity,
            specificity=one.figures.specificity,
            ppv=one.figures.ppv,
            npv=one.figures.npv,
        )
        for one in evidence.operating_points
    )


def calibration(summary: ReportSummary) -> CalibrationFacts:
    """Before and after."""
    pair = summary.evidence.calibration
    return CalibrationFacts(
        method=summary.freezing.calibration.method,
        identified=summary.freezing.calibration.identified,
        ece_before=pair.before.ece,
        ece_after=pair.after.ece,
        brier_before=pair.before.brier,
        brier_after=pair.after.brier,
    )


def confidence(evidence: Evidence) -> tuple[BandRow, ...] | None:
    """What the bands of confidence are worth."""
    found = evidence.confidence
    if found is None:
        return None
    lowest = {"high": found.cutoffs.high, "medium": found.cutoffs.medium, "low": 0.0}
    return tuple(
        BandRow(
            name=band.name,
            lowest=lowest[band.name],
            images=band.n_images,
            melanomas=band.n_melanomas,
            share=band.share,
            accuracy=band.accuracy,
            melanoma_missed=band.melanoma_missed,
            melanoma_called_benign=band.melanoma_called_benign,
        )
        for band in found.bands
    )


def cannot_assess(summary: ReportSummary) -> CannotAssessFacts | None:
    """When there is no answer."""
    refusals, gate = summary.evidence.refusals, summary.decisions.ood
    if refusals is None:
        return None
    return CannotAssessFacts(
        quality=dict(summary.decisions.quality),
        ood_score=gate.score if gate else None,
        ood_threshold=gate.threshold if gate else None,
        accepted_share=_rest(refusals.refused),
        accepted_accuracy=refusals.accepted.accuracy,
        foreign_refused={kind: one.refused for kind, one in refusals.outliers.items()},
    )


def _rest(share: Estimate) -> Estimate:
    """One minus a share."""
    if share.value is None:
        return share
    if share.ci_low is None or share.ci_high is None:
        return Estimate(value=1 - share.value)
    return Estimate(value=1 - share.value, ci_low=1 - share.ci_high, ci_high=1 - share.ci_low)


def sets(evidence: Evidence) -> PredictionSetFacts | None:
    """Coverage of the prediction sets."""
    found = evidence.prediction_sets
    if found is None:
        return None
    return PredictionSetFacts(
        promised=found.promised,
        coverage=found.coverage,
        class_coverage={label: one.coverage for label, one in found.per_class.items()},
        mean_size=found.mean_size.value or 0.0,
        unsupported=tuple(label for label, one in found.per_class.items() if not one.supported),
    )


def subgroups(evidence: Evidence) -> tuple[SubgroupRow, ...] | None:
    """By sex, age band and site."""
    found = evidence.subgroups
    if found is None:
        return None
    return tuple(
        SubgroupRow(
            attribute=attribute.name,
            name=group.name,
            images=group.n_images,
            lesions=group.n_lesions,
            figures={title: group.figure(name) for name, title in _SUBGROUP_FIGURES.items()},
            indicative=group.too_few,
        )
        for attribute in found.attributes
        for group in attribute.groups
    )


def robustness(evidence: Evidence) -> tuple[RobustnessRow, ...] | None:
    """The strongest of each disturbance."""
    found = evidence.robustness
    if found is None:
        return None
    rows = []
    for one in found.perturbations.values():
        worst = one.strengths[-1]
        rows.append(
            RobustnessRow(
                disturbance=f"{one.title} ({worst.amount:g} {one.unit})",
                figure="balanced accuracy",
                clean=found.clean.balanced_accuracy,
                disturbed=worst.scores.balanced_accuracy,
                changed_answers=worst.changed_predictions,
            )
        )
    return tuple(rows)


def explanations(evidence: Evidence) -> tuple[SanityRow, ...] | None:
    """Sanity of the heat-maps."""
    found = evidence.explanations
    if found is None:
        return None
    last = (found.randomisation.cascade or (found.randomisation.head,))[-1]
    rows = [
        SanityRow(
            name="Similarity to the maps of a network with shuffled weights",
            figure=last.rank_correlation,
            meaning="Rank correlation; near 0 means that the maps depend on the weights.",
        )
    ]
    if found.deletion is not None:
        rows += [
            SanityRow(
                name="Melanomas in which hiding what the map points at beats random order",
                figure=found.deletion.better_deletion,
                meaning=f"A share; at least {found.deletion.goal:.0%} was asked.",
            ),
            SanityRow(
                name="Melanomas in which it beats hiding from the centre outwards",
                figure=found.deletion.better_than_centre,
                meaning="A share; one half means no better than looking at the middle.",
            ),
        ]
    return tuple(rows)
