"""Pictures that the model of the small world answers for, and files that are none."""

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from skin_lesion.batch.result import PREDICTIONS, TABLES, BatchResult
from skin_lesion.batch.run import score_batch
from skin_lesion.settings import BatchConfig

Score = Callable[..., BatchResult]
QUICK = BatchConfig(engine="serial", shard_size=4, batch_size=3)


def jpeg(seed: int) -> bytes:
    """A noisy picture of one colour; another one for each seed."""
    random = np.random.default_rng(seed)
    pixels = random.normal(random.uniform(70, 190, 3), 12, (60, 80, 3))
    buffer = io.BytesIO()
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def rows_of(result: BatchResult) -> list[dict[str, Any]]:
    """The rows of a finished batch."""
    import pyarrow.parquet as pq

    rows: list[dict[str, Any]] = pq.read_table(result.path / PREDICTIONS).to_pylist()
    return rows


def tables(result: BatchResult) -> dict[str, bytes]:
    """The tables of a finished batch, byte for byte."""
    return {name: (result.path / name).read_bytes() for name in TABLES}


def csv_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Ten pictures in two folders."""
    folder = tmp_path / "pictures"
    (folder / "b").mkdir(parents=True)
    for i in range(10):
        name = f"b/{i}.jpg" if i % 3 == 0 else f"{i}.jpg"
        (folder / name).write_bytes(jpeg(i))
    return folder


@pytest.fixture
def model(small_world: Any) -> str:
    """Folder of the bundle of the small world."""
    return str(small_world.bundle.path)


@pytest.fixture
def score(tmp_path: Path, model: str) -> Score:
    """Score a source into a folder, in this process unless told otherwise."""

    def run(source: Path | str, output: str = "out", **changes: Any) -> BatchResult:
        config = QUICK.model_copy(update=changes)
        return score_batch(str(source), tmp_path / output, model, config)

    return run
