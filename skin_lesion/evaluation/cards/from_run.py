"""From what a run came to, to the facts of its cards."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

from skin_lesion.checkout import processor
from skin_lesion.data.augment import AugmentationPlan
from skin_lesion.data.manifest import Manifest
from skin_lesion.data.split_table import SplitTable
from skin_lesion.evaluation.cards.facts import (
    CardFacts,
    DataFacts,
    Identity,
    ModelFacts,
    TrainingFacts,
    count_splits,
)
from skin_lesion.evaluation.cards.sections import (
    CalibrationFacts,
    CannotAssessFacts,
    ChangeEntry,
    ClassRow,
    PointRow,
    PredictionSetFacts,
    RobustnessRow,
    SanityRow,
    SubgroupRow,
)
from skin_lesion.evaluation.evidence import Evidence
from skin_lesion.evaluation.figures import Estimate
from skin_lesion.evaluation.gate_report import GateReport
from skin_lesion.evaluation.summary import ReportSummary
from skin_lesion.labels import LABELS
from skin_lesion.modeling.bundle import ModelBundle
from skin_lesion.modeling.history import History

_OVERALL = (
    "accuracy",
    "balanced_accuracy",
    "macro_f1",
    "weighted_f1",
    "macro_auc",
    "melanoma_auc",
    "malignant_auc",
    "brier",
    "ece",
)
_SUBGROUP_FIGURES = {
    "malignant_auc": "Malignant AUC",
    "melanoma_sensitivity_95.sensitivity": "Melanoma sensitivity",
}


@dataclass(frozen=True)
class Run:
    """What a finished run has to say about itself.

    Attributes:
        name: Registered name of the model.
        version: Version in the registry; None before it has one.
        bundle: With its decisions.
        gate: The verdict of the gates.
        summary: What was measured.
        manifest: The data set.
        split: How it was shared out.
        plan: How training pictures were varied; None where that is not known.
        histories: Training phases, in order.
        changes: The change record, newest first.
    """

    name: str
    version: int | None
    bundle: ModelBundle
    gate: GateReport
    summary: ReportSummary
    manifest: Manifest
    split: SplitTable
    plan: AugmentationPlan | None
    histories: Sequence[History]
    changes: tuple[ChangeEntry, ...] = ()


def card_facts(run: Run) -> CardFacts:
    """Gather the facts."""
    evidence = run.summary.evidence
    contract = run.bundle.contract
    return CardFacts(
        identity=Identity(
            name=run.name,
            version=run.version,
            date=datetime.datetime.now(datetime.UTC).date().isoformat(),
            bundle_hash=run.bundle.bundle_hash,
            data_fingerprint=contract.data_fingerprint,
            split_hash=contract.split_hash,
            run_id=contract.training_run_id,
            code_version=contract.code_version,
        ),
        data=DataFacts.of(run.manifest),
        model=ModelFacts(
            backbone=contract.backbone,
            feature_layer=contract.feature_layer,
            pretrained_on=contract.pretrained_on,
            input_height=contract.input_height,
            input_width=contract.input_width,
            resize_mode=contract.resize_mode,
        ),
        training=_training(run),
        splits=count_splits(run.split),
        leaks=run.split.leak_report,
        test={name: evidence.discrimination.images.estimates[name] for name in _OVERALL},
        classes=_classes(run.summary),
        operating_points=_points(evidence),
        calibration=_calibration(run.summary),
        cannot_assess=_cannot_assess(run.summary),
        prediction_sets=_sets(evidence),
        subgroups=_subgroups(evidence),
        robustness=_robustness(evidence),
        explanations=_explanations(evidence),
        failures_shown=sum(len(one.missed) for one in evidence.gallery.values()),
        gate=run.gate,
        changes=run.changes,
    )


def _training(run: Run) -> TrainingFacts | None:
    if not run.histories:
        return None
    records = [record for history in run.histories for record in history.records]
    return TrainingFacts(
        epochs=len(records),
        epoch_kept=run.histories[-1].best_epoch + 1,
        minutes=sum(record.seconds for record in records) / 60,
        hardware=processor(),
        seed=run.summary.seed,
        imbalance=_imbalance(run.plan),
        augmentation=_augmentation(run.plan),
    )


def _imbalance(plan: AugmentationPlan | None) -> str:
    if plan is None:
        return "not recorded"
    power = plan.policy.class_weight_power
    if power == 0:
        return "not corrected"
    return f"class weights in the loss: (mean count / count) to the power of {power:g}"


def _augmentation(plan: AugmentationPlan | None) -> str:
    if plan is None:
        return "not recorded"
    policy = plan.policy
    mixes = [
        name
        for name, alpha in (("MixUp", policy.mixup_alpha), ("CutMix", policy.cutmix_alpha))
        if alpha > 0 and policy.mix_probability > 0
    ]
    mixed = (
        f"; {' or '.join(mixes)} in {policy.mix_probability:.0%} of the batches" if mixes else ""
    )
    return (
        f"flips, rotation up to {policy.rotation:g} degrees, zoom {policy.zoom:g}, shift "
        f"{policy.translation:g}, brightness {policy.brightness:g}, contrast {policy.contrast:g}, "
        f"saturation {policy.saturation:g}{mixed}"
    )


def _classes(summary: ReportSummary) -> tuple[ClassRow, ...]:
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


def _points(evidence: Evidence) -> tuple[PointRow, ...]:
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


def _calibration(summary: ReportSummary) -> CalibrationFacts:
    pair = summary.evidence.calibration
    return CalibrationFacts(
        method=summary.freezing.calibration.method,
        identified=summary.freezing.calibration.identified,
        ece_before=pair.before.ece,
        ece_after=pair.after.ece,
        brier_before=pair.before.brier,
        brier_after=pair.after.brier,
    )


def _cannot_assess(summary: ReportSummary) -> CannotAssessFacts | None:
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


def _sets(evidence: Evidence) -> PredictionSetFacts | None:
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


def _subgroups(evidence: Evidence) -> tuple[SubgroupRow, ...] | None:
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


def _robustness(evidence: Evidence) -> tuple[RobustnessRow, ...] | None:
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


def _explanations(evidence: Evidence) -> tuple[SanityRow, ...] | None:
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
