"""Pictures of right answers and of failures, each beside its heat-map, to be looked at.

No figure comes out of a gallery, and none of its pictures is chosen by how it looks: right answers
are drawn by lot from the surer half of them, failures are those the model was surest of.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skin_lesion.evaluation.figures import Figures
from skin_lesion.evaluation.sample import Sample
from skin_lesion.evaluation.style import CLASS_NAMES, INK, MUTED, new_figure, png
from skin_lesion.explain.gradcam import class_activation, overlay
from skin_lesion.labels import LABEL_INDEX, LABELS

Kind = Literal["right", "missed"]
Pixels = NDArray[np.uint8]
Rows = NDArray[np.int64]

_RIGHT = 91
_ABREAST = 2
_PANEL = 2.15  # width in inches


class Picked(Figures):
    """One picture of a gallery.

    Attributes:
        image_id: Public identifier of the picture.
        kind: `right`, or `missed`: called another class.
        truth: Code of the true class.
        predicted: Code of the most probable class.
        true_probability: Probability of the true class.
        predicted_probability: Probability of the predicted class.
    """

    image_id: str
    kind: Kind
    truth: str
    predicted: str
    true_probability: float
    predicted_probability: float


class ClassGallery(Figures):
    """What one class's sheets show, and of how many pictures.

    Attributes:
        n_images: Pictures of the class.
        n_right: Those called right.
        n_missed: Those called another class.
        right: Drawn by lot, one of each lesion, from the surer half of the right answers.
        missed: The surest wrong answers, one of each lesion, from the surest.
    """

    n_images: int
    n_right: int
    n_missed: int
    right: tuple[Picked, ...]
    missed: tuple[Picked, ...]


@dataclass(frozen=True)
class Gallery:
    """Sheets of all classes.

    Attributes:
        classes: What was picked, by code of the class.
        sheets: PNG pictures by name, `<code>_right` and `<code>_missed`; a class without such
            pictures has no such sheet.
    """

    classes: dict[str, ClassGallery]
    sheets: dict[str, bytes]


def gallery(
    sample: Sample,
    pixels: Pixels,
    features_of: Callable[[Pixels], NDArray[np.float32]],
    kernel: NDArray[np.float32],
    *,
    per_class: int,
    seed: int,
) -> Gallery:
    """Pick pictures of each class and draw them beside their heat-maps.

    Args:
        sample: What the model says of N pictures.
        pixels: RGB, shape (N, H, W, 3); only what is picked is read, so it may be memory-mapped.
        features_of: From RGB pictures (M, H, W, 3) to last feature maps (M, h, w, C).
        kernel: Weights of the classification layer, shape (C, 7).
        per_class: Pictures of each kind and class, at most.
        seed: Of the right answers drawn.

    Raises:
        ValueError: The pictures are not those of the sample, or there is nothing to pick.
    """
    if len(pixels) != len(sample) or per_class < 1:
        raise ValueError(
            f"got {len(pixels)} pictures for a sample of {len(sample)} and per_class {per_class}; "
            "expected as many pictures, and at least 1 of each class"
        )
    classes, sheets = {}, {}
    for index, label in enumerate(LABELS):
        rows: dict[Kind, Rows] = {
            "right": pick_right(sample, index, count=per_class, seed=seed),
            "missed": pick_missed(sample, index, count=per_class),
        }
        right = int(((sample.truth == index) & (sample.predicted == index)).sum())
        total = int(sample.class_counts[index])
        picked = {kind: _describe(sample, chosen, kind) for kind, chosen in rows.items()}
        classes[label] = ClassGallery(
            n_images=total, n_right=right, n_missed=total - right, **picked
        )
        for kind, chosen in rows.items():
            if len(chosen):
                shown = np.ascontiguousarray(pixels[chosen])
                sheets[f"{label}_{kind}"] = _sheet(
                    classes[label], label, kind, shown, features_of(shown), kernel
                )
    return Gallery(classes, sheets)


def pick_right(sample: Sample, class_index: int, *, count: int, seed: int) -> Rows:
    """Rows drawn by lot from the surer half of the right answers of a class, one of each lesion.

    The surest ones alone would be too fine a picture of the model.
    """
    right = np.flatnonzero((sample.truth == class_index) & (sample.predicted == class_index))
    lesions = _surest_of_each_lesion(sample, right)
    surer = lesions[: -(-len(lesions) // 2)]
    drawn = np.random.default_rng([seed, _RIGHT, class_index]).permutation(surer)[:count]
    return _surest_first(sample, drawn)


def pick_missed(sample: Sample, class_index: int, *, count: int) -> Rows:
    """Rows of a class with the surest wrong answers, one of each lesion, from the surest."""
    wrong = np.flatnonzero((sample.truth == class_index) & (sample.predicted != class_index))
    return _surest_of_each_lesion(sample, wrong)[:count]


def _surest_of_each_lesion(sample: Sample, rows: Rows) -> Rows:
    ordered = _surest_first(sample, rows)
    first = ~pd.Series(sample.groups[ordered]).duplicated().to_numpy()
    return ordered[first]


def _surest_first(sample: Sample, rows: Rows) -> Rows:
    """By falling top probability; equal ones by image id, whatever the order of the sample."""
    ids = sample.rows["image_id"].to_numpy().astype(str)[rows]
    return rows[np.lexsort((ids, -sample.probabilities[rows].max(axis=1)))]


def _describe(sample: Sample, rows: Rows, kind: Kind) -> tuple[Picked, ...]:
    return tuple(
        Picked(
            image_id=str(sample.rows["image_id"].iloc[row]),
            kind=kind,
            truth=LABELS[sample.truth[row]],
            predicted=LABELS[sample.predicted[row]],
            true_probability=float(sample.probabilities[row, sample.truth[row]]),
            predicted_probability=float(sample.probabilities[row].max()),
        )
        for row in rows
    )


def _sheet(
    figures: ClassGallery,
    label: str,
    kind: Kind,
    pixels: Pixels,
    features: NDArray[np.float32],
    kernel: NDArray[np.float32],
) -> bytes:
    """Each picture beside its heat-map; a failure also beside that of its true class."""
    picked = figures.right if kind == "right" else figures.missed
    panels = 2 if kind == "right" else 3
    abreast = min(_ABREAST, len(picked))
    rows = -(-len(picked) // abreast)
    ratio = pixels.shape[1] / pixels.shape[2]
    width = max(abreast * panels * _PANEL, 6.6)
    figure = new_figure(width, rows * (_PANEL * ratio + 0.55) + 0.75)
    blocks = figure.subfigures(rows, abreast, squeeze=False)
    for number, one in enumerate(picked):
        block = blocks[divmod(number, abreast)]
        axes = block.subplots(1, panels)
        shown = [("", pixels[number])]
        for code in dict.fromkeys((one.predicted, one.truth)):
            heat = class_activation(features[number], kernel, LABEL_INDEX[code])
            found = f"evidence for {code}" if heat.any() else f"no evidence for {code}"
            shown.append((found, overlay(pixels[number], heat)))
        for panel, (title, picture) in zip(axes, shown, strict=True):
            panel.imshow(picture)
            panel.set_axis_off()
            panel.set_title(title, fontsize=7.5, color=MUTED, pad=3)
        block.suptitle(_caption(one), fontsize=8.5, color=INK)
    kinds = {
        "right": f"{len(picked)} of {figures.n_right} right answers, drawn from the surer half",
        "missed": f"the {len(picked)} surest of {figures.n_missed} failures",
    }
    figure.suptitle(
        f"{CLASS_NAMES[label]} ({label}): {kinds[kind]}", fontsize=11, fontweight="bold", color=INK
    )
    return png(figure)


def _caption(one: Picked) -> str:
    if one.kind == "right":
        return f"{one.image_id}: called {one.predicted} {one.predicted_probability:.0%}"
    return (
        f"{one.image_id}: called {one.predicted} {one.predicted_probability:.0%}, "
        f"is {one.truth} {one.true_probability:.0%}"
    )
