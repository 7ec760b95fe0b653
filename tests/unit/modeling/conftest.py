"""A handful of coloured pictures to train on, and weights files as a publisher would offer them."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from skin_lesion.data.augment import make_plan
from skin_lesion.data.image_array import ImageArray
from skin_lesion.data.manifest import Manifest, Provenance
from skin_lesion.data.split_table import LeakReport, SplitTable
from skin_lesion.labels import LABELS
from skin_lesion.modeling.train import TrainingData
from skin_lesion.settings import AugmentConfig

MakeData = Callable[..., TrainingData]


@pytest.fixture
def make_data(tmp_path: Path) -> MakeData:
    """Make a data set: each class has a colour of its own, so that a network can learn it."""

    def make(
        size: tuple[int, int] = (32, 32), per_class: int = 8, policy: AugmentConfig | None = None
    ) -> TrainingData:
        rng = np.random.default_rng(0)
        labels = np.tile(np.arange(len(LABELS)), per_class)
        colours = rng.uniform(40, 215, (len(LABELS), 1, 1, 3))
        noise = rng.normal(0, 12, (len(labels), *size, 3))
        pixels = np.clip(colours[labels] + noise, 0, 255).astype(np.uint8)
        path = tmp_path / f"images-{size[0]}x{size[1]}.npy"
        np.save(path, pixels)
        names = [f"lesion{i}" for i in range(len(labels))]
        rounds = np.arange(len(labels)) // len(LABELS)
        rows = pd.DataFrame(
            {
                "image_id": names,
                "lesion_id": names,
                "group": names,
                "dx": [LABELS[i] for i in labels],
                "split": np.where(rounds < per_class - 2, "train", "val"),
            }
        )
        report = LeakReport(
            groups_crossing=0, duplicates_crossing=0, merged_pairs=0, unmerged_pairs=0, images={},
            groups={}, class_counts={}, class_share_deviation={},
        )  # fmt: skip
        split = SplitTable(rows, report)
        images = ImageArray(path, pixels.shape, "0" * 64)
        return TrainingData(images, split, make_plan(split, policy or AugmentConfig(), seed=3))

    return make


@pytest.fixture
def manifest() -> Manifest:
    """A manifest with just what a contract states."""
    provenance = Provenance(
        kind="synthetic", name="colours", licence="CC0-1.0", citation="none", synthetic=True,
        source_height=32, source_width=32,
    )  # fmt: skip
    images = pd.DataFrame({"image_id": ["a"], "lesion_id": ["a"], "dx": ["nv"], "sha256": ["0"]})
    return Manifest(images, pd.DataFrame(), provenance)


def hand_over(data: TrainingData, folder: Path) -> None:
    """Write down data for a program that trains in a process of its own: `data.json`, `rows.json`."""
    data.split.rows.to_json(folder / "rows.json")
    facts = {
        "path": str(data.images.path),
        "shape": data.images.shape,
        "leaks": data.split.leak_report.model_dump(),
        "plan": data.plan.model_dump(),
    }
    (folder / "data.json").write_text(json.dumps(facts))
