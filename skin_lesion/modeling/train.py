"""The two training phases: warm-up of the head and progressive fine-tuning."""

import hashlib
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from skin_lesion.modeling.checkpoints import CheckpointStore, checkpoint_key
from skin_lesion.modeling.classifier import backbone_blocks, build_classifier
from skin_lesion.modeling.devices import use_devices
from skin_lesion.modeling.failures import (
    DiskFullError,
    OutOfMemoryError,
    TrainingDivergedError,
)
from skin_lesion.modeling.loop import run_phase
from skin_lesion.modeling.phase import Phase
from skin_lesion.modeling.trained import TrainedPhase, WarmupModel, keep
from skin_lesion.modeling.training_data import OnDevices, OnEpoch, RunContext, TrainingData
from skin_lesion.modeling.weights import PLACES, load_pretrained
from skin_lesion.settings import (
    BackboneConfig,
    FinetuneConfig,
    TrainConfig,
    UnfitError,
    WarmupConfig,
)

if TYPE_CHECKING:
    import keras

__all__ = [
    "FROZEN_WARMUP",
    "SCRATCH_FINETUNE",
    "SCRATCH_WARMUP",
    "TRANSFER_FINETUNE",
    "WHOLE_WARMUP",
    "DiskFullError",
    "OnDevices",
    "OnEpoch",
    "OutOfMemoryError",
    "RunContext",
    "TrainedPhase",
    "TrainingData",
    "TrainingDivergedError",
    "WarmupModel",
    "train_finetune",
    "train_warmup",
]

FROZEN_WARMUP = "warm-up of the head on a frozen, pretrained backbone"
WHOLE_WARMUP = "first phase on a pretrained backbone that learns from the first step"
SCRATCH_WARMUP = "first phase of training from scratch, whole network at a rising rate"
TRANSFER_FINETUNE = "fine-tuning of a pretrained backbone, unfrozen block by block"
SCRATCH_FINETUNE = "second phase of training from scratch"
NOWHERE = RunContext()


def train_warmup(
    data: TrainingData,
    backbone: BackboneConfig,
    config: WarmupConfig,
    context: RunContext = NOWHERE,
) -> TrainedPhase:
    """Train the head on a frozen pretrained backbone, or begin training from scratch.

    Without pretrained weights a frozen backbone would feed the head with noise; then the whole
    network learns, and the history says so.

    Args:
        data: Pictures, split and policy.
        backbone: The network and where its weights come from.
        config: Epochs, rate and the like; from scratch the rate rises over the whole phase unless
            `rise_epochs` says otherwise.
        context: Checkpoints and reporting.

    Returns:
        The model after the last epoch.

    Raises:
        WeightsError: Pretrained weights are not to be had.
        DevicesError: The devices asked for are not there, or cannot share a batch.
        TrainingDivergedError: The loss became infinite or not a number.
        OutOfMemoryError: The memory of the machine or of its accelerator is used up.
        DiskFullError: There is no room for what is to be kept.
        UnfitError: A size of progressive resizing is larger than the pictures.
    """
    import keras

    with use_devices(config.devices, config.batch_size) as devices:
        keras.utils.set_random_seed(data.plan.seed)
        if not backbone.pretrained and config.rise_epochs == 0:
            config = config.model_copy(update={"rise_epochs": float(config.epochs)})
        classifier = build_classifier(backbone, data.image_size, config.dropout, config.precision)
        pretrained_on = load_pretrained(backbone, classifier)
        whole = config.train_backbone or not backbone.pretrained
        blocks = len(backbone_blocks(classifier, backbone.name)) if whole else 0
        pretrained_description = WHOLE_WARMUP if whole else FROZEN_WARMUP
        phase = Phase(
            name="warmup",
            description=pretrained_description if backbone.pretrained else SCRATCH_WARMUP,
            first_epoch=0,
            config=config,
            image_size=data.image_size,
            free_blocks=lambda _: blocks,
            train_batchnorm=whole,
            keep_best=False,
            patience=None,
        )
        key = _key(data, config, context, _network(backbone), pretrained_on)
        history = run_phase(phase, classifier, backbone, data, context, key, devices)
    store = _store(context, key, phase)
    codes = (context.code_version,)
    return keep(classifier, backbone, pretrained_on, history, store, context.receiver, codes)


