"""How the model does on women and men, young and old, and on each part of the body.

Thresholds are those frozen for everybody: a group in which they miss more is what is looked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from skin_lesion.data.manifest import Provenance
from skin_lesion.data.terms import HAM10000
from skin_lesion.decisions import OperatingPoint, Target, target_score, target_truth
from skin_lesion.evaluation.figures import Estimate, Figures
from skin_lesion.evaluation.proportions import Flags, Values
from skin_lesion.evaluation.ranking import binary_auc
from skin_lesion.evaluation.resampling import Resamples, estimate, share
from skin_lesion.evaluation.sample import Sample

DEMOGRAPHICS: tuple[str, ...] = ("age", "sex", "localization")
UNKNOWN = "unknown"
AGE_BANDS: tuple[str, ...] = ("<30", "30-49", "50-69", "70+")
_AGE_EDGES = (30, 50, 70)
TARGETS: tuple[Target, ...] = ("melanoma", "malignant")
GAP_NOTE = (
    "The worst group is picked after the fact, so some gap is to be expected even of a model that "
    "treats all groups alike: of several groups, one comes last by chance."
)


class SubgroupFigure(Figures):
    """One figure of one group.

    Attributes:
        name: `melanoma_auc`, `malignant_auc`, `<point>.sensitivity` or `<point>.specificity`.
        estimate: None where the group is too small to report it.
    """

    name: str
    estimate: Estimate | None


class Subgroup(Figures):
    """One group of images.

    Attributes:
        name: Such as `female`; `unknown` where the data do not say.
        n_images: Images.
        n_lesions: Lesions.
        melanoma_images: Images of melanoma.
        melanoma_lesions: Lesions with an image of melanoma.
        malignant_images: Images of a malignant class.
        malignant_lesions: Lesions with an image of a malignant class.
        too_few: Whether none of the figures could be reported.
        figures: AUCs, then sensitivity and specificity at each operating point.
    """

    name: str
    n_images: int
    n_lesions: int
    melanoma_images: int
    melanoma_lesions: int
    malignant_images: int
    malignant_lesions: int
    too_few: bool
    figures: tuple[SubgroupFigure, ...]

    def figure(self, name: str) -> Estimate | None:
        """The figure of that name; None where it is not reported."""
        return next((one.estimate for one in self.figures if one.name == name), None)


class SubgroupGap(Figures):
    """How far the worst group falls behind.

    Attributes:
        figure: Name of the figure.
        worst: The group with the lowest value among those that are reported and known.
        gap: Overall value less that of the worst group; its interval is of this difference on the
            same resamples, for the group that came out worst, and so takes no account of the
            choice among several.
    """

    figure: str
    worst: str
    gap: Estimate


class SubgroupAttribute(Figures):
    """The groups by one attribute.

    Attributes:
        name: `sex`, `age` or `site`.
        groups: Ages ascending, others by their number of images, `unknown` last.
        gaps: One for each figure that at least two known groups report.
    """

    name: str
    groups: tuple[Subgroup, ...]
    gaps: tuple[SubgroupGap, ...]


class SubgroupFigures(Figures):
    """Figures by sex, age and body site.

    Attributes:
        min_images: Groups with fewer images report nothing.
        min_positives: A sensitivity needs as many lesions of the target, a specificity as many of
            the rest, an AUC both; images of one lesion do not count twice.
        overall: All images as one group.
        attributes: By sex, age and body site.
        skin_tone: Why there is no such attribute for skin tone, and what follows.
        gap_note: How to read the gaps.
    """

    min_images: int
    min_positives: int
    overall: Subgroup
    attributes: tuple[SubgroupAttribute, ...]
    skin_tone: str
    gap_note: str = GAP_NOTE


def skin_tone_note(origin: Provenance | None) -> str:
    """What may be said of skin tone.

    Args:
        origin: Where the pictures are from; None where that is not known.
    """
    if origin is not None and origin.synthetic:
        return (
            "The pictures are drawn, and so is the skin on them: nothing follows for the skin of "
            "people, of whatever tone."
        )
    where = (
        "The pictures come from clinics in Austria and Australia and show mostly light skin"
        if origin is not None and origin.name == HAM10000.name
        else "Which skin tones the pictures show, and how many of each, is not known here"
    )
    return (
        f"No label of skin tone was read. {where}, so nothing is known of how the model does on dark "
        "skin, and the figures by sex, age and body site do not stand in for it."
    )


def age_bands(age: pd.Series) -> pd.Series:
    """The band of each age in years; `unknown` where it is missing."""
    years = age.to_numpy(dtype=np.float64)
    bands = np.array(AGE_BANDS, dtype=object)[np.searchsorted(_AGE_EDGES, years, side="right")]
    return pd.Series(np.where(np.isnan(years), UNKNOWN, bands), index=age.index)


def subgroups(
    sample: Sample,
    demographics: pd.DataFrame,
    points: Sequence[OperatingPoint],
    resamples: Resamples,
    *,
    min_images: int,
    min_positives: int,
    skin_tone: str,
) -> SubgroupFigures:
    """Measure each group by itself.

    Args:
        sample: N images.
        demographics: Columns `DEMOGRAPHICS`, one row for each image in the order of `sample.rows`;
            with a column `image_id` the order is checked.
        points: Frozen operating points.
        resamples: Of the same images.
        min_images: Groups with fewer report nothing.
        min_positives: Lesions of the target, and of the rest, that a figure needs.
        skin_tone: What is to be said of it; see `skin_tone_note`.

    Raises:
        ValueError: The demographics lack a column or describe other images.
    """
    _check(sample, demographics)
    task = _Task(sample, tuple(points), resamples, min_images, min_positives)
    overall = _measure("all", np.ones(len(sample), bool), task)
    by_attribute = {
        "sex": _named(demographics["sex"]),
        "age": age_bands(demographics["age"]),
        "site": _named(demographics["localization"]),
    }
    return SubgroupFigures(
        min_images=min_images,
        min_positives=min_positives,
        overall=overall.group,
        attributes=tuple(
            _attribute(name, values, overall, task) for name, values in by_attribute.items()
        ),
        skin_tone=skin_tone,
    )


@dataclass(frozen=True)
class _Task:
    """What is the same for all groups."""

    sample: Sample
    points: tuple[OperatingPoint, ...]
    resamples: Resamples
    min_images: int
    min_positives: int


@dataclass(frozen=True)
class _Measured:
    """A group, and each reported figure in all resamples, shape (B,)."""

    group: Subgroup
    resampled: dict[str, Values]


def _attribute(name: str, values: pd.Series, overall: _Measured, task: _Task) -> SubgroupAttribute:
    measured = [
        _measure(group, (values == group).to_numpy(), task) for group in _ordered(name, values)
    ]
    gaps = (_gap(figure, overall, measured) for figure in overall.resampled)
    return SubgroupAttribute(
        name=name,
        groups=tuple(one.group for one in measured),
        gaps=tuple(gap for gap in gaps if gap is not None),
    )


def _measure(name: str, inside: Flags, task: _Task) -> _Measured:
    found: dict[str, Estimate | None] = {}
    resampled: dict[str, Values] = {}
    images: dict[Target, int] = {}
    lesions: dict[Target, int] = {}
    groups = task.sample.groups
    for target in TARGETS:
        of_target = inside & target_truth(task.sample.truth, target)
        images[target] = int(of_target.sum())
        lesions[target] = len(np.unique(groups[of_target]))
        for figure, pair in _figures(target, inside, task).items():
            found[figure] = None if pair is None else pair[0]
            if pair is not None:
                resampled[figure] = pair[1]
    group = Subgroup(
        name=name,
        n_images=int(inside.sum()),
        n_lesions=len(np.unique(groups[inside])),
        melanoma_images=images["melanoma"],
        melanoma_lesions=lesions["melanoma"],
        malignant_images=images["malignant"],
        malignant_lesions=lesions["malignant"],
        too_few=not resampled,
        figures=tuple(SubgroupFigure(name=key, estimate=one) for key, one in found.items()),
    )
    return _Measured(group, resampled)


def _figures(
    target: Target, inside: Flags, task: _Task
) -> dict[str, tuple[Estimate, Values] | None]:
    """Figures of one group about one target, with their resampled values; None if too small."""
    sample, resamples = task.sample, task.resamples
    positive = target_truth(sample.truth, target)
    kinds = {"sensitivity": inside & positive, "specificity": inside & ~positive}
    enough = {
        kind: inside.sum() >= task.min_images
        and len(np.unique(sample.groups[of])) >= max(task.min_positives, 1)
        for kind, of in kinds.items()
    }
    found: dict[str, tuple[Estimate, Values] | None] = {f"{target}_auc": None}
    if all(enough.values()):
        score = target_score(sample.probabilities, target)[inside]
        aucs = Resamples(resamples.weights[:, inside]).aucs(positive[inside], score)
        value = binary_auc(positive[inside], score)
        found[f"{target}_auc"] = estimate(value, aucs), aucs
    for point in task.points:
        if point.target != target:
            continue
        flagged = point.positive(sample.probabilities)
        for (kind, of), hits in zip(kinds.items(), (flagged, ~flagged), strict=True):
            found[f"{point.name}.{kind}"] = (
                (share(resamples, hits, of), resamples.means(hits, of)) if enough[kind] else None
            )
    return found


def _gap(figure: str, overall: _Measured, measured: Sequence[_Measured]) -> SubgroupGap | None:
    values: list[tuple[float, _Measured]] = []
    for one in measured:
        found = one.group.figure(figure)
        if one.group.name != UNKNOWN and found is not None and found.value is not None:
            values.append((found.value, one))
    of_all = overall.group.figure(figure)
    if len(values) < 2 or of_all is None or of_all.value is None:
        return None
    lowest, worst = min(values, key=lambda pair: pair[0])
    differences = overall.resampled[figure] - worst.resampled[figure]
    return SubgroupGap(
        figure=figure,
        worst=worst.group.name,
        gap=estimate(of_all.value - lowest, differences),
    )


def _named(values: pd.Series) -> pd.Series:
    """The values in one spelling; `unknown` where there is none."""
    named = values.astype("str").str.strip().str.lower()
    return named.where(values.notna() & (named != ""), UNKNOWN)


def _ordered(attribute: str, values: pd.Series) -> list[str]:
    counts = values.value_counts()
    known = [str(name) for name in counts.index if name != UNKNOWN]
    if attribute == "age":
        known = [band for band in AGE_BANDS if band in known]
    else:
        known.sort(key=lambda name: (-int(counts[name]), name))
    return known + [UNKNOWN] * (UNKNOWN in counts.index)


def _check(sample: Sample, demographics: pd.DataFrame) -> None:
    missing = [column for column in DEMOGRAPHICS if column not in demographics]
    if missing:
        raise ValueError(f"demographics lack {missing}; expected the columns {DEMOGRAPHICS}")
    if len(demographics) != len(sample):
        raise ValueError(
            f"demographics have {len(demographics)} rows for {len(sample)} images; expected one "
            "for each image, in the order of the sample"
        )
    if "image_id" in demographics and list(demographics["image_id"]) != list(
        sample.rows["image_id"]
    ):
        raise ValueError("demographics list other images, or in another order, than the sample")
