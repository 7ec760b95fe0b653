"""One model with everything measured, and the same with nothing."""

from datetime import UTC, datetime

import pandas as pd
import pytest

from skin_lesion.data.looking import LookNote
from skin_lesion.data.manifest import Manifest, Provenance
from skin_lesion.data.split_table import SPLITS, LeakReport, SplitTable
from skin_lesion.data.terms import HAM10000, SYNTHETIC
from skin_lesion.decisions import Limits
from skin_lesion.evaluation.cards.facts import CardFacts, Identity, ModelFacts, TrainingFacts
from skin_lesion.evaluation.cards.facts_data import DataFacts, count_people, count_splits
from skin_lesion.evaluation.cards.sections import (
    BandRow,
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
from skin_lesion.evaluation.figures import Estimate
from skin_lesion.evaluation.gate_report import GateCheck, GateReport
from skin_lesion.labels import LABELS, MALIGNANT

SECTIONS = (
    "training", "leaks", "test", "classes", "operating_points", "calibration", "confidence",
    "cannot_assess",
    "prediction_sets", "subgroups", "robustness", "explanations", "failures_shown", "looks", "gate",
)  # fmt: skip


def near(value: float) -> Estimate:
    return Estimate(value=value, ci_low=value - 0.031, ci_high=value + 0.027)


@pytest.fixture(scope="session")
def manifest() -> Manifest:
    return make_manifest(synthetic=False)


def make_manifest(*, synthetic: bool) -> Manifest:
    terms = SYNTHETIC if synthetic else HAM10000
    rows = [
        {
            "image_id": f"ISIC_{lesion}{view}", "lesion_id": f"HAM_{lesion}",
            "dx": (dx := LABELS[lesion % 7]), "sha256": f"{lesion}{view}",
            "dx_type": "histo" if dx in MALIGNANT else "follow_up" if dx == "nv" else "consensus",
            "age": float("nan") if lesion % 10 == 0 else 30.0 + lesion % 50,
            "sex": ("male", "female", "unknown")[lesion % 3],
            "localization": ("back", "face", "lower extremity", "trunk")[lesion % 4],
        }
        for lesion in range(210)
        for view in range(1 + lesion % 2)
    ]  # fmt: skip
    quarantine = pd.DataFrame(
        [("ISIC_x", "x.jpg", "not an image", ""), ("ISIC_y", "y.jpg", "not an image", "")],
        columns=["image_id", "file", "reason", "detail"],
    )
    provenance = Provenance(
        kind="kaggle", name=terms.name, licence=terms.licence, citation=terms.citation,
        synthetic=synthetic, source_height=450, source_width=600,
    )  # fmt: skip
    return Manifest(pd.DataFrame(rows), quarantine, provenance)


@pytest.fixture(scope="session")
def split(manifest: Manifest) -> SplitTable:
    rows = manifest.images[["image_id", "lesion_id", "dx"]].copy()
    number = rows["lesion_id"].str.removeprefix("HAM_").astype(int)
    # Lesions 205 and 206, both in test, count as one.
    rows["group"] = rows["lesion_id"].replace("HAM_206", "HAM_205")
    rows["split"] = [SPLITS[0] if n < 140 else SPLITS[1] if n < 175 else SPLITS[2] for n in number]
    report = LeakReport(
        groups_crossing=0, duplicates_crossing=0, merged_pairs=17, unmerged_pairs=0, images={},
        groups={}, class_counts={}, class_share_deviation={},
    )  # fmt: skip
    return SplitTable(rows[["image_id", "lesion_id", "group", "dx", "split"]], report)


@pytest.fixture(scope="session")
def facts(manifest: Manifest, split: SplitTable) -> CardFacts:
    """Figures are told apart by their digits."""
    return CardFacts(
        identity=Identity(
            name="skin-lesion-classifier", version=4, date="2026-03-01", trained_hash="a" * 64,
            bundle_hash="b" * 64,
            data_fingerprint=manifest.fingerprint, split_hash=split.split_hash, run_id="r" * 32,
            code_version="0.1.0+cafe",
        ),
        data=DataFacts.of(manifest),
        model=ModelFacts(
            backbone="mobilenet", feature_layer="conv_pw_12_relu", pretrained_on="imagenet",
            input_height=150, input_width=200, resize_mode="stretch",
        ),
        training=TrainingFacts(
            epochs=22, epoch_kept=19, minutes=36.4, hardware="2 × CPU", seed=42,
            imbalance="classes drawn by the square root of their size",
            augmentation="flips, rotations, colour",
        ),
        splits=count_splits(split),
        people=count_people(manifest, split),
        leaks=split.leak_report,
        test={
            "balanced_accuracy": near(0.6511), "macro_f1": near(0.6542), "accuracy": near(0.7993),
            "macro_auc": near(0.9514), "melanoma_auc": near(0.8655), "ece": near(0.0326),
        },
        classes=tuple(
            ClassRow(
                label=label, precision=near(0.41 + i / 100), recall=near(0.51 + i / 100),
                f1=near(0.61 + i / 100), auc=near(0.91 + i / 100), images=30 + i, lesions=20 + i,
            )
            for i, label in enumerate(LABELS)
        ),
        operating_points=(
            PointRow(
                name="melanoma_sensitivity_95", target="melanoma", criterion="sensitivity",
                goal=0.95, reached=True, threshold=0.0321, sensitivity=near(0.9347),
                specificity=near(0.5128), ppv=near(0.1931), npv=near(0.9846),
            ),
            PointRow(
                name="malignant_ppv_3", target="malignant", criterion="ppv", goal=0.03,
                reached=False, threshold=0.0045, sensitivity=near(0.9967), specificity=near(0.1235),
                ppv=near(0.2221), npv=Estimate(value=None),
            ),
        ),
        calibration=CalibrationFacts(
            method="temperature", identified=True, ece_before=near(0.0713), ece_after=near(0.0319),
            brier_before=near(0.3124), brier_after=near(0.2987),
        ),
        confidence=(
            BandRow(
                name="high", lowest=0.8765, images=180, melanomas=21, share=near(0.7012),
                accuracy=near(0.9345), melanoma_missed=near(0.1905),
                melanoma_called_benign=near(0.1429),
            ),
            BandRow(
                name="low", lowest=0.0, images=30, melanomas=0, share=near(0.2988),
                accuracy=near(0.5123), melanoma_missed=Estimate(value=None),
                melanoma_called_benign=Estimate(value=None),
            ),
        ),
        cannot_assess=CannotAssessFacts(
            quality={"sharpness": Limits(low=1.15), "brightness": Limits(low=40.0, high=235.0)},
            ood_score="mahalanobis", ood_threshold=31.25, accepted_share=near(0.9471),
            accepted_accuracy=near(0.8123),
            foreign_refused={"crops": near(0.8881), "skin": Estimate(value=1.0)},
        ),
        prediction_sets=PredictionSetFacts(
            promised=0.9, coverage=near(0.8917),
            class_coverage={label: near(0.80 + i / 50) for i, label in enumerate(LABELS)},
            mean_size=2.34, unsupported=("df",),
        ),
        subgroups=(
            SubgroupRow(
                attribute="sex", name="female", images=700, lesions=500, indicative=False,
                figures={"Malignant AUC": near(0.8765), "Melanoma sensitivity": near(0.9231)},
            ),
            SubgroupRow(
                attribute="site", name="face", images=21, lesions=15, indicative=True,
                figures={"Malignant AUC": Estimate(value=0.7012), "Melanoma sensitivity": None},
            ),
        ),
        robustness=(
            RobustnessRow(
                disturbance="ink marks, severity 3", figure="balanced accuracy", clean=near(0.6511),
                disturbed=near(0.5634), changed_answers=near(0.1789),
            ),
            RobustnessRow(
                disturbance="JPEG quality 20", figure="balanced accuracy", clean=near(0.6511),
                disturbed=near(0.6411), changed_answers=near(0.0412),
            ),
        ),
        explanations=(
            SanityRow(
                name="Correlation with maps of a random head", figure=near(0.0932),
                meaning="Low: the maps depend on what was learnt",
            ),
        ),
        failures_shown=24,
        looks=LookNote(
            row=9, head=f"{'c' * 64}:9", before=8, models_before=3, same_model_before=1,
            since=datetime(2026, 2, 3, tzinfo=UTC),
        ),
        gate=GateReport(
            passed=False, synthetic_only=False, split_hash="a" * 64, bundle_hash="b" * 64,
            checks=(
                GateCheck(
                    name="macro_f1", value=0.654, minimum=0.7, passed=False,
                    reason="Macro F1 is 0.654, which is below the minimum of 0.700.",
                ),
                GateCheck(
                    name="ece", value=0.032, maximum=0.1, passed=True,
                    reason="Calibration error (ECE) is 0.032, which is within the maximum of 0.100.",
                ),
            ),
        ),
        changes=(
            ChangeEntry(
                date="2026-03-02", version="4", change="Promoted to production after review",
                by="reviewer",
            ),
        ),
    )  # fmt: skip


@pytest.fixture(scope="session")
def bare_facts(facts: CardFacts) -> CardFacts:
    """Nothing was measured, nothing is recorded."""
    return facts.model_copy(update=dict.fromkeys(SECTIONS) | {"changes": ()})


@pytest.fixture(scope="session")
def drawn_facts(facts: CardFacts) -> CardFacts:
    """The same on drawn pictures."""
    return facts.model_copy(update={"data": DataFacts.of(make_manifest(synthetic=True))})
