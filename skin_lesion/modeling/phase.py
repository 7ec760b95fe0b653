"""What a training phase does in which epoch."""

from collections.abc import Callable
from dataclasses import dataclass

from skin_lesion.modeling.checkpoints import Progress
from skin_lesion.settings import Phase as PhaseName
from skin_lesion.settings import TrainConfig

Size = tuple[int, int]


@dataclass(frozen=True)
class Stage:
    """What stays the same from one epoch to the next, most of the time.

    Attributes:
        free_blocks: Blocks of the backbone that learn, counted from the output.
        size: Height and width of the training pictures, in pixels.
    """

    free_blocks: int
    size: Size


@dataclass(frozen=True)
class Phase:
    """One of the two phases.

    Attributes:
        name: Names its checkpoints.
        description: What it is, in words.
        first_epoch: Its first epoch, counted over both phases.
        config: Epochs, sizes and the like.
        image_size: Full height and width of the pictures, in pixels.
        free_blocks: Blocks of the backbone that learn in an epoch.
        train_batchnorm: Whether BatchNorm of free blocks learns, too.
        keep_best: Keep the epoch of the best validation macro F1, not the last.
        patience: Epochs without a better one before the phase ends, counted from the first at full
            size on, since smaller pictures are only the way there; None goes on to the end.
    """

    name: PhaseName
    description: str
    first_epoch: int
    config: TrainConfig
    image_size: Size
    free_blocks: Callable[[int], int]
    train_batchnorm: bool
    keep_best: bool
    patience: int | None

    @property
    def last_epoch(self) -> int:
        """The epoch after the last."""
        return self.first_epoch + self.config.epochs

    def stage(self, epoch: int) -> Stage:
        """What learns in an epoch, and on pictures of which size."""
        return Stage(self.free_blocks(epoch), self.size(epoch))

    def size(self, epoch: int) -> Size:
        """Height and width of the training pictures in an epoch.

        The last epoch is at full size, however few there are.
        """
        if epoch >= self.last_epoch - 1:
            return self.image_size
        end = 0.0
        for stage in self.config.sizes:
            end += stage.share * self.config.epochs
            if epoch - self.first_epoch < round(end):
                return stage.height, stage.width
        return self.image_size

    def mixes(self, epoch: int) -> bool:
        """Whether MixUp and CutMix act in an epoch."""
        return epoch < self.last_epoch - self.config.unmixed_epochs

    def freed_at(self, epoch: int) -> int:
        """First epoch with as many free blocks as `epoch` has: its optimizer is that old."""
        blocks = self.free_blocks(epoch)
        return next(e for e in range(self.first_epoch, epoch + 1) if self.free_blocks(e) == blocks)

    def exhausted(self, progress: Progress) -> bool:
        """Whether patience has run out."""
        if self.patience is None or not progress.records:
            return False
        grown = next(e for e in range(self.first_epoch, self.last_epoch) if self._is_full(e))
        since = max(progress.best_epoch, grown)
        return progress.records[-1].epoch - since >= self.patience

    def _is_full(self, epoch: int) -> bool:
        return self.size(epoch) == self.image_size
