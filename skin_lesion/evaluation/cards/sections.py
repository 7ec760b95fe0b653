"""The rows and blocks that the sections of a card are made of; all figures are of the test split."""

from typing import Literal

from skin_lesion.data.split_table import SplitName
from skin_lesion.decisions import Confidence, Limits
from skin_lesion.evaluation.figures import Estimate, Figures


class SplitCount(Figures):
    """One class in one split.

    Attributes:
        split: Name of the split.
        label: Code of the class.
        images: Its images.
        lesions: Its lesion ids.
    """

    split: SplitName
    label: str
    images: int
    lesions: int


class PeopleRow(Figures):
    """Whose lesions one split holds, as far as the data say; shares and ages are over images.

    Attributes:
        split: Name of the split.
        images: Images.
        lesion_groups: Lesions, ids with near-identical pictures as one.
        age: Median and both quartiles in years; None where no age is known.
        age_known: Images whose age is known.
        female: Share of women among the images whose sex is known; None where none is.
        sex_known: Images whose sex is known.
        malignant: Share of images of a malignant class.
        histology: Share of images whose diagnosis rests on histopathology; None where the data do
            not say.
    """

    split: SplitName
    images: int
    lesion_groups: int
    age: tuple[float, float, float] | None
    age_known: int
    female: float | None
    sex_known: int
    malignant: float
    histology: float | None


class ClassRow(Figures):
    """One class against the rest, test split; `lesions` are lesion groups."""

    label: str
    precision: Estimate
    recall: Estimate
    f1: Estimate
    auc: Estimate
    images: int
    lesions: int


class PointRow(Figures):
    """One frozen operating point and what it does on the test split.

    Attributes:
        name: Such as `melanoma_sensitivity_95`.
        target: What it looks for.
        criterion: What was asked for on validation.
        goal: The share that was asked for.
        reached: Whether validation could give it.
        threshold: A probability at or above it is positive.
        sensitivity: Share of the target found.
        specificity: Share of the others left alone.
        ppv: Share of the positives that are of the target, at the test split's prevalence.
        npv: Share of the negatives that are not.
    """

    name: str
    target: Literal["melanoma", "malignant"]
    criterion: Literal["sensitivity", "ppv"]
    goal: float
    reached: bool
    threshold: float
    sensitivity: Estimate
    specificity: Estimate
    ppv: Estimate
    npv: Estimate


class CalibrationFacts(Figures):
    """Calibrated on validation, measured on the test split.

    Attributes:
        method: How logits become probabilities.
        identified: False where validation could not tell the parameters.
        ece_before: Expected calibration error of the raw softmax.
        ece_after: The same, calibrated.
        brier_before: Brier score, 0 to 2, of the raw softmax.
        brier_after: The same, calibrated.
    """

    method: str
    identified: bool
    ece_before: Estimate
    ece_after: Estimate
    brier_before: Estimate
    brier_after: Estimate


class BandRow(Figures):
    """One band of confidence on the test split. A share is not defined where nothing is in it.

    Attributes:
        name: `high`, `medium` or `low`.
        lowest: Top probability from which on an answer is in the band.
        images: Images in it.
        melanomas: Images of melanoma in it.
        share: Share of all images that are in it.
        accuracy: Share of its images that were called right.
        melanoma_missed: Share of its melanomas that were called something else.
        melanoma_called_benign: Share of its melanomas that were called a benign class.
    """

    name: Confidence
    lowest: float
    images: int
    melanomas: int
    share: Estimate
    accuracy: Estimate
    melanoma_missed: Estimate
    melanoma_called_benign: Estimate


class CannotAssessFacts(Figures):
    """When the model gives no answer.

    Attributes:
        quality: Acceptable range of each measure of the picture.
        ood_score: Score of unlikeness; None where none could be set.
        ood_threshold: A score above it is refused.
        accepted_share: Share of the test images that get an answer.
        accepted_accuracy: Accuracy on those.
        foreign_refused: Share of pictures from outside that are refused, by kind of picture.
    """

    quality: dict[str, Limits]
    ood_score: str | None
    ood_threshold: float | None
    accepted_share: Estimate
    accepted_accuracy: Estimate
    foreign_refused: dict[str, Estimate]


class PredictionSetFacts(Figures):
    """Conformal prediction sets, test split.

    Attributes:
        promised: Share of the images of a class whose set should hold the truth.
        coverage: Share of all images whose set does.
        class_coverage: The same for each class by its code.
        mean_size: Mean number of classes in a set.
        unsupported: Classes that validation was too small for, which are in every set.
    """

    promised: float
    coverage: Estimate
    class_coverage: dict[str, Estimate]
    mean_size: float
    unsupported: tuple[str, ...]


class SubgroupRow(Figures):
    """One subgroup of the test split.

    Attributes:
        attribute: Such as `sex`.
        name: Such as `female`.
        images: Its images.
        lesions: Its lesion groups.
        figures: Its figures by their titles, such as `Malignant AUC`; None where it is too small
            for one.
        indicative: True where it is too small for more than a hint.
    """

    attribute: str
    name: str
    images: int
    lesions: int
    figures: dict[str, Estimate | None]
    indicative: bool


class RobustnessRow(Figures):
    """The worst that one kind of disturbance does.

    Attributes:
        disturbance: Such as `ink marks`, with its severity.
        figure: Name of the figure that falls.
        clean: The figure without it.
        disturbed: The figure with it.
        changed_answers: Share of the images whose top class changes.
    """

    disturbance: str
    figure: str
    clean: Estimate
    disturbed: Estimate
    changed_answers: Estimate


class SanityRow(Figures):
    """One check on the heat-maps.

    Attributes:
        name: What was checked.
        figure: What came out.
        meaning: How to read it.
    """

    name: str
    figure: Estimate
    meaning: str


class ChangeEntry(Figures):
    """One line of the change record: a promotion, a roll-back, a refusal.

    Attributes:
        date: YYYY-MM-DD.
        version: Version in the registry.
        change: What happened, and why.
        by: Who decided.
    """

    date: str
    version: str
    change: str
    by: str
