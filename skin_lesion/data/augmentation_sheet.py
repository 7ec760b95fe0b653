"""A sheet of augmented pictures, for a person to look at.

Apart from the policy itself, so that a change of the sheet retrains nothing.
"""

import numpy as np

from skin_lesion.data.augment import (
    AugmentationPlan,
    Floats,
    MixedBatch,
    draw_colour,
    draw_geometry,
    mix,
)
from skin_lesion.data.contact_sheets import contact_sheet
from skin_lesion.data.image_array import ImageArray, Pixels
from skin_lesion.data.split_table import SplitTable
from skin_lesion.labels import LABEL_INDEX, LABELS


def augmentation_sheet(
    images: ImageArray, split: SplitTable, plan: AugmentationPlan, columns: int = 6
) -> bytes:
    """A PNG that shows, for one training image of each class, the image and what training sees.

    The pixels come from the same loader and the same graph operations as in training, so the sheet
    shows the policy as it acts and not as it was meant.

    Args:
        images: Pictures of the whole data set.
        split: Only training rows are drawn.
        plan: The policy.
        columns: Pictures in a row; the first is the image itself, the last two are mixed.
    """
    from skin_lesion.data.pixel_ops import augment_pixels

    rng = np.random.default_rng([plan.seed, 0xA0])
    train = split.indices("train")
    labels = split.rows["dx"].to_numpy()[train]
    pixels = images.open()
    rows = np.array([train[np.flatnonzero(labels == label)[0]] for label in LABELS])
    originals = MixedBatch.unmixed(
        np.asarray(pixels[rows]), np.array([LABEL_INDEX[label] for label in LABELS])
    )
    height, width = images.shape[1:3]
    views: list[tuple[Pixels, list[str]]] = [(originals.pixels, list(LABELS))]
    always = {"mix_probability": 1.0}
    kinds = [("augmented", plan.policy.model_copy(update={"mix_probability": 0.0}))] * (columns - 3)
    if plan.policy.mixup_alpha > 0:
        kinds.append(("MixUp", plan.policy.model_copy(update=always | {"cutmix_alpha": 0.0})))
    if plan.policy.cutmix_alpha > 0:
        kinds.append(("CutMix", plan.policy.model_copy(update=always | {"mixup_alpha": 0.0})))
    for name, policy in kinds:
        mixed = mix(originals, policy, rng)
        seen = augment_pixels(
            mixed.pixels,
            draw_geometry(len(rows), height, width, policy, rng),
            draw_colour(len(rows), policy, rng),
        )
        views.append((seen, [_caption(name, target) for target in mixed.targets]))
    pictures = [view[0][i] for i in range(len(rows)) for view in views]
    captions = [view[1][i] for i in range(len(rows)) for view in views]
    return contact_sheet(pictures, captions, columns=len(views), title="What training sees")


def _caption(name: str, target: Floats) -> str:
    if target.max() == 1:
        return name
    parts = [f"{LABELS[i]} {target[i]:.0%}" for i in np.argsort(-target) if target[i] > 0]
    return f"{name}: {' + '.join(parts)}"
