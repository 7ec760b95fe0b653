"""The loop of a training phase.

An explicit one, so that learning, judging, checkpoints and early stopping stand in one place and an
interrupted phase goes on where it stopped.
"""

import logging
import math
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from skin_lesion.modeling.checkpoints import CheckpointStore, Progress, read_weights
from skin_lesion.modeling.classifier import set_trainable_blocks
from skin_lesion.modeling.devices import Devices, DevicesError
from skin_lesion.modeling.epochs import jit_mode, validation_metrics
from skin_lesion.modeling.failures import TrainingDivergedError, explained
from skin_lesion.modeling.history import EpochRecord, History
from skin_lesion.modeling.learner import Learner
from skin_lesion.modeling.phase import Phase
from skin_lesion.modeling.progress_line import progress_line
from skin_lesion.modeling.training_data import RunContext, TrainingData
from skin_lesion.settings import BackboneConfig

if TYPE_CHECKING:
    import keras

    from skin_lesion.data.loader import EvaluationBatches

log = logging.getLogger(__name__)

# Smaller copies of the pictures, beside the checkpoints: every phase and training may use them.
RESIZED = "resized"


def run_phase(
    phase: Phase,
    classifier: "keras.Model",
    backbone: BackboneConfig,
    data: TrainingData,
    context: RunContext,
    key: str,
    devices: Devices,
) -> History:
    """Train a classifier in place, from the newest checkpoint on if there is one.

    Args:
        phase: What happens in which epoch.
        classifier: With the weights to begin with; left with those that were kept.
        backbone: What it was built from.
        data: Pictures, split and policy.
        context: Checkpoints and reporting.
        key: Identifies the training; checkpoints of another key are never read.
        devices: What it computes on; the classifier was built within their scope.

    Raises:
        DevicesError: The devices cannot share a batch, or other processes do other things.
        RuntimeError: Another process trains the very same phase with the same checkpoints.
        TrainingDivergedError: The loss became infinite or not a number.
        OutOfMemoryError: The memory of the machine or of its accelerator is used up.
        DiskFullError: There is no room for a checkpoint or for smaller copies of the pictures.
        UnfitError: A size of progressive resizing is larger than the pictures.
    """
    from skin_lesion.data.loader import EvaluationBatches

    config = phase.config
    if devices.processes > 1 and context.checkpoint_root is None:
        raise DevicesError(
            f"{devices.processes} processes train together, but there is no folder of checkpoints; "
            "all of them need the same one, which they all see"
        )
    devices.prepare_classifier(classifier)
    if context.on_devices is not None and devices.chief:
        context.on_devices(devices.facts(config.precision, xla=bool(jit_mode(config))))
    with ExitStack() as held:
        root = context.checkpoint_root
        if root is None:
            root = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="skin-lesion-")))
        store = CheckpointStore(root / key / phase.name)
        held.enter_context(
            explained(phase, devices.count, lambda: _what_stays(store, context), context.elsewhere)
        )
        if devices.chief:
            held.enter_context(store.alone())
        devices.require_same("the training", key)
        validation = EvaluationBatches(data.images, data.split, "val", config.batch_size)
        classifier.compile(jit_compile=jit_mode(config))
        if context.afresh and devices.chief:
            _forget_if_delivered(store, phase, context)
        devices.barrier("what is resumed is settled")
        resumed = store.resume(classifier)
        progress = resumed.progress
        devices.require_same("the last checkpoint", str(len(progress.records)))
        for record in progress.records if devices.chief else ():
            context.report(record)
        learner = Learner(phase, classifier, backbone, data, root / RESIZED, devices)
        for epoch in range(phase.first_epoch + len(progress.records), phase.last_epoch):
            if phase.exhausted(progress):
                break
            learner.prepare(epoch, resumed.optimizer, resumed.behind_average)
            record = _epoch(learner, classifier, validation, epoch, config.workers)
            progress = progress.advance(record)
            if devices.chief:
                with devices.alone():
                    store.save(classifier, learner.optimizer, progress, learner.behind_average)
            devices.barrier("the checkpoint is written")
            if devices.chief:
                context.report(record)
                log.info(progress_line(phase, progress))
        set_trainable_blocks(
            classifier,
            backbone.name,
            phase.free_blocks(progress.records[-1].epoch),
            train_batchnorm=phase.train_batchnorm,
        )
        kept = progress.best_epoch if phase.keep_best else progress.records[-1].epoch
        read_weights(classifier, store.weights_of(kept))
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
    learner: Learner,
    classifier: "keras.Model",
    validation: "EvaluationBatches",
    epoch: int,
    workers: int,
) -> EpochRecord:
    """Learn from all batches, then judge what the classifier has become."""
    import keras

    from skin_lesion.data.loader import prefetched

    started = time.monotonic()
    metrics, images = learner.train(epoch)
    trained = time.monotonic()
    logits = [classifier.predict_on_batch(batch) for batch in prefetched(validation, workers)]
    metrics |= validation_metrics(np.concatenate(logits), validation.labels)
    rate = float(keras.ops.convert_to_numpy(learner.optimizer.learning_rate))
    for name in ("loss", "val_loss"):
        if not math.isfinite(metrics[name]):
            raise TrainingDivergedError(
                f"{name} is {metrics[name]} in epoch {epoch}: lower learning_rate (now {rate:g}), "
                "set gradient_clip_norm, or use precision float32"
            )
    return EpochRecord(
        epoch=epoch,
        learning_rate=rate,
        seconds=time.monotonic() - started,
        images_per_second=images / (trained - started),
        metrics=metrics,
    )


def _forget_if_delivered(store: CheckpointStore, phase: Phase, context: RunContext) -> None:
    """Forget a finished training; one whose model was lost on the way out is worth keeping."""
    receiver = store.receiver
    if receiver is None:
        return
    if not context.arrived(receiver):
        log.info(
            "the model of %s never arrived where it was wanted: it is not forgotten", store.folder
        )
        return
    checkpoint = store.latest()
    if checkpoint is None:
        return
    progress: Progress = store.read_progress(checkpoint)
    if len(progress.records) >= phase.config.epochs or phase.exhausted(progress):
        store.clear()


def _what_stays(store: CheckpointStore, context: RunContext) -> str:
    """What is left of a phase that cannot go on."""
    if context.checkpoint_root is None:
        return "nothing of the phase is left, since it was given no folder of checkpoints"
    last = store.latest()
    if last is None:
        return "no epoch of the phase was finished; the same command begins it anew"
    return f"the checkpoint of epoch {last.name} stays, and the same command goes on from it"
