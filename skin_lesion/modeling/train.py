"""The two training phases: warm-up of the head and progressive fine-tuning.

Both are one explicit loop over epochs and batches, so that unfreezing, validation,
checkpoints and early stopping stand in one place and an interrupted phase goes on where it stopped.
"""

import hashlib
import logging
import math
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from skin_lesion.data.augment import AugmentationPlan
from skin_lesion.data.image_array import ImageArray
from skin_lesion.data.split_table import SplitTable
from skin_lesion.modeling.backbones import load_pretrained
from skin_lesion.modeling.checkpoints import (
    CheckpointStore,
    Progress,
    checkpoint_key,
    restore_optimizer,
)
from skin_lesion.modeling.classifier import (
    backbone_blocks,
    build_classifier,
    build_trainer,
    set_trainable_blocks,
)
from skin_lesion.modeling.epochs import (
    compile_trainer,
    jit_mode,
    seed_dropout,
    train_epoch,
    validation_metrics,
)
from skin_lesion.modeling.history import EpochRecord, History
from skin_lesion.settings import BackboneConfig, FinetuneConfig, Phase, TrainConfig, WarmupConfig

if TYPE_CHECKING:
    import keras

    from skin_lesion.data.loader import EvaluationBatches, TrainingBatches

log = logging.getLogger(__name__)

OnEpoch = Callable[[EpochRecord], None]
FROZEN_WARMUP = "warm-up of the head on a frozen, pretrained backbone"
SCRATCH_WARMUP = "first phase of training from scratch, whole network at a rising rate"
TRANSFER_FINETUNE = "fine-tuning of a pretrained backbone, unfrozen block by block"
SCRATCH_FINETUNE = "second phase of training from scratch"


class TrainingDivergedError(RuntimeError):
    """The loss stopped being a number."""


@dataclass(frozen=True)
class WarmupModel:
    """A handle on the classifier after the first phase.

    Attributes:
        path: A `.keras` file.
        backbone: What it was built from.
        pretrained_on: `imagenet`, `sha256:…` of a weights file, or `nothing`.
        epochs: Epochs trained so far; fine-tuning counts on from here.
        workspace: Keeps a temporary folder alive as long as the handle.
    """

    path: Path
    backbone: BackboneConfig
    pretrained_on: str
    epochs: int
    workspace: object = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class TrainedPhase:
    """What a phase leaves behind.

    Attributes:
        model: The classifier with the weights that were kept.
        history: What was recorded.
    """

    model: WarmupModel
    history: History


@dataclass(frozen=True)
class TrainingData:
    """What both phases learn from.

    Attributes:
        images: Pictures of the whole data set.
        split: Which rows are for training and for validation.
        plan: Augmentation, class weights, seed.
    """

    images: ImageArray
    split: SplitTable
    plan: AugmentationPlan

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.images.shape[1], self.images.shape[2]

    def identity(self) -> tuple[str, ...]:
        """Texts that identify pixels, labels, split and policy."""
        rows = self.split.rows[["image_id", "dx", "split"]].to_csv(index=False)
        return (
            self.images.sha256,
            hashlib.sha256(rows.encode()).hexdigest(),
            self.plan.model_dump_json(),
        )


@dataclass(frozen=True)
class RunContext:
    """Where a phase reports to and keeps its checkpoints.

    Attributes:
        checkpoint_root: Folder of all checkpoints; None keeps none.
        code_version: Identifies the training code; part of the checkpoints' key.
        run_id: MLflow run, for the history.
        on_epoch: Called after every epoch; on resuming also for those finished before.
        afresh: Train again even where a finished training of the very same kind has left its
            checkpoints; one that was interrupted is resumed all the same.
    """

    checkpoint_root: Path | None = None
    code_version: str = ""
    run_id: str | None = None
    on_epoch: OnEpoch | None = None
    afresh: bool = False


