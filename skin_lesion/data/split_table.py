"""The table of which image belongs to which split, and what was checked on it.

Apart from the code that makes the table, so that training, which only reads it, does not run again
when the search for duplicates changes but its outcome does not.
"""

import hashlib
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

SplitName = Literal["train", "val", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "val", "test")
# What may be learnt from and chosen by.
LearningSplit = Literal["train", "val"]
LEARNING_SPLITS: tuple[LearningSplit, ...] = ("train", "val")


class LeakReport(BaseModel):
    """What was counted on the finished split.

    Attributes:
        groups_crossing: Lesion groups with images in more than one split; 0 in a sound split.
        duplicates_crossing: Confirmed duplicate pairs across splits; 0 in a sound split.
        merged_pairs: Duplicate pairs across lesion ids that were merged into one group.
        unmerged_pairs: Confirmed pairs that lie in one split, though in separate groups, since the
            bound on group size left them unmerged.
        images: Images in each split.
        groups: Lesion groups in each split.
        class_counts: Images of each class in each split, `class_counts[split][label]`.
        class_share_deviation: Share of the class in the split minus its share in the whole set.
        lesions_crossing: Lesions with images in more than one split; 0 in a sound split.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    groups_crossing: int
    duplicates_crossing: int
    merged_pairs: int
    unmerged_pairs: int
    images: dict[str, int]
    groups: dict[str, int]
    class_counts: dict[str, dict[str, int]]
    class_share_deviation: dict[str, dict[str, float]]
    lesions_crossing: int = 0


@dataclass(frozen=True)
class SplitTable:
    """Which split each image belongs to.

    Attributes:
        rows: Columns `image_id`, `lesion_id`, `group` (lesion group, str), `dx`, `split`, `block`
            (groups of one block must not be parted; nearly always the group itself); row i describes
            row i of the manifest and of the image array. A split from before blocks were kept has no
            such column.
        leak_report: What was checked on it.
    """

    rows: pd.DataFrame
    leak_report: LeakReport

    @property
    def split_hash(self) -> str:
        """SHA-256 over (image id, split), whatever the order of the rows."""
        pairs = sorted(self.rows[["image_id", "split"]].itertuples(index=False))
        return hashlib.sha256("\n".join(f"{a}\t{b}" for a, b in pairs).encode()).hexdigest()

    def indices(self, split: LearningSplit) -> NDArray[np.int64]:
        """Ascending row numbers of training or of validation.

        Raises:
            ValueError: The rows of the test split were asked for, or of no split.
        """
        if split not in LEARNING_SPLITS:
            raise ValueError(
                f"the rows of the split {split!r} are not given here; expected 'train' or 'val'. The "
                "test split is looked at through `skin_lesion.data.looking.look_at_test`, which "
                "records who looks and why"
            )
        return np.flatnonzero(self.rows["split"].to_numpy() == split).astype(np.int64)
