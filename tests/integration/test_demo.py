"""The demo as it is shipped: drawn lesions are learnt, and the model ends up in the registry."""

from pathlib import Path
from typing import Any

import mlflow
import pytest

from skin_lesion.labels import LABELS
from skin_lesion.registry import MODEL_NAME

pytestmark = pytest.mark.slow


def test_the_demo_learns_every_class_and_registers_its_model(workplace: Any, root: Path) -> None:
    run = workplace.run_file(root / "configs" / "demo.yaml")
    report = run.outputs["evaluation"].load()
    assert report.summary.test.macro_f1 >= 0.90
    test = report.predictions.query("split == 'test'")
    lesions = test.groupby("dx")["lesion_id"].nunique()
    assert set(lesions.index) == set(LABELS)
    assert lesions.min() >= 15, lesions.to_dict()
    version = run.outputs["registered_version"].load()
    assert version.name == MODEL_NAME
    client = mlflow.MlflowClient(f"sqlite:///{workplace.folder / '.work/store/mlflow.db'}")
    kept = client.get_model_version(MODEL_NAME, str(version.version))
    assert (kept.status, kept.tags["bundle_hash"]) == ("READY", version.bundle_hash)
