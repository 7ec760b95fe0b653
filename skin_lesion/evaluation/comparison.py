"""Two models on the same images: is one better, or was it luck?

Both are measured on the same resampled lesions, so what makes a picture hard for both cancels out of
the difference, and far smaller differences show than by looking whether two intervals overlap.
Where a resample lacks a rare class, means over classes are over the classes that it holds, the same
ones for both models: a class with two lesions does not leave the comparison without an interval.
"""

import numpy as np

from skin_lesion.evaluation.figures import Estimate, Figures
from skin_lesion.evaluation.measured import ERRORS, Measured, measured
from skin_lesion.evaluation.resampling import Resamples, Values, interval
from skin_lesion.evaluation.sample import Sample
from skin_lesion.labels import LABELS

COMPARED = (
    "accuracy",
    "balanced_accuracy",
    "macro_f1",
    "macro_auc",
    "melanoma_auc",
    "malignant_auc",
    "brier",
    "nll",
    "ece",
)
# A smaller difference is one of rounding, which must not look like one that never changes sign.
_DECIMALS = 12
# Noise only ever adds to a calibration error, and most where it is small: percentiles of resampled
# differences do not hold the true one. The likelihood tells which probabilities are better.
_WITHOUT_INTERVAL = frozenset({"ece"})
# A class that more of the resamples lack than this takes no part in what they say of means.
_OFTEN_LACKED = 0.05


class Difference(Figures):
    """One figure of both models.

    Attributes:
        a: Of the first model; None where not defined.
        b: Of the second.
        difference: b - a with its 95 % interval.
        p_value: Two-sided, by the bootstrap: how readily a difference of this sign would turn
            round on other lesions; never below 2 / (resamples + 1). Not corrected for the number
            of figures. None where the difference has no interval.
        higher_is_better: False of errors.
    """

    a: float | None
    b: float | None
    difference: Estimate
    p_value: float | None
    higher_is_better: bool

    @property
    def b_is_worse(self) -> bool:
        """Whether the whole interval lies on the side where the second model is worse."""
        low, high = self.difference.ci_low, self.difference.ci_high
        if low is None or high is None:
            return False
        return high < 0 if self.higher_is_better else low > 0


class Comparison(Figures):
    """Two models on the same images.

    Attributes:
        n_images: Number of images.
        n_lesions: Number of lesion groups, the unit of resampling.
        resamples: Number of resamples.
        seed: Of the lesions drawn.
        figures: `COMPARED` by name.
        thin_classes: Codes of classes with so few lesions that many resamples lacked them: intervals
            of means over classes say little of these.
    """

    n_images: int
    n_lesions: int
    resamples: int
    seed: int
    figures: dict[str, Difference]
    thin_classes: tuple[str, ...] = ()


def compare(a: Sample, b: Sample, *, count: int, seed: int, bins: int) -> Comparison:
    """Measure two models on the same images and the same resampled lesions.

    Args:
        a: What the first model says.
        b: What the second model says, of the same images in any order.
        count: Number of resamples.
        seed: Of the lesions drawn.
        bins: Equal-mass bins of the calibration error, of each model by its own confidence.

    Raises:
        ValueError: There are no images, or the two samples differ in their images, or in the
            diagnosis or the lesion group of an image.
    """
    first, second = _by_image(a), _by_image(b)
    _same_images(first, second)
    resamples = Resamples.over_lesions(first.groups, count, seed)
    of_a = measured(first, resamples, bins=bins, over_held=True)
    of_b = measured(second, resamples, bins=bins, over_held=True)
    return Comparison(
        n_images=len(first),
        n_lesions=len(np.unique(first.groups)),
        resamples=count,
        seed=seed,
        figures={name: _difference(name, of_a, of_b) for name in COMPARED},
        thin_classes=tuple(
            label
            for index, label in enumerate(LABELS)
            if first.class_counts[index]
            and (resamples.sums(first.truth == index) == 0).mean() > _OFTEN_LACKED
        ),
    )


def _difference(name: str, a: Measured, b: Measured) -> Difference:
    value = round(b.point[name] - a.point[name], _DECIMALS)
    resampled = np.round(b.resampled[name] - a.resampled[name], _DECIMALS)
    known = np.isfinite(value) and name not in _WITHOUT_INTERVAL
    ends = interval(resampled) if known else None
    return Difference(
        a=_known(a.point[name]),
        b=_known(b.point[name]),
        # No difference in any resample is a finding here: two models may well give one answer.
        difference=Estimate(
            value=_known(value),
            ci_low=None if ends is None else ends.ci_low,
            ci_high=None if ends is None else ends.ci_high,
        ),
        p_value=None if ends is None else two_sided_p(resampled),
        higher_is_better=name not in ERRORS,
    )


def two_sided_p(differences: Values) -> float:
    """Twice the smaller share of the resamples on either side of 0, at most 1.

    One is added to the counts, so that no finite number of resamples proves certainty (Davison and
    Hinkley, "Bootstrap Methods and their Application", 1997, section 4.4).

    Args:
        differences: Shape (B,); NaN where undefined.
    """
    known = differences[np.isfinite(differences)]
    smaller = min(int((known <= 0).sum()), int((known >= 0).sum()))
    return min(1.0, 2 * (smaller + 1) / (len(known) + 1))


def _by_image(sample: Sample) -> Sample:
    """The sample in the order of its image ids."""
    if not len(sample):
        raise ValueError("a sample to compare holds no images; expected at least one")
    ids = sample.rows["image_id"]
    if ids.duplicated().any():
        twice = ids[ids.duplicated()].iloc[0]
        raise ValueError(f"image {twice!r} occurs more than once; expected each image once")
    return sample.take(np.argsort(ids.to_numpy(dtype=str), kind="stable").astype(np.int64))


def _same_images(a: Sample, b: Sample) -> None:
    """Refuse samples, both in the order of image ids, that are not of the same images."""
    alone_a = sorted(set(a.rows["image_id"]) - set(b.rows["image_id"]))
    alone_b = sorted(set(b.rows["image_id"]) - set(a.rows["image_id"]))
    if alone_a or alone_b:
        example = (alone_a or alone_b)[0]
        raise ValueError(
            f"{len(alone_a)} image(s) are in the first sample alone and {len(alone_b)} in the "
            f"second alone, such as {example!r}; let both models answer the same split"
        )
    for column in ("dx", "group"):
        differing = a.rows["image_id"][a.rows[column] != b.rows[column]]
        if len(differing):
            raise ValueError(
                f"the two samples give {len(differing)} image(s) another {column!r}, such as "
                f"{differing.iloc[0]!r}; let both models answer the same split of the same data"
            )


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
