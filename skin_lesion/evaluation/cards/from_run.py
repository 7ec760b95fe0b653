"""From what a run came to, to the facts of its cards."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

from skin_lesion.checkout import processor
from skin_lesion.data.augment import AugmentationPlan
from skin_lesion.data.manifest import Manifest
from skin_lesion.data.split_table import SplitTable
from skin_lesion.evaluation.cards import measured
from skin_lesion.evaluation.cards.facts import CardFacts, Identity, ModelFacts, TrainingFacts
from skin_lesion.evaluation.cards.facts_data import DataFacts, count_people, count_splits
from skin_lesion.evaluation.cards.sections import ChangeEntry
from skin_lesion.evaluation.gate_report import GateReport
from skin_lesion.evaluation.summary import ReportSummary
from skin_lesion.modeling.bundle import ModelBundle
from skin_lesion.modeling.history import History

# Accuracy comes late: with two naevi in three pictures it flatters.
_OVERALL = (
    "balanced_accuracy",
    "macro_f1",
    "melanoma_auc",
    "malignant_auc",
    "macro_auc",
    "weighted_f1",
    "accuracy",
    "brier",
    "ece",
)


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
        histories: Training phases, in order; of one member of an ensemble after the other.
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
            trained_hash=run.summary.bundle_hash,
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
            members=max(1, len(contract.members)),
            options=contract.options,
        ),
        training=_training(run),
        splits=count_splits(run.split),
        people=count_people(run.manifest, run.split),
        leaks=run.split.leak_report,
        test={name: evidence.discrimination.images.estimates[name] for name in _OVERALL},
        classes=measured.classes(run.summary),
        operating_points=measured.points(evidence),
        calibration=measured.calibration(run.summary),
        confidence=measured.confidence(evidence),
        cannot_assess=measured.cannot_assess(run.summary),
        prediction_sets=measured.sets(evidence),
        subgroups=measured.subgroups(evidence),
        robustness=measured.robustness(evidence),
        explanations=measured.explanations(evidence),
        failures_shown=sum(len(one.missed) for one in evidence.gallery.values()),
        looks=run.summary.looks,
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
        epochs_kept=tuple(one.epoch_kept for one in run.bundle.contract.members),
    )


def _imbalance(plan: AugmentationPlan | None) -> str:
    if plan is None:
        return "not recorded"
    policy = plan.policy
    power = policy.class_weight_power
    if policy.imbalance == "none" or (policy.imbalance == "class_weights" and power == 0):
        return "not corrected"
    return {
        "class_weights": f"class weights in the loss: (mean count / count) to the power of {power:g}",
        "balanced_sampling": (
            "balanced sampling: a class of n images is served in proportion to n to the power of "
            f"{1 - policy.sampling_power:g}"
        ),
        "focal": f"focal loss, gamma {policy.focal_gamma:g}",
        "logit_adjustment": f"logit adjustment in the loss, tau {policy.logit_adjustment_tau:g}",
    }[policy.imbalance]


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
