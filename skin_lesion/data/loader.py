"""Batches for training and evaluation, read from the memory-mapped array.

Imports Keras, so it is imported only where a model is trained.
"""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from skin_lesion.data.augment import (
    AugmentationPlan,
    Floats,
    MixedBatch,
    draw_colour,
    draw_geometry,
    mix,
)
from skin_lesion.data.image_array import ImageArray, Pixels, copy_rows
from skin_lesion.data.split_table import LearningSplit, SplitTable
from skin_lesion.labels import LABEL_INDEX

Inputs = dict[str, NDArray[Any]]


class TrainingBatches(keras.utils.PyDataset):  # type: ignore[misc]
    """Shuffled, mixed training batches with the draws for the augmentation in the graph.

    Everything random is a function of (seed, epoch, batch): a batch can be made in any order, by
    any thread, on any day, and is the same. An epoch drops the images that do not fill a last
    batch, other ones each time, so that shapes never change. With balanced sampling an epoch is as
    long as without; images of rare classes come several times and some of common ones not at all,
    other ones each time.

    A batch is `({"image", "geometry", "colour"}, targets, weights)` of shapes (n, H, W, 3) `uint8`,
    (n, 8), (n, 3), (n, 7) and (n,).

    Attributes:
        epoch: Which one is served.
        mixing: Whether MixUp and CutMix act; other draws are the same either way.

    Args:
        images: Pictures of the whole data set.
        split: Only its training rows are served.
        plan: Policy, class weights and seed.
        batch_size: Images in a batch; smaller only where there are fewer training images.
    """

    def __init__(
        self,
        images: ImageArray,
        split: SplitTable,
        plan: AugmentationPlan,
        batch_size: int,
    ) -> None:
        super().__init__()
        self.epoch = 0
        self.mixing = True
        self._pixels = images.open()
        self._rows = split.indices("train")
        self._labels = _label_indices(split)
        self._plan = plan
        self._class_weights = plan.weight_vector()
        self.batch_size = min(batch_size, len(self._rows))
        self._order_of_epoch: tuple[int, NDArray[np.int64]] | None = None

    def __len__(self) -> int:
        return len(self._rows) // self.batch_size

    def __getitem__(self, index: int) -> tuple[Inputs, Floats, Floats]:
        epoch, policy = self.epoch, self._plan.policy
        rng = np.random.default_rng([self._plan.seed, 1, epoch, index])
        start = index * self.batch_size
        # Ascending rows are read fastest; the order within a batch means nothing to training.
        rows = np.sort(self._order(epoch)[start : start + self.batch_size])
        mixed = policy if self.mixing else policy.model_copy(update={"mix_probability": 0.0})
        batch = mix(
            MixedBatch.unmixed(copy_rows(self._pixels, rows), self._labels[rows]), mixed, rng
        )
        n, height, width = batch.pixels.shape[:3]
        inputs: Inputs = {
            "image": batch.pixels,
            "geometry": draw_geometry(n, height, width, policy, rng),
            "colour": draw_colour(n, policy, rng),
        }
        weights: Floats = batch.targets @ self._class_weights
        return inputs, batch.targets, weights

    def _order(self, epoch: int) -> NDArray[np.int64]:
        if self._order_of_epoch is None or self._order_of_epoch[0] != epoch:
            rng = np.random.default_rng([self._plan.seed, 0, epoch])
            rows = self._rows
            if self._plan.policy.imbalance == "balanced_sampling":
                rows = _shared_out(rows, self._labels[rows], self._plan.served_shares(), rng)
            self._order_of_epoch = (epoch, rng.permutation(rows))
        return self._order_of_epoch[1]


class EvaluationBatches(keras.utils.PyDataset):  # type: ignore[misc]
    """The images of one split, in order, untouched.

    Args:
        images: Pictures of the whole data set.
        split: Which rows belong where.
        name: The split to serve.
        batch_size: Images in a batch; the last may be smaller.
    """

    def __init__(
        self, images: ImageArray, split: SplitTable, name: LearningSplit, batch_size: int
    ) -> None:
        super().__init__()
        self._pixels = images.open()
        self._rows = split.indices(name)
        self.labels = _label_indices(split)[self._rows]
        self.batch_size = batch_size

    def __len__(self) -> int:
        return -(-len(self._rows) // self.batch_size)

    def __getitem__(self, index: int) -> Pixels:
        start = index * self.batch_size
        return copy_rows(self._pixels, self._rows[start : start + self.batch_size])


def prefetched(batches: keras.utils.PyDataset, workers: int) -> Iterator[Any]:
    """Every batch in order, made ahead of time by threads while the caller computes.

    `model.fit` would go through `tf.data`, which on TensorFlow stalls for seconds now and then when
    an epoch ends: the iterator's destructor waits for a thread that waits for the interpreter lock.

    Args:
        batches: What to serve.
        workers: Threads; 0 makes each batch when it is asked for.
    """
    count = len(batches)
    if workers == 0:
        yield from (batches[i] for i in range(count))
        return
    ahead = 2 * workers + 1
    with ThreadPoolExecutor(workers, thread_name_prefix="loader") as pool:
        try:
            pending = deque(pool.submit(batches.__getitem__, i) for i in range(min(ahead, count)))
            for i in range(count):
                batch = pending.popleft().result()
                if i + ahead < count:
                    pending.append(pool.submit(batches.__getitem__, i + ahead))
                yield batch
        finally:
            pool.shutdown(cancel_futures=True)


def _label_indices(split: SplitTable) -> NDArray[np.int64]:
    return np.asarray(split.rows["dx"].map(LABEL_INDEX), np.int64)


def _shared_out(
    rows: NDArray[np.int64],
    labels: NDArray[np.int64],
    shares: NDArray[np.float64],
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """As many rows, of each class its share; within a class all rows come equally often, but for one.

    Args:
        rows: Row numbers.
        labels: Class of each.
        shares: Of each class.
        rng: Decides which rows of a class come once more than others.
    """
    wanted = np.floor(shares * len(rows)).astype(int)
    # What rounding left over goes to the classes that lost most by it.
    short = np.argsort(wanted - shares * len(rows), kind="stable")[: len(rows) - wanted.sum()]
    wanted[short] += 1
    served: list[NDArray[np.int64]] = []
    for label, count in enumerate(wanted):
        members = rows[labels == label]
        whole, part = divmod(int(count), len(members))
        served += [np.tile(members, whole), rng.choice(members, part, replace=False)]
    return np.concatenate(served)
