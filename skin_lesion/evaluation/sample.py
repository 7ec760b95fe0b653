"""What every measurement works on: the images of one split with what the model says of them."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skin_lesion.decisions import Calibrator, Probabilities
from skin_lesion.evaluation.figures import Units
from skin_lesion.labels import LABEL_INDEX, NUM_CLASSES


@dataclass(frozen=True)
class Sample:
    """N images of one split. Rows of all arrays belong together.

    Attributes:
        rows: Columns `image_id`, `lesion_id`, `group` (lesion id, or several merged ones where their
            images are duplicates; the unit of every resampling and fold) and `dx`; index 0 to N-1.
        logits: Shape (N, 7), as the serving export gives them.
        probabilities: Shape (N, 7), calibrated.
        features: Pooled features below the classification layer, shape (N, C).
        units: What a `group` is.
    """

    rows: pd.DataFrame
    logits: NDArray[np.float32]
    probabilities: Probabilities
    features: NDArray[np.float32]
    units: Units = "lesion_group"

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def truth(self) -> NDArray[np.int64]:
        """Index of the true class, shape (N,)."""
        return np.array([LABEL_INDEX[dx] for dx in self.rows["dx"]], dtype=np.int64)

    @cached_property
    def groups(self) -> NDArray[np.int64]:
        """Number of the lesion group of each image, 0 to G-1, shape (N,)."""
        return np.asarray(pd.factorize(self.rows["group"], sort=True)[0], dtype=np.int64)

    @property
    def predicted(self) -> NDArray[np.int64]:
        """Index of the most probable class, shape (N,)."""
        return np.asarray(self.probabilities.argmax(axis=1), dtype=np.int64)

    @property
    def class_counts(self) -> NDArray[np.int64]:
        """Images of each class, shape (7,)."""
        return np.asarray(np.bincount(self.truth, minlength=NUM_CLASSES), dtype=np.int64)

    def calibrated(self, calibrator: Calibrator) -> "Sample":
        """The same images with the probabilities of another calibrator."""
        return replace(self, probabilities=calibrator.probabilities(self.logits))

    def take(self, index: NDArray[np.int64]) -> "Sample":
        """Some of the images."""
        return Sample(
            self.rows.iloc[index].reset_index(drop=True),
            self.logits[index],
            self.probabilities[index],
            self.features[index],
            self.units,
        )

    def one_per_lesion(self) -> "Sample":
        """The first image of each lesion group by image id, which no result had a say in."""
        ordered = self.rows.sort_values("image_id", kind="stable")
        first = ordered.drop_duplicates("group").index.to_numpy()
        return self.take(np.sort(first))