def train_finetune(
    data: TrainingData,
    warmup: WarmupModel,
    config: FinetuneConfig,
    context: RunContext = NOWHERE,
) -> TrainedPhase:
    """Fine-tune the classifier, freeing the backbone block by block from the output on.

    Args:
        data: Pictures, split and policy.
        warmup: The model of the first phase.
        config: Epochs, rate, unfreezing and the like.
        context: Checkpoints and reporting.

    Returns:
        The model with the weights of the best validation macro F1.

    Raises:
        DevicesError: The devices asked for are not there, or cannot share a batch.
        TrainingDivergedError: The loss became infinite or not a number.
        OutOfMemoryError: The memory of the machine or of its accelerator is used up.
        DiskFullError: There is no room for what is to be kept.
        UnfitError: `frozen_blocks` leaves nothing to train, or a size of progressive resizing is
            larger than the pictures.
    """
    import keras

    with use_devices(config.devices, config.batch_size) as devices:
        keras.utils.set_random_seed(data.plan.seed + 1)
        backbone = warmup.backbone
        classifier = build_classifier(backbone, data.image_size, config.dropout, config.precision)
        classifier.load_weights(warmup.path)
        blocks = len(backbone_blocks(classifier, backbone.name))
        if config.frozen_blocks >= blocks:
            raise UnfitError(
                f"frozen_blocks is {config.frozen_blocks}, but {backbone.name} has only {blocks} blocks; "
                "at least one has to be left to train"
            )
        phase = Phase(
            name="finetune",
            description=TRANSFER_FINETUNE if backbone.pretrained else SCRATCH_FINETUNE,
            first_epoch=warmup.epochs,
            config=config,
            image_size=data.image_size,
            free_blocks=_unfreezing(
                blocks - config.frozen_blocks,
                warmup.epochs,
                config.unfreeze_epochs if backbone.pretrained else 0,
            ),
            train_batchnorm=config.train_batchnorm or not backbone.pretrained,
            keep_best=True,
            patience=config.patience,
        )
        # The weights alone would not do: a first phase on a frozen backbone ends with the same ones
        # whatever the momentum of BatchNorm, and what follows does not.
        key = _key(
            data,
            config,
            context,
            _network(backbone),
            str(warmup.epochs),
            weights_checksum(classifier),
        )
        history = run_phase(phase, classifier, backbone, data, context, key, devices)
    store = _store(context, key, phase)
    codes = (*warmup.trained_by, context.code_version)
    return keep(classifier, backbone, warmup.pretrained_on, history, store, context.receiver, codes)


def _store(context: RunContext, key: str, phase: Phase) -> CheckpointStore | None:
    root = context.checkpoint_root
    return None if root is None else CheckpointStore(root / key / phase.name)


def _unfreezing(blocks: int, first_epoch: int, epochs: int) -> Callable[[int], int]:
    """Number of free blocks by epoch: at least one, after `epochs` epochs all of them."""

    def free_blocks(epoch: int) -> int:
        share = min(1.0, (epoch - first_epoch + 1) / epochs) if epochs else 1.0
        return max(1, math.ceil(blocks * share))

    return free_blocks


def _key(data: TrainingData, config: TrainConfig, context: RunContext, *parts: str) -> str:
    """Identifies a phase by everything that decides its outcome."""
    import keras

    return checkpoint_key(
        (
            *data.identity(),
            config.model_dump_json(exclude={"workers", "devices"}),
            context.code_version,
            keras.backend.backend(),
            *parts,
        )
    )


def _network(backbone: BackboneConfig) -> str:
    """What a backbone is, and not where a file of its weights lies."""
    return backbone.model_dump_json(exclude=set(PLACES))


def weights_checksum(classifier: "keras.Model") -> str:
    """Of the weights themselves; a file of the same ones differs with the day it was saved."""
    digest = hashlib.sha256()
    for array in classifier.get_weights():
        digest.update(array.tobytes())
    return digest.hexdigest()
