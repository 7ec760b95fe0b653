"""The measured figures of a model, as they stand in `evaluation/report.json`.

Fields are appended, never renamed: the registry, the gates and the app read them by name. The JSON
schema is `ReportSummary.model_json_schema()`.
"""

from typing import Literal

from skin_lesion.evaluation.figures import Figures

SCHEMA_VERSION = 1


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
    Probabilities are calibrated with the frozen temperature unless a name says otherwise.

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
        ece_uncalibrated: The same at temperature 1.
        nll: Mean negative log-likelihood in nats.
        nll_uncalibrated: The same at temperature 1.
        brier: Mean over images of the squared error summed over classes, 0 to 2.
        brier_uncalibrated: The same at temperature 1.
        per_class: Figures of each class by its code.
        absent_classes: Classes of which the split holds no image.
        confusion: Number of images; rows are true classes, columns predicted ones, in label order.
    """

    purpose: Literal["selection", "test"]
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


class CalibrationFigures(Figures):
    """How the temperature was fitted, and how well it does on images it was not fitted on.

    Attributes:
        fitted_on: The only split that was looked at.
        temperature: Fitted on all of it and frozen.
        identified: False where validation could not tell the temperature: without a mistake there
            the likelihood rises towards certainty without end, and the temperature is left at 1; or
            the fit ran into the end of the allowed range.
        folds: Lesion-grouped folds of the cross-fit.
        fold_temperatures: Temperature fitted without each fold.
        bins: Equal-mass bins of the calibration error.
        nll_uncalibrated: Mean negative log-likelihood at temperature 1, in nats.
        nll_cross_fitted: The same, each image at the temperature fitted without its fold.
        ece_uncalibrated: Expected calibration error at temperature 1.
        ece_cross_fitted: The same, cross-fitted.
    """

    fitted_on: Literal["val"] = "val"
    temperature: float
    identified: bool
    folds: int
    fold_temperatures: tuple[float, ...]
    bins: int
    nll_uncalibrated: float
    nll_cross_fitted: float
    ece_uncalibrated: float
    ece_cross_fitted: float


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
        seed: Seed of the calibration folds.
        temperature: Frozen temperature that all calibrated figures use.
        calibration: How it was found.
        val: Figures on the split that chose weights and temperature.
        test: Figures on the untouched split, measured once.
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
    temperature: float
    calibration: CalibrationFigures
    val: SplitFigures
    test: SplitFigures
