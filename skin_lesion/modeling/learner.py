"""The network while it learns: at the size, and with the free blocks, of the moment."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from skin_lesion.data.resizing import resized
from skin_lesion.modeling.averaging import WeightAverage, copy_weights
from skin_lesion.modeling.checkpoints import optimizer_state, read_weights, restore_optimizer
from skin_lesion.modeling.classifier import build_classifier, build_trainer, set_trainable_blocks
from skin_lesion.modeling.devices import Devices
from skin_lesion.modeling.epochs import compile_trainer, seed_dropout, train_epoch
from skin_lesion.modeling.losses import training_loss
from skin_lesion.modeling.optimizer import block_rate_factors
from skin_lesion.modeling.phase import Phase, Size, Stage
from skin_lesion.modeling.training_data import TrainingData
from skin_lesion.settings import BackboneConfig, FinetuneConfig

if TYPE_CHECKING:
    import keras

    from skin_lesion.data.loader import TrainingBatches

State = dict[str, NDArray[np.float32]]
# What Keras does by itself.
ONE = Devices()


class Learner:
    """Trains the weights of a classifier epoch by epoch, and shows in it what is to be judged.

    Where an average is judged, or the pictures are smaller at first, another network of the same
    kind learns, and the classifier is given its weights after each epoch. Else the classifier
    itself learns.

    Args:
        phase: What happens in which epoch.
        classifier: Of full size, with the weights to begin with or those judged last.
        backbone: What it was built from.
        data: What to learn from.
        resized_folder: Where smaller pictures are kept.
        devices: What it computes on.
    """

    def __init__(
        self,
        phase: Phase,
        classifier: "keras.Model",
        backbone: BackboneConfig,
        data: TrainingData,
        resized_folder: Path,
        devices: Devices = ONE,
    ) -> None:
        self._phase = phase
        self._classifier = classifier
        self._backbone = backbone
        self._data = data
        self._folder = resized_folder
        self._devices = devices
        self._stage: Stage | None = None
        config = phase.config
        self._average = (
            WeightAverage(classifier, config.ema_decay, config.ema_every)
            if config.ema_decay is not None
            else None
        )
        self._model: keras.Model = None
        self._trainer: keras.Model = None
        self._batches: TrainingBatches = None  # type: ignore[assignment]

    @property
    def optimizer(self) -> "keras.optimizers.Optimizer":
        """The optimizer of the moment."""
        return self._trainer.optimizer

    @property
    def behind_average(self) -> "keras.Model | None":
        """The network that learns, where the classifier holds the average of its weights."""
        return None if self._average is None else self._model

    def train(self, epoch: int) -> tuple[dict[str, float], int]:
        """Train for an epoch, and give the classifier the weights to be judged.

        Args:
            epoch: One that was prepared.

        Returns:
            `loss` and `accuracy`, means over the epoch; number of images.
        """
        batches = self._batches
        batches.epoch = epoch
        batches.mixing = self._phase.mixes(epoch)
        seed_dropout(self._model, self._data.plan.seed, epoch)
        before = (epoch - self._phase.first_epoch) * len(batches)
        metrics = train_epoch(
            self._trainer,
            batches,
            self._phase.config.workers,
            after_batch=None if self._average is None else lambda n: self._averaged(before + n + 1),
        )
        if self._average is not None:
            self._average.assign_to(self._classifier)
        elif self._model is not self._classifier:
            copy_weights(self._model, self._classifier)
        return metrics, len(batches) * batches.batch_size

    def prepare(self, epoch: int, resumed: State | None, weights: Path | None) -> None:
        """Make ready for an epoch.

        Args:
            epoch: Its number.
            resumed: State of the optimizer after the epoch before, from a checkpoint; None where
                that epoch was trained by this learner, or there was none.
            weights: Weights behind the average after that epoch, from a checkpoint.
        """
        stage = self._phase.stage(epoch)
        if stage == self._stage:
            return
        state = optimizer_state(self.optimizer) if self._stage is not None else resumed
        if self._stage is None or stage.size != self._stage.size:
            self._build(stage.size, weights)
        set_trainable_blocks(
            self._model,
            self._backbone.name,
            stage.free_blocks,
            train_batchnorm=self._phase.train_batchnorm,
        )
        freed_at = self._phase.freed_at(epoch)
        compile_trainer(
            self._trainer,
            self._phase.config,
            len(self._batches),
            (freed_at - self._phase.first_epoch) * len(self._batches),
            loss=training_loss(self._data.plan, self._phase.config.label_smoothing),
            rate_factors=self._rate_factors(),
        )
        self._devices.prepare_trainer(self._trainer)
        if freed_at < epoch and state is not None:  # the blocks were free before this epoch
            restore_optimizer(self.optimizer, state)
        self._stage = stage

    def _build(self, size: Size, weights: Path | None) -> None:
        """Build the network for pictures of a size, with the weights of the one before."""
        from skin_lesion.data.loader import TrainingBatches

        config, before = self._phase.config, self._model
        if self._average is None and size == self._phase.image_size:
            self._model = self._classifier  # it was given the weights after the last epoch
        else:
            self._model = build_classifier(self._backbone, size, config.dropout, config.precision)
            self._devices.prepare_classifier(self._model)
            copy_weights(self._classifier if before is None else before, self._model)
            if weights is not None and before is None:
                read_weights(self._model, weights)
        if self._average is not None:
            self._average.follow(self._model)
        images = self._data.images
        if size != self._phase.image_size:
            images = resized(images, size, self._folder)
        self._batches = TrainingBatches(
            images, self._data.split, self._data.plan, config.batch_size
        )
        self._devices.require_even(self._batches.batch_size)
        self._trainer = build_trainer(self._model)

    def _rate_factors(self) -> dict[str, float]:
        config = self._phase.config
        if not isinstance(config, FinetuneConfig) or config.layer_rate_decay == 1.0:
            return {}
        return block_rate_factors(self._model, self._backbone.name, config.layer_rate_decay)

    def _averaged(self, batches: int) -> None:
        """After so many batches of the phase, take the weights into the average where it is due."""
        config = self._phase.config
        if (
            self._average is not None
            and batches % (config.accumulation_steps * config.ema_every) == 0
        ):
            self._average.update(batches // config.accumulation_steps)
