"""The figures of robustness to perturbed pictures, as they stand in the report."""

from skin_lesion.evaluation.figures import Estimate, Figures

HOW_TO_READ = (
    "A drop is the figure on the unchanged pictures minus that on the same pictures perturbed; "
    "below 0 it is a gain. Intervals are 95 % percentile intervals of paired bootstrap "
    "resamples, each for itself: of 50 of them some miss 0 by chance. The pictures are "
    "stratified by class, so the figures on the unchanged ones are not those of the whole split. "
    "An interval from 0 to 0 says that the figure did not change here, not that it never would. "
    "Perturbations are computed at the size that the model sees; drawn hair, rulers and ink "
    "resemble real ones but are no substitute for pictures of them."
)


class Scores(Figures):
    """How the answers do on one set of pictures.

    Attributes:
        balanced_accuracy: Mean recall over the classes present.
        malignant_auc: AUC of the summed malignant probability for malignant against benign.
        melanoma_sensitivity: Share of the melanomas that are positive at the operating point; None
            without a melanoma or without the point.
        melanoma_specificity: Share of the other images that are negative there.
    """

    balanced_accuracy: Estimate
    malignant_auc: Estimate
    melanoma_sensitivity: Estimate
    melanoma_specificity: Estimate


class StrengthFigures(Figures):
    """One perturbation at one strength.

    Attributes:
        strength: 1 to 5.
        amount: What that means, in the perturbation's unit.
        scores: Of the perturbed pictures.
        drop: Each of those figures on the unchanged pictures minus that on the perturbed ones.
        changed_predictions: Share of the pictures whose most probable class changes.
        malignant_shift: Mean absolute change of the summed malignant probability.
    """

    strength: int
    amount: float
    scores: Scores
    drop: Scores
    changed_predictions: Estimate
    malignant_shift: Estimate


class PerturbationFigures(Figures):
    """One perturbation.

    Attributes:
        title: For headings.
        quantity: What its amounts measure.
        unit: Unit of the amounts, as it stands behind the number.
        training: What the default augmentation policy of training covers of it.
        strengths: From the weakest to the strongest.
        mean_relative_drop: Drop of balanced accuracy as a share of that on the unchanged pictures,
            mean over the strengths; 0 where nothing is lost, 1 where all is.
    """

    title: str
    quantity: str
    unit: str
    training: str
    strengths: tuple[StrengthFigures, ...]
    mean_relative_drop: Estimate


class RobustnessFigures(Figures):
    """What perturbations do to the answers.

    Attributes:
        how_to_read: What the figures mean and what they do not.
        n_images: Pictures in the stratified subset.
        n_lesions: Their lesion groups.
        class_counts: Pictures of each class by its code.
        absent_classes: Classes without a picture; means over classes are over the others.
        indicative_classes: Classes with some lesions, but too few for a figure to be relied on.
        operating_point: Name of the frozen point of the melanoma figures; None where there is none.
        resamples: Bootstrap resamples.
        seed: Of subset, perturbations and resamples.
        clean: Figures on the unchanged pictures.
        perturbations: Figures by name.
        mean_relative_drop: Mean over the perturbations.
        worst: Perturbation with the largest mean relative drop; None where none has one above 0.
    """

    how_to_read: str = HOW_TO_READ
    n_images: int
    n_lesions: int
    class_counts: dict[str, int]
    absent_classes: tuple[str, ...]
    indicative_classes: tuple[str, ...]
    operating_point: str | None
    resamples: int
    seed: int
    clean: Scores
    perturbations: dict[str, PerturbationFigures]
    mean_relative_drop: Estimate
    worst: str | None