def train_warmup(
    data: TrainingData,
    backbone: BackboneConfig,
    config: WarmupConfig,
    context: RunContext = RunContext(),
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
        TrainingDivergedError: The loss became infinite or not a number.
    """
    import keras

    keras.utils.set_random_seed(data.plan.seed)
    if not backbone.pretrained and config.rise_epochs == 0:
        config = config.model_copy(update={"rise_epochs": float(config.epochs)})
    classifier = build_classifier(backbone, data.image_size, config.dropout, config.precision)
    pretrained_on = load_pretrained(backbone, classifier)
    phase = _Phase(
        name="warmup",
        description=FROZEN_WARMUP if backbone.pretrained else SCRATCH_WARMUP,
        first_epoch=0,
        free_blocks=lambda _: 0 if backbone.pretrained else len(_blocks(classifier, backbone)),
        train_batchnorm=not backbone.pretrained,
        keep_best=False,
        patience=None,
    )
    weights = backbone.model_dump_json(exclude={"path", "mirror", "sha256"})
    key = _key(data, config, context, weights, pretrained_on)
    history = _run(phase, classifier, backbone, data, config, context, key)
    return _keep(classifier, backbone, pretrained_on, history)


def train_finetune(
    data: TrainingData,
    warmup: WarmupModel,
    config: FinetuneConfig,
    context: RunContext = RunContext(),
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
        TrainingDivergedError: The loss became infinite or not a number.
    """
    import keras

    keras.utils.set_random_seed(data.plan.seed + 1)
    backbone = warmup.backbone
    classifier = build_classifier(backbone, data.image_size, config.dropout, config.precision)
    classifier.load_weights(warmup.path)
    ceiling = len(_blocks(classifier, backbone)) - config.frozen_blocks
    if ceiling < 1:
        raise ValueError(
            f"frozen_blocks is {config.frozen_blocks}, but {backbone.name} has only "
            f"{len(_blocks(classifier, backbone))} blocks; at least one has to be left to train"
        )
    gradual = config.unfreeze_epochs if backbone.pretrained else 0

    def free_blocks(epoch: int) -> int:
        share = min(1.0, (epoch - warmup.epochs + 1) / gradual) if gradual else 1.0
        return max(1, math.ceil(ceiling * share))

    phase = _Phase(
        name="finetune",
        description=TRANSFER_FINETUNE if backbone.pretrained else SCRATCH_FINETUNE,
        first_epoch=warmup.epochs,
        free_blocks=free_blocks,
        train_batchnorm=config.train_batchnorm or not backbone.pretrained,
        keep_best=True,
        patience=config.patience,
    )
    key = _key(data, config, context, _file_checksum(warmup.path))
    history = _run(phase, classifier, backbone, data, config, context, key)
    return _keep(classifier, backbone, warmup.pretrained_on, history)


@dataclass(frozen=True)
class _Phase:
    """What distinguishes one phase from the other."""

    name: Phase
    description: str
    first_epoch: int
    free_blocks: Callable[[int], int]
    train_batchnorm: bool
    keep_best: bool
    patience: int | None

    def stage_start(self, epoch: int) -> int:
        """First epoch with as many free blocks as `epoch` has."""
        blocks = self.free_blocks(epoch)
        return next(e for e in range(self.first_epoch, epoch + 1) if self.free_blocks(e) == blocks)

    def exhausted(self, progress: Progress) -> bool:
        """Whether patience has run out."""
        if self.patience is None or not progress.records:
            return False
        return progress.records[-1].epoch - progress.best_epoch >= self.patience


def _run(
    phase: _Phase,
    classifier: "keras.Model",
    backbone: BackboneConfig,
    data: TrainingData,
    config: TrainConfig,
    context: RunContext,
    key: str,
) -> History:
    """Train `classifier` in place, from the newest checkpoint on if there is one."""
    from skin_lesion.data.loader import EvaluationBatches, TrainingBatches

    with tempfile.TemporaryDirectory(prefix="skin-lesion-") as scratch:
        root = context.checkpoint_root or Path(scratch)
        store = CheckpointStore(root / key / phase.name)
        trainer = build_trainer(classifier)
        batches = TrainingBatches(data.images, data.split, data.plan, config.batch_size)
        validation = EvaluationBatches(data.images, data.split, "val", config.batch_size)
        classifier.compile(jit_compile=jit_mode(config))
        if context.afresh:
            _forget_if_finished(store, phase, config.epochs)
        progress, state = _resume(store, classifier)
        for record in progress.records:
            _report(record, context)
        freed = -1
        last_epoch = phase.first_epoch + config.epochs
        for epoch in range(phase.first_epoch + len(progress.records), last_epoch):
            if phase.exhausted(progress):
                break
            blocks = phase.free_blocks(epoch)
            if blocks != freed:
                set_trainable_blocks(
                    classifier, backbone.name, blocks, train_batchnorm=phase.train_batchnorm
                )
                stage = phase.stage_start(epoch)
                steps_before = (stage - phase.first_epoch) * len(batches)
                compile_trainer(trainer, config, len(batches), steps_before)
                if stage < epoch:  # resumed within a stage
                    restore_optimizer(trainer.optimizer, state)
                freed = blocks
            record = _epoch(
                trainer, classifier, batches, validation, epoch, data.plan.seed, config.workers
            )
            progress = progress.advance(record)
            store.save(classifier, trainer.optimizer, progress)
            _report(record, context)
            log.info(_line(record, phase.name, last_epoch))
        if freed < 0:  # every epoch was finished before
            blocks = phase.free_blocks(progress.records[-1].epoch)
            set_trainable_blocks(
                classifier, backbone.name, blocks, train_batchnorm=phase.train_batchnorm
            )
        kept = progress.best_epoch if phase.keep_best else progress.records[-1].epoch
        classifier.load_weights(store.weights_of(kept))
    return History(
        phase=phase.name,
        description=phase.description,
        records=progress.records,
        best_epoch=kept,
        trainable_parameters=sum(math.prod(v.shape) for v in classifier.trainable_variables),
        mlflow_run_id=context.run_id,
        stopped_early=len(progress.records) < config.epochs,
    )


def _epoch(
    trainer: "keras.Model",
    classifier: "keras.Model",
    batches: "TrainingBatches",
    validation: "EvaluationBatches",
    epoch: int,
    seed: int,
    workers: int,
) -> EpochRecord:
    import keras

    from skin_lesion.data.loader import prefetched

    started = time.monotonic()
    batches.epoch = epoch
    seed_dropout(classifier, seed, epoch)
    metrics = train_epoch(trainer, batches, workers)
    trained = time.monotonic()
    logits = [classifier.predict_on_batch(batch) for batch in prefetched(validation, workers)]
    metrics |= validation_metrics(np.concatenate(logits), validation.labels)
    for name in ("loss", "val_loss"):
        if not math.isfinite(metrics[name]):
            raise TrainingDivergedError(
                f"{name} is {metrics[name]} in epoch {epoch}; lower learning_rate (now "
                f"{float(trainer.optimizer.learning_rate):g}), set gradient_clip_norm, or use "
                "precision float32"
            )
    return EpochRecord(
        epoch=epoch,
        learning_rate=float(keras.ops.convert_to_numpy(trainer.optimizer.learning_rate)),
        seconds=time.monotonic() - started,
        images_per_second=len(batches) * batches.batch_size / (trained - started),
        metrics=metrics,
    )


def _key(data: TrainingData, config: TrainConfig, context: RunContext, *parts: str) -> str:
    """Identifies a phase by everything that decides its outcome."""
    import keras

    return checkpoint_key(
        (
            *data.identity(),
            config.model_dump_json(exclude={"workers"}),
            context.code_version,
            keras.backend.backend(),
            *parts,
        )
    )


def _resume(
    store: CheckpointStore, classifier: "keras.Model"
) -> tuple[Progress, dict[str, NDArray[np.float32]]]:
    checkpoint = store.latest()
    if checkpoint is None:
        return Progress(), {}
    progress = store.read_progress(checkpoint)
    log.info("resuming after epoch %d from %s", progress.records[-1].epoch, checkpoint)
    classifier.load_weights(checkpoint / "model.weights.h5")
    with np.load(checkpoint / "optimizer.npz") as state:
        return progress, dict(state)


def _forget_if_finished(store: CheckpointStore, phase: _Phase, epochs: int) -> None:
    checkpoint = store.latest()
    if checkpoint is None:
        return
    progress = store.read_progress(checkpoint)
    if len(progress.records) >= epochs or phase.exhausted(progress):
        store.clear()


def _keep(
    classifier: "keras.Model", backbone: BackboneConfig, pretrained_on: str, history: History
) -> TrainedPhase:
    """Save the classifier in float32, whatever precision it was trained in."""
    workspace = tempfile.TemporaryDirectory(prefix="skin-lesion-")
    path = Path(workspace.name) / "model.keras"
    model = classifier
    if classifier.get_layer("features").dtype_policy.name != "float32":
        model = build_classifier(backbone, classifier.input.shape[1:3])
        model.set_weights(classifier.get_weights())
    model.save(path)
    epochs = history.records[-1].epoch + 1
    return TrainedPhase(WarmupModel(path, backbone, pretrained_on, epochs, workspace), history)


def _report(record: EpochRecord, context: RunContext) -> None:
    if context.on_epoch is not None:
        context.on_epoch(record)


def _line(record: EpochRecord, phase: str, last_epoch: int) -> str:
    m = record.metrics
    left = (last_epoch - record.epoch - 1) * record.seconds / 60
    return (
        f"{phase} {record.epoch + 1}/{last_epoch}  loss {m['loss']:.3f}  val loss "
        f"{m['val_loss']:.3f}  val accuracy {m['val_accuracy']:.3f}  val macro F1 "
        f"{m['val_macro_f1']:.3f}  {record.images_per_second:.1f} images/s  {left:.1f} min left"
    )


def _blocks(
    classifier: "keras.Model", backbone: BackboneConfig
) -> "list[list[keras.layers.Layer]]":
    return backbone_blocks(classifier, backbone.name)


def _file_checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
