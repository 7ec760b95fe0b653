"""Pictures of training and validation at every size that a row of `ablation.yaml` wants."""

import json
import os
import tempfile
from pathlib import Path

import pandas as pd
from ablation_plan import Plan, Size

from skin_lesion.data.duplicates import find_duplicates
from skin_lesion.data.ingest import IngestResult, ingest
from skin_lesion.data.split_table import LeakReport, SplitTable
from skin_lesion.data.splits import assign_splits
from skin_lesion.settings import IngestConfig
from skin_lesion.tuning.data import LearningData, kept_learning_data, learning_data

_SPLIT = "split.json"


def data_at(plan: Plan, size: Size, folder: Path) -> LearningData:
    """Training and validation at a size, without a picture of the test split.

    The split is the one that the configuration cuts at its own size, whatever the size here, so that
    all rows learn from the same lesions and are judged by the same.

    Args:
        plan: The rows.
        size: Height and width of the pictures, in pixels.
        folder: Keeps the split and the pictures for the rows to come.

    Raises:
        ValueError: Other pictures can be used at this size than at the configuration's own.
        LookupError: The folder holds pictures of another split.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        table = _kept_split(folder / _SPLIT) or _cut(plan, folder / _SPLIT, Path(scratch) / "whole")
        own = folder / f"{size[0]}x{size[1]}"
        if not own.exists():
            found = _ingested(plan, size, Path(scratch) / "sized")
            ids = table.rows["image_id"]
            if list(found.manifest.images["image_id"]) != list(ids):
                raise ValueError(f"at {size[0]}x{size[1]} other pictures can be used than at first")
            learning_data(found.images, table, Path(scratch) / "part")
            os.replace(Path(scratch) / "part", own)
    return kept_learning_data(table, own)


def _kept_split(path: Path) -> SplitTable | None:
    if not path.exists():
        return None
    kept = json.loads(path.read_text(encoding="utf-8"))
    return SplitTable(pd.DataFrame(kept["rows"]), LeakReport.model_validate(kept["leaks"]))


def _cut(plan: Plan, path: Path, scratch: Path) -> SplitTable:
    found = _ingested(plan, plan.full_size, scratch)
    duplicates = find_duplicates(found.manifest, found.images, plan.split)
    table = assign_splits(
        found.manifest, found.images, plan.split, plan.seed, duplicates=duplicates
    )
    partial = path.with_suffix(".partial")
    rows = table.rows.to_dict(orient="list")
    partial.write_text(json.dumps({"rows": rows, "leaks": table.leak_report.model_dump()}))
    os.replace(partial, path)
    return table


def _ingested(plan: Plan, size: Size, folder: Path) -> IngestResult:
    return ingest(plan.source, size, IngestConfig(), plan.seed, folder)
