"""Everything that the cards say of one model, as typed values.

A section that was not measured is None and has to be given as None: leaving one out by accident
would make a card claim that nothing was measured.
"""

from typing import Literal

import pandas as pd

from skin_lesion.data.manifest import Manifest
from skin_lesion.data.split_table import SPLITS, LeakReport, SplitName, SplitTable
from skin_lesion.data.terms import HAM10000
from skin_lesion.evaluation.cards.sections import (
    CalibrationFacts,
    CannotAssessFacts,
    ChangeEntry,
    ClassRow,
    PointRow,
    PredictionSetFacts,
    RobustnessRow,
    SanityRow,
    SplitCount,
    SubgroupRow,
)
from skin_lesion.evaluation.figures import Estimate, Figures
from skin_lesion.evaluation.gate_report import GateReport
from skin_lesion.labels import LABELS, MALIGNANT

DataKind = Literal["ham10000", "synthetic", "unknown"]


class Identity(Figures):
    """Which model it is.

    Attributes:
        name: Registered name.
        version: Version in the registry; None before it has one.
        date: Day it was evaluated, as YYYY-MM-DD.
        bundle_hash: Bundle that was measured.
        data_fingerprint: Manifest it was trained on.
        split_hash: Split it was trained and tested on.
        run_id: MLflow run that trained it; None outside a tracked run.
        code_version: Version of the library and hash of its training code.
    """

    name: str
    version: int | None
    date: str
    bundle_hash: str
    data_fingerprint: str
    split_hash: str
    run_id: str | None
    code_version: str


class DataFacts(Figures):
    """The data set.

    Attributes:
        name: Its name.
        licence: SPDX-like identifier; "unknown" where nothing tells it.
        citation: How to cite it.
        synthetic: True where no picture shows a real patient.
        source_height: Median height of the source pictures in pixels.
        source_width: Median width.
        histology_share: Share of the images whose diagnosis rests on histopathology; None where the
            table does not say.
        malignant_histology_share: The same for the images of malignant classes.
        quarantined: Images put aside.
    """

    name: str
    licence: str
    citation: str
    synthetic: bool
    source_height: int
    source_width: int
    histology_share: float | None
    malignant_histology_share: float | None
    quarantined: int

    @classmethod
    def of(cls, manifest: Manifest) -> "DataFacts":
        """Read them from the manifest."""
        origin = manifest.provenance
        return cls(
            name=origin.name,
            licence=origin.licence,
            citation=origin.citation,
            synthetic=origin.synthetic,
            source_height=origin.source_height,
            source_width=origin.source_width,
            histology_share=_histology_share(manifest.images),
            malignant_histology_share=_histology_share(
                manifest.images[manifest.images["dx"].isin(MALIGNANT)]
            ),
            quarantined=len(manifest.quarantine),
        )

    @property
    def kind(self) -> DataKind:
        """What is known of it beyond these fields."""
        if self.synthetic:
            return "synthetic"
        return "ham10000" if self.name == HAM10000.name else "unknown"


class ModelFacts(Figures):
    """The network.

    Attributes:
        backbone: Its name.
        feature_layer: Layer it was cut at; None where it was kept whole.
        pretrained_on: `imagenet`, the checksum of a weights file, or `nothing`.
        input_height: In pixels.
        input_width: In pixels.
        resize_mode: How a picture is brought to that size.
    """

    backbone: str
    feature_layer: str | None
    pretrained_on: str
    input_height: int
    input_width: int
    resize_mode: str


class TrainingFacts(Figures):
    """How it was trained.

    Attributes:
        epochs: Epochs that were run, over all phases.
        epoch_kept: Epoch whose weights were kept.
        minutes: Wall-clock time.
        hardware: Where.
        seed: Seed of everything random.
        imbalance: How unequal class sizes were met, in words.
        augmentation: How pictures were varied, in words.
    """

    epochs: int
    epoch_kept: int
    minutes: float
    hardware: str
    seed: int
    imbalance: str
    augmentation: str


class CardFacts(Figures):
    """Everything a card needs. None means: not measured in this run.

    Attributes:
        identity: Which model.
        data: Which data set.
        model: The network.
        training: How it was trained.
        splits: Images and lesions of each class in each split.
        leaks: What was checked on the split.
        test: Overall figures on the test split by name, such as `macro_f1`.
        classes: Figures of each class.
        operating_points: Frozen thresholds and what they do.
        calibration: Before and after.
        cannot_assess: When there is no answer.
        prediction_sets: Their coverage.
        subgroups: By sex, age band and site.
        robustness: Worst case of each disturbance.
        explanations: Sanity of the heat-maps.
        failures_shown: Wrong answers shown in the report's gallery.
        gate: The verdict of the gates.
        changes: The change record, newest first; empty where nothing was recorded.
    """

    identity: Identity
    data: DataFacts
    model: ModelFacts
    training: TrainingFacts | None
    splits: tuple[SplitCount, ...]
    leaks: LeakReport | None
    test: dict[str, Estimate] | None
    classes: tuple[ClassRow, ...] | None
    operating_points: tuple[PointRow, ...] | None
    calibration: CalibrationFacts | None
    cannot_assess: CannotAssessFacts | None
    prediction_sets: PredictionSetFacts | None
    subgroups: tuple[SubgroupRow, ...] | None
    robustness: tuple[RobustnessRow, ...] | None
    explanations: tuple[SanityRow, ...] | None
    failures_shown: int | None
    gate: GateReport | None
    changes: tuple[ChangeEntry, ...]

    def images(self, split: SplitName) -> int:
        """Images of a split."""
        return sum(row.images for row in self.splits if row.split == split)

    def lesions(self, split: SplitName) -> int:
        """Lesions of a split."""
        return sum(row.lesions for row in self.splits if row.split == split)


def count_splits(split: SplitTable) -> tuple[SplitCount, ...]:
    """Images and lesions of each class in each split, absent ones as 0."""
    grouped = split.rows.groupby(["split", "dx"])
    images, lesions = grouped.size(), grouped["lesion_id"].nunique()
    return tuple(
        SplitCount(
            split=name,
            label=label,
            images=int(images.get((name, label), 0)),
            lesions=int(lesions.get((name, label), 0)),
        )
        for name in SPLITS
        for label in LABELS
    )


def _histology_share(images: pd.DataFrame) -> float | None:
    if "dx_type" not in images or images.empty:
        return None
    return float((images["dx_type"] == "histo").mean())
