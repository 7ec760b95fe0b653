"""The pipeline of batch scoring, by the configuration that the README names."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image
from zenml.client import Client
from zenml.enums import ExecutionStatus

from skin_lesion.batch.result import BatchResult
from skin_lesion.evaluation.report import EvaluationReport
from skin_lesion.modeling.bundle import ModelBundle

PICTURES = 12


def jpeg(seed: int) -> bytes:
    random = np.random.default_rng(seed)
    pixels = random.normal(random.uniform(70, 190, 3), 12, (60, 80, 3))
    buffer = io.BytesIO()
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for i in range(PICTURES):
        (folder / f"{i:02}.jpg").write_bytes(jpeg(i) if i != 5 else b"no picture")
    return folder


@pytest.fixture(scope="module")
def evaluated(
    small_world: Any, small_report: EvaluationReport, tmp_path_factory: pytest.TempPathFactory
) -> ModelBundle:
    """A bundle with everything that evaluation adds, as the registry holds it."""
    target = tmp_path_factory.mktemp("evaluated") / "bundle"
    decisions = small_report.summary.decisions
    bundle: ModelBundle = small_world.bundle.with_decisions(
        decisions, small_report.bundle_files, target
    )
    return bundle


@pytest.fixture
def run(
    workplace: Any,
    pictures: Path,
    evaluated: ModelBundle,
    root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[], Any]:
    """Run the shipped configuration with a model in a folder; returns ZenML's record of the run."""
    monkeypatch.setenv("BATCH_SOURCE", str(pictures))
    monkeypatch.setenv("BATCH_OUTPUT", str(tmp_path / "results"))
    config = yaml.safe_load((root / "configs" / "batch.yaml").read_text())
    config["parameters"]["model"] = str(evaluated.path)
    config["steps"] = {"score": {"parameters": {"config": {"engine": "serial", "shard_size": 5}}}}
    file = tmp_path / "batch.yaml"
    file.write_text(yaml.safe_dump(config))

    def start() -> Any:
        from pipelines.batch_scoring import batch_scoring_pipeline

        started = batch_scoring_pipeline.with_options(config_path=str(file))()
        return Client().get_pipeline_run(started.id)

    return start


def test_the_shipped_configuration_scores_every_picture(
    run: Callable[[], Any], evaluated: ModelBundle, tmp_path: Path
) -> None:
    finished = run()
    assert finished.status == ExecutionStatus.COMPLETED
    (artifact,) = finished.steps["score"].outputs["batch"]
    result = artifact.load()
    assert isinstance(result, BatchResult)
    table = pd.read_parquet(result.path / "predictions.parquet")
    assert list(table["row"]) == list(range(PICTURES))
    assert list(table["status"] == "unreadable") == [i == 5 for i in range(PICTURES)]
    assert result == BatchResult.open(tmp_path / "results")
    assert artifact.run_metadata["pictures"] == PICTURES
    assert evaluated.bundle_hash[:12] in artifact.run_metadata["model"]
    assert artifact.visualizations
    assert finished.model_version is None  # scoring makes no version of the model


def test_the_same_command_again_finds_everything_done(run: Callable[[], Any]) -> None:
    first, second = (run().steps["score"] for _ in range(2))
    assert second.status == ExecutionStatus.COMPLETED  # it looked again, and did not trust a cache
    versions = [step.outputs["batch"][0] for step in (first, second)]
    assert versions[0].content_hash == versions[1].content_hash


def test_a_forgotten_variable_is_named(
    run: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BATCH_SOURCE")
    with pytest.raises(KeyError, match="BATCH_SOURCE"):
        run()
