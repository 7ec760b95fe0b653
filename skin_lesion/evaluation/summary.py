"""The measured figures of a model, as they stand in `evaluation/report.json`.

Fields are appended, never renamed: the registry, the gates and the app read them by name. The JSON
schema is `ReportSummary.model_json_schema()`.
"""

from typing import Literal

from skin_lesion.data.looking import LookNote
from skin_lesion.decisions import Decisions
from skin_lesion.evaluation.evidence import Evidence
from skin_lesion.evaluation.figures import Figures, Interval
from skin_lesion.evaluation.freezing import FreezingFigures

SCHEMA_VERSION = 3
Purpose = Literal["selection", "test", "external"]


class ClassFigures(Figures):
    """One class against the rest. Everything but `n` is None where the split holds no such image.

    Attributes:
        precision: Share of the images called this class that are; 0 where none was called so.
        recall: Share of the images of this class that were called so.
        f1: Harmonic mean of the two.
        auc: Area under the ROC curve of this class's probability; None also where every image is
            of this class.
        n: Images of this class.
    """

    precision: float | None
    recall: float | None
    f1: float | None
    auc: float | None
    n: int


class SplitFigures(Figures):
    """Everything measured on one split.

    Means over classes are means over the classes present in the split; those absent are named.
    Probabilities are calibrated by the frozen calibrator unless a name says otherwise.

    Attributes:
        purpose: What the split was used for. Only figures of an untouched split say how the model
            will do on new images; those of a split that chose the weights flatter it.
        n_images: Number of images.
        n_lesions: Number of lesion ids.
        accuracy: Share of right answers.
        balanced_accuracy: Mean recall over classes.
        macro_f1: Mean F1 over classes.
        weighted_f1: Mean F1 weighted by the classes' number of images.
        macro_auc: Mean one-against-rest AUC over classes.
        melanoma_auc: AUC of the melanoma probability for melanoma against the rest.
        malignant_auc: AUC of the summed malignant probability for malignant against benign.
        ece: Expected calibration error of the top probability in equal-mass bins, 0 to 1.
        ece_uncalibrated: The same of the plain softmax.
        nll: Mean negative log-likelihood in nats.
        nll_uncalibrated: The same of the plain softmax.
        brier: Mean over images of the squared error summed over classes, 0 to 2.
        brier_uncalibrated: The same of the plain softmax.
        per_class: Figures of each class by its code.
        absent_classes: Classes of which the split holds no image.
        confusion: Number of images; rows are true classes, columns predicted ones, in label order.
        intervals: 95 % intervals from a bootstrap over lesions, by the figure's name, such as
            `macro_f1` or `per_class.mel.recall`; none where a figure cannot have one.
    """

    purpose: Purpose
    n_images: int
    n_lesions: int
    accuracy: float
    balanced_accuracy: float
    macro_f1: float
    weighted_f1: float
    macro_auc: float | None
    melanoma_auc: float | None
    malignant_auc: float | None
    ece: float
    ece_uncalibrated: float
    nll: float
    nll_uncalibrated: float
    brier: float
    brier_uncalibrated: float
    per_class: dict[str, ClassFigures]
    absent_classes: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    intervals: dict[str, Interval]


class ReportSummary(Figures):
    """`evaluation/report.json`.

    Attributes:
        schema_version: Version of this layout.
        labels: Class codes in the order of every vector and matrix.
        backbone: Name of the model's backbone.
        pretrained_on: What its weights had learnt before.
        bundle_hash: Hash of the bundle that was measured, through its serving export.
        training_run_id: MLflow run that trained it; None outside a tracked run.
        data_fingerprint: Fingerprint of the manifest.
        split_hash: Hash of the split.
        synthetic_only: True where no picture shows a real patient.
        licence: Licence of the pictures.
        seed: Seed of folds, resamples and draws.
        decisions: What was frozen on validation.
        freezing: How it was found, and what cross-fitting says of it.
        val: Figures on the split that chose the weights, with cross-fitted probabilities.
        test: Figures on the split that no fit was given.
        evidence: Everything else that was measured on the test split.
        decided_bundle_hash: Hash of the same bundle with what was frozen, which is the one that is
            registered and served; None in a report from before it was told.
        looks: Where the look that gave the figures of `test` stands in the ledger, and how many came
            before it; None in a report from before a ledger was kept.
    """

    schema_version: int = SCHEMA_VERSION
    labels: tuple[str, ...]
    backbone: str
    pretrained_on: str
    bundle_hash: str
    training_run_id: str | None
    data_fingerprint: str
    split_hash: str
    synthetic_only: bool
    licence: str
    seed: int
    decisions: Decisions
    freezing: FreezingFigures
    val: SplitFigures
    test: SplitFigures
    evidence: Evidence
    decided_bundle_hash: str | None = None
    looks: LookNote | None = None
