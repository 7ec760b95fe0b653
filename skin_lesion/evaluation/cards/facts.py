"""Everything that the cards say of one model, as typed values.

A section that was not measured is None and has to be given as None: leaving one out by accident
would make a card claim that nothing was measured.
"""

from pydantic import Field

from skin_lesion.data.looking import LookNote
from skin_lesion.data.split_table import LeakReport, SplitName
from skin_lesion.evaluation.cards.facts_data import DataFacts
from skin_lesion.evaluation.cards.sections import (
    BandRow,
    CalibrationFacts,
    CannotAssessFacts,
    ChangeEntry,
    ClassRow,
    PeopleRow,
    PointRow,
    PredictionSetFacts,
    RobustnessRow,
    SanityRow,
    SplitCount,
    SubgroupRow,
)
from skin_lesion.evaluation.figures import Estimate, Figures
from skin_lesion.evaluation.gate_report import GateReport


class Identity(Figures):
    """Which model it is.

    Attributes:
        name: Registered name.
        version: Version in the registry; None before it has one.
        date: Day it was evaluated, as YYYY-MM-DD.
        trained_hash: Bundle as it was trained, without decisions: the one that was measured.
        bundle_hash: The same with its decisions: the one that is registered and served.
        data_fingerprint: Manifest it was trained on.
        split_hash: Split it was trained and tested on.
        run_id: MLflow run that trained it; None outside a tracked run.
        code_version: Version of the library and hash of its training code.
    """

    name: str
    version: int | None
    date: str
    trained_hash: str
    bundle_hash: str
    data_fingerprint: str
    split_hash: str
    run_id: str | None
    code_version: str


class ModelFacts(Figures):
    """The network.

    Attributes:
        backbone: Its name.
        feature_layer: Layer it was cut at; None where it was kept whole.
        pretrained_on: `imagenet`, the checksum of a weights file, or `nothing`.
        input_height: In pixels.
        input_width: In pixels.
        resize_mode: How a picture is brought to that size.
        members: Networks whose logits are averaged; 1 where it is a single one.
        options: What sets it apart from its backbone, by name and in words.
    """

    backbone: str
    feature_layer: str | None
    pretrained_on: str
    input_height: int
    input_width: int
    resize_mode: str
    members: int = 1
    options: dict[str, str] = Field(default_factory=dict)


class TrainingFacts(Figures):
    """How it was trained.

    Attributes:
        epochs: Epochs that were run, over all phases.
        epoch_kept: Epoch whose weights were kept; of an ensemble, that of the last member.
        minutes: Wall-clock time.
        hardware: Where.
        seed: Seed of everything random.
        imbalance: How unequal class sizes were met, in words.
        augmentation: How pictures were varied, in words.
        epochs_kept: Epoch whose weights were kept, of each member of an ensemble.
    """

    epochs: int
    epoch_kept: int
    minutes: float
    hardware: str
    seed: int
    imbalance: str
    augmentation: str
    epochs_kept: tuple[int, ...] = ()

    @property
    def choice(self) -> str:
        """Which weights were kept and by what they were chosen, in words."""
        if not self.epochs_kept:
            return f"the weights after epoch {self.epoch_kept} were kept, chosen on validation"
        kept = ", ".join(map(str, self.epochs_kept))
        return (
            f"the weights after epochs {kept} were kept, one network each, chosen on the fold of the "
            "training lesions that the network did not learn from"
        )


class CardFacts(Figures):
    """Everything a card needs. None means: not measured in this run.

    Attributes:
        identity: Which model.
        data: Which data set.
        model: The network.
        training: How it was trained.
        splits: Images and lesions of each class in each split.
        people: Whose lesions each split holds, training first.
        leaks: What was checked on the split.
        test: Overall figures on the test split by name, such as `macro_f1`.
        classes: Figures of each class.
        operating_points: Frozen thresholds and what they do.
        calibration: Before and after.
        confidence: Bands of confidence, from high to low.
        cannot_assess: When there is no answer.
        prediction_sets: Their coverage.
        subgroups: By sex, age band and site.
        robustness: Worst case of each disturbance.
        explanations: Sanity of the heat-maps.
        failures_shown: Wrong answers shown in the report's gallery.
        looks: What came before the look that gave the figures; None where no ledger was kept.
        gate: The verdict of the gates.
        changes: The change record, newest first; empty where nothing was recorded.
    """

    identity: Identity
    data: DataFacts
    model: ModelFacts
    training: TrainingFacts | None
    splits: tuple[SplitCount, ...]
    people: tuple[PeopleRow, ...]
    leaks: LeakReport | None
    test: dict[str, Estimate] | None
    classes: tuple[ClassRow, ...] | None
    operating_points: tuple[PointRow, ...] | None
    calibration: CalibrationFacts | None
    confidence: tuple[BandRow, ...] | None
    cannot_assess: CannotAssessFacts | None
    prediction_sets: PredictionSetFacts | None
    subgroups: tuple[SubgroupRow, ...] | None
    robustness: tuple[RobustnessRow, ...] | None
    explanations: tuple[SanityRow, ...] | None
    failures_shown: int | None
    looks: LookNote | None
    gate: GateReport | None
    changes: tuple[ChangeEntry, ...]

    def images(self, split: SplitName) -> int:
        """Images of a split."""
        return sum(row.images for row in self.splits if row.split == split)

    def lesions(self, split: SplitName) -> int:
        """Lesion ids of a split."""
        return sum(row.lesions for row in self.splits if row.split == split)

    def groups(self, split: SplitName) -> int:
        """Lesion groups of a split: ids with near-identical pictures are one."""
        return sum(row.lesion_groups for row in self.people if row.split == split)
