"""How well a model tells the classes apart, with 95 % intervals, per image and per lesion.

A lesion with many pictures counts many times in a figure per image. Per lesion each counts once, by
its first picture, which is nearer to what a clinic sees.
"""

import numpy as np

from skin_lesion.evaluation.figures import Estimate, Figures
from skin_lesion.evaluation.measured import measured
from skin_lesion.evaluation.resampling import Resamples
from skin_lesion.evaluation.sample import Sample
from skin_lesion.labels import LABELS


class Discrimination(Figures):
    """Figures of one sample.

    Attributes:
        n_images: Number of images.
        n_lesions: Number of lesion groups, the unit of resampling.
        class_lesions: Number of lesion groups of each class by its code.
        estimates: By dotted name. `accuracy`, `balanced_accuracy`, `macro_f1`, `weighted_f1`,
            `kappa` (Cohen's), `macro_auc`, `macro_average_precision`, `melanoma_auc`,
            `malignant_auc`, `brier` (0 to 2), `nll` (nats), `ece` (0 to 1);
            `per_class.<code>.precision`, `.recall`, `.f1`, `.auc`, `.average_precision`; and for
            <target> `melanoma` or `malignant`: `<target>.average_precision`,
            `<target>.sensitivity_at_specificity_90`, `_95`,
            `<target>.specificity_at_sensitivity_90`, `_95`. The last four are read off the ROC of
            this very sample, at a threshold that gives at least the rate asked for; what a frozen
            threshold does is told by the operating points.
    """

    n_images: int
    n_lesions: int
    class_lesions: dict[str, int]
    estimates: dict[str, Estimate]


class PerUnit(Figures):
    """The same model per image and per lesion.

    Attributes:
        images: Every image counts.
        lesions: One image of each lesion group counts.
    """

    images: Discrimination
    lesions: Discrimination


def discrimination(sample: Sample, resamples: Resamples, *, bins: int) -> Discrimination:
    """Every figure of a sample with its interval.

    Args:
        sample: N images, at least one.
        resamples: Of these images.
        bins: Equal-mass bins of the calibration error.

    Raises:
        ValueError: There are no images, or the resamples are of another number of images.
    """
    figures = measured(sample, resamples, bins=bins)
    return Discrimination(
        n_images=len(sample),
        n_lesions=len(np.unique(sample.groups)),
        class_lesions={
            label: len(np.unique(sample.groups[sample.truth == index]))
            for index, label in enumerate(LABELS)
        },
        estimates={name: figures.estimate(name) for name in figures.point},
    )


def per_image_and_lesion(sample: Sample, *, count: int, seed: int, bins: int) -> PerUnit:
    """Every figure with its interval, per image and per lesion.

    Args:
        sample: N images, at least one.
        count: Number of resamples.
        seed: Of the lesions drawn.
        bins: Equal-mass bins of the calibration error.

    Raises:
        ValueError: There are no images.
    """
    if not len(sample):
        raise ValueError("the sample holds no images; expected at least one")
    first = sample.one_per_lesion()
    return PerUnit(
        images=discrimination(
            sample, Resamples.over_lesions(sample.groups, count, seed), bins=bins
        ),
        lesions=discrimination(first, Resamples.over_lesions(first.groups, count, seed), bins=bins),
    )
