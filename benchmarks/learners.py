"""Learners as a phase of training makes them, and data for them. Needs what training needs, no more.

The pictures are random numbers: what a pixel holds does not change how long it takes.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from skin_lesion.data.augment import make_plan
from skin_lesion.data.image_array import ImageArray
from skin_lesion.data.split_table import LeakReport, SplitTable
from skin_lesion.labels import LABELS
from skin_lesion.modeling.phase import Phase
from skin_lesion.modeling.training_data import TrainingData
from skin_lesion.settings import AugmentConfig, BackboneConfig, TrainConfig

if TYPE_CHECKING:
    import keras

    from skin_lesion.modeling.learner import Learner

_AT_ONCE = 256  # pictures drawn at a time, so that a large array needs little memory


def random_data(folder: Path, size: tuple[int, int], train: int, val: int = 0) -> TrainingData:
    """Write an array of random pictures, and a split of it.

    Args:
        folder: Where to; the array is `images.npy` in it.
        size: Height and width.
        train: Pictures for training; they come first.
        val: Pictures for validation.
    """
    path, count = folder / "images.npy", train + val
    array = np.lib.format.open_memmap(path, "w+", np.uint8, (count, *size, 3))
    rng = np.random.default_rng(0)
    for start in range(0, count, _AT_ONCE):
        block = array[start : start + _AT_ONCE]
        block[:] = rng.integers(0, 256, block.shape, np.uint8)
    array.flush()
    split = split_of(["train"] * train + ["val"] * val)
    images = ImageArray(path, array.shape, "0" * 64)
    return TrainingData(images, split, make_plan(split, AugmentConfig(), 0))


def split_of(parts: Sequence[str]) -> SplitTable:
    """A split of pictures that take turns at the seven classes.

    Args:
        parts: `train`, `val` or `test` of each picture.
    """
    rows = pd.DataFrame(
        {
            "image_id": [f"ISIC_{i:07d}" for i in range(len(parts))],
            "dx": [LABELS[i % len(LABELS)] for i in range(len(parts))],
            "split": list(parts),
        }
    )
    report = LeakReport(
        groups_crossing=0, duplicates_crossing=0, merged_pairs=0, unmerged_pairs=0, images={},
        groups={}, class_counts={}, class_share_deviation={},
    )  # fmt: skip
    return SplitTable(rows, report)


def phase_of(
    backbone: BackboneConfig,
    classifier: "keras.Model",
    config: TrainConfig,
    *,
    frozen: bool = False,
    train_batchnorm: bool = True,
) -> Phase:
    """A phase in which the same blocks learn from the first epoch to the last.

    Args:
        backbone: The network.
        classifier: Made of it.
        config: How it learns.
        frozen: Only the head learns, and not every block.
        train_batchnorm: Whether BatchNorm of the blocks that learn does, too.
    """
    from skin_lesion.modeling.classifier import backbone_blocks

    blocks = 0 if frozen else len(backbone_blocks(classifier, backbone.name))
    return Phase(
        name="warmup" if frozen else "finetune",
        description="a benchmark",
        first_epoch=0,
        config=config,
        image_size=classifier.input.shape[1:3],
        free_blocks=lambda _: blocks,
        train_batchnorm=train_batchnorm,
        keep_best=not frozen,
        patience=None,
    )


def learner_of(
    backbone: BackboneConfig,
    data: TrainingData,
    config: TrainConfig,
    folder: Path,
    *,
    frozen: bool = False,
    train_batchnorm: bool = True,
) -> "tuple[Learner, keras.Model]":
    """A learner that is ready, and the classifier that it shows its weights in.

    Args:
        backbone: The network.
        data: What it learns from.
        config: How it learns.
        folder: For what it has to keep.
        frozen: Only the head learns, and not every block.
        train_batchnorm: Whether BatchNorm of the blocks that learn does, too.
    """
    from skin_lesion.modeling.classifier import build_classifier
    from skin_lesion.modeling.learner import Learner

    classifier = build_classifier(backbone, data.image_size, config.dropout, config.precision)
    phase = phase_of(backbone, classifier, config, frozen=frozen, train_batchnorm=train_batchnorm)
    learner = Learner(phase, classifier, backbone, data, folder)
    learner.prepare(0, None, None)
    return learner, classifier
