"""Learners as a phase of training makes them, for benchmarks. Needs what training needs, no more."""

from pathlib import Path
from typing import TYPE_CHECKING

from skin_lesion.modeling.phase import Phase
from skin_lesion.modeling.training_data import TrainingData
from skin_lesion.settings import BackboneConfig, TrainConfig

if TYPE_CHECKING:
    import keras

    from skin_lesion.modeling.learner import Learner


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
