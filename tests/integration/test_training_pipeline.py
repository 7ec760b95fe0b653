"""The training pipeline on a small drawn data set: what it leaves behind, and what it re-runs."""

import importlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
import yaml
from PIL import Image
from zenml.client import Client
from zenml.enums import ExecutionStatus

import skin_lesion
from pipelines.results import describe_last_run
from skin_lesion.checkout import code_state
from skin_lesion.labels import LABELS
from skin_lesion.prediction_table import COLUMNS
from steps import _caching

EVERY_STEP = {
    "ingest", "validate", "split", "augment",
    "warmup_train", "finetune_train", "evaluate", "register",
}  # fmt: skip


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the library that may be edited."""
    copy = tmp_path_factory.mktemp("library") / "skin_lesion"
    source = Path(skin_lesion.__file__).parent
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


@pytest.fixture(scope="module")
def first(workplace: Any) -> Any:
    """The first run; it does everything."""
    return workplace.run()


@pytest.fixture(scope="module")
def client(workplace: Any, first: Any) -> mlflow.MlflowClient:
    return mlflow.MlflowClient(f"sqlite:///{workplace.folder / '.work/store/mlflow.db'}")


def mlflow_run(client: mlflow.MlflowClient, run: Any) -> Any:
    experiment = client.get_experiment_by_name("training_pipeline")
    (found,) = client.search_runs([experiment.experiment_id], f"tags.mlflow.runName = '{run.name}'")
    return found


def files(client: mlflow.MlflowClient, run_id: str, folder: str | None = None) -> Iterator[str]:
    for item in client.list_artifacts(run_id, folder):
        if item.is_dir:
            yield from files(client, run_id, item.path)
        else:
            yield item.path


def test_the_first_run_does_everything(first: Any) -> None:
    assert first.executed == EVERY_STEP


def test_every_artifact_can_be_looked_at(first: Any) -> None:
    assert {name for name, version in first.outputs.items() if not version.visualizations} == set()
    assert {name for name, version in first.outputs.items() if not version.content_hash} == set()


def test_the_mlflow_run_holds_configuration_epochs_pictures_and_weights(
    client: mlflow.MlflowClient, first: Any
) -> None:
    run = mlflow_run(client, first)
    assert run.info.status == "FINISHED"
    parameters = run.data.params
    assert parameters["finetune_train.learning_rate"] == "0.001"
    assert parameters["backbone.weights"] == "none"
    assert parameters["split.train"] == "0.7"
    assert parameters["seed"] == "3"
    assert {"source_fingerprint", "weights_fingerprint", "image_size"} <= set(parameters)
    epochs = client.get_metric_history(run.info.run_id, "val_macro_f1")
    assert [metric.step for metric in epochs] == [0, 1, 2]
    assert {"loss", "learning_rate", "test.macro_f1", "temperature"} <= set(run.data.metrics)
    assert "trained_by_run" not in run.data.tags
    tags = run.data.tags
    assert tags == {**tags, **code_state().tags()}
    assert set(files(client, run.info.run_id)) >= {
        "curves/warmup_curves.png",
        "curves/finetune_curves.png",
        "evaluation/confusion_matrix.png",
        "evaluation/roc.png",
        "evaluation/report.json",
        "checkpoints/warmup/model.keras",
        "checkpoints/finetune/model.keras",
    }


def test_the_registered_version_says_what_it_is_and_where_it_comes_from(
    client: mlflow.MlflowClient, first: Any
) -> None:
    version = first.outputs["registered_version"].load()
    assert version.created
    tags = client.get_model_version(version.name, str(version.version)).tags
    evaluation = first.outputs["evaluation"].load().summary
    assert tags["synthetic_only"] == "true"
    assert tags["training_run_id"] == mlflow_run(client, first).info.run_id
    assert tags["split_hash"] == first.outputs["split"].load().split_hash
    assert tags["data_fingerprint"] == first.outputs["manifest"].load().fingerprint
    assert tags["test.macro_f1"] == f"{evaluation.test.macro_f1:.4f}"
    assert first.model_version.run_metadata["mlflow_version"] == version.version
    run_tags = mlflow_run(client, first).data.tags
    assert run_tags["registered_version"] == str(version.version)
    assert run_tags["model_uri"] == version.uri
    assert first.model_version.model.name == version.name


def test_the_registered_model_works_in_a_fresh_process_without_this_checkout(
    workplace: Any, first: Any, tmp_path: Path
) -> None:
    pictures = sorted(workplace.data.rglob("*.jpg"))[:3]
    rows = [path.read_bytes() for path in pictures]
    rows[1:1] = [b"no picture", rows[0][:300]]
    pd.DataFrame({"image": rows}).to_pickle(tmp_path / "rows.pkl")
    program = (
        "import json, sys, mlflow, pandas as pd\n"
        f"model = mlflow.pyfunc.load_model({first.outputs['registered_version'].load().uri!r})\n"
        "answers = model.predict(pd.read_pickle('rows.pkl'))\n"
        "import skin_lesion\n"
        "heavy = sorted({'tensorflow', 'keras', 'zenml'} & set(sys.modules))\n"
        "rows = json.loads(answers.to_json(orient='records'))\n"
        "print(json.dumps([rows, list(answers.columns), heavy, skin_lesion.__file__]))\n"
    )
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    environment["MLFLOW_TRACKING_URI"] = f"sqlite:///{workplace.folder / '.work/store/mlflow.db'}"
    finished = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    answers, columns, heavy, library = json.loads(finished.stdout.splitlines()[-1])
    # The columns of the contract; what was appended since stands behind them.
    contract = [*LABELS, "prediction", "malignant_probability", "status", "reason"]
    assert columns[: len(contract)] == contract
    assert columns == list(COLUMNS)
    statuses = [answer["status"] for answer in answers]
    assert statuses == ["ok", "unreadable", "unreadable", "ok", "ok"]
    for answer in answers:
        if answer["status"] == "ok":
            assert sum(answer[label] for label in LABELS) == pytest.approx(1)
            assert answer["prediction"] in LABELS
        else:
            assert answer["prediction"] is None
            assert answer["reason"]
    assert heavy == []
    assert not library.startswith(str(Path(skin_lesion.__file__).parents[1]))


def test_the_results_name_figures_model_and_what_to_open(first: Any) -> None:
    text = describe_last_run("sqlite:///mlflow.db")
    summary = first.outputs["evaluation"].load().summary
    assert f"{summary.test.macro_f1:.3f}" in text
    assert "no clinical use" in text
    assert f"load_model('{first.outputs['registered_version'].load().uri}')" in text
    assert re.search(r"load_model\('models:/m-[0-9a-f]{32}'\)", text)
    assert "mlflow ui --backend-store-uri sqlite:///mlflow.db" in text
    pages = re.findall(r"file://(\S+)", text)
    assert len(pages) == len(first.outputs)
    assert all(Path(page).is_file() for page in pages)


def test_a_finished_run_is_recorded_with_its_commit_only_where_it_saw_real_images(
    workplace: Any, first: Any, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last check refuses it, so that all the others found it true."""
    monkeypatch.syspath_prepend(str(root / "benchmarks"))
    recording, runs = (importlib.import_module(name) for name in ("recording", "finished_run"))
    state = code_state()
    run = runs.find_run(first.name)
    assert runs.commit_of(run) == (state.commit[:7], state.dirty)
    with pytest.raises(ValueError, match="synthetic images only"):
        recording.record(str(workplace.folder / "config.yaml"), first.name)


def test_what_is_kept_of_a_seed_is_what_the_run_found(
    first: Any, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(root / "benchmarks"))
    seeds = importlib.import_module("seeds")
    kept = seeds.seed_of(seeds.find_run(first.name), 17)
    summary = first.outputs["evaluation"].load().summary
    assert kept.test["macro_f1"] == summary.test.macro_f1
    assert kept.val["ece"] == summary.val.ece
    assert kept.n_lesions == summary.test.n_lesions
    assert kept.split_hash == summary.split_hash
    assert 0 < kept.training_minutes <= kept.minutes
    assert kept.evidence["lesions.macro_f1"].value is not None


def test_a_batch_is_scored_and_held_against_validation(workplace: Any, first: Any) -> None:
    from pipelines.batch_scoring import batch_scoring_pipeline
    from skin_lesion.batch.result import BatchResult

    version = first.outputs["registered_version"].load()
    file, output = workplace.folder / "batch.yaml", workplace.folder / "scored"
    parameters = {
        "source": str(workplace.data),
        "output": str(output),
        "model": str(version.version),
    }
    config = {"min_images": 10, "permutations": 1000}
    file.write_text(
        yaml.safe_dump(
            {
                "parameters": parameters,
                "steps": {
                    "score": {"parameters": {"config": {"engine": "serial"}}},
                    "drift": {"parameters": {"config": config}},
                },
            }
        )
    )
    run = Client().get_pipeline_run(batch_scoring_pipeline.with_options(config_path=str(file))().id)
    assert run.status == ExecutionStatus.COMPLETED
    outputs = {
        name: found[0] for step in run.steps.values() for name, found in step.outputs.items()
    }
    batch: BatchResult = outputs["batch"].load()
    assert len(pd.read_parquet(batch.path / "predictions.parquet")) == 105
    report = outputs["drift"].load()
    assert (report.data, report.n_batch) == (str(workplace.data), 105)
    assert report.bundle_hash == batch.summary.model.bundle_hash == version.bundle_hash
    assert {"prediction", "embedding_distance"} <= {one.name for one in report.features}
    assert report.verdict in {"none", "watch", "drift"}
    assert outputs["drift_page"].visualizations


def test_nothing_temporary_is_left(workplace: Any, first: Any) -> None:
    assert list((workplace.folder / ".work" / "tmp").iterdir()) == []


def test_nothing_changed_re_runs_register_alone(
    workplace: Any, client: mlflow.MlflowClient, first: Any
) -> None:
    second = workplace.run()
    assert second.executed == {"register"}
    version = second.outputs["registered_version"].load()
    assert not version.created
    assert version.version == first.outputs["registered_version"].load().version
    run = mlflow_run(client, second)
    original = mlflow_run(client, first)
    assert run.data.tags["trained_by_run"] == original.info.run_id
    for tag in ("registered_version", "model_uri"):
        assert run.data.tags[tag] == original.data.tags[tag]
    assert run.data.params == original.data.params
    assert {
        name: value
        for name, value in original.data.metrics.items()
        if not name.startswith(("memory/", "system/"))  # of the process that trained
    } == run.data.metrics
    assert {"curves/finetune_curves.png", "evaluation/report.json"} <= set(
        files(client, run.info.run_id)
    )


def test_a_changed_value_re_runs_its_step_and_what_follows(workplace: Any) -> None:
    run = workplace.run(evaluate={"calibration_bins": 5})
    assert run.executed == {"evaluate", "register"}
    version = run.outputs["registered_version"].load()
    assert not version.created
    assert version.tags["test.ece"] == f"{run.outputs['evaluation'].load().summary.test.ece:.4f}"


def test_a_critical_failure_stops_the_run_and_leaves_its_report(workplace: Any) -> None:
    with pytest.raises(RuntimeError, match="validate"):
        workplace.run(validate={"min_images": 10_000})
    report = Client().get_artifact_version("failed_validation")
    assert report.visualizations
    assert not report.load().passed


def test_an_equal_outcome_leaves_what_follows_in_the_cache(workplace: Any) -> None:
    """Ingestion runs again since a file was touched, and comes to the same pixels."""
    next(workplace.data.rglob("*.jpg")).touch()
    assert workplace.run().executed == {"ingest", "register"}


@pytest.mark.parametrize(
    ("edited", "executed"),
    [
        ("data/checks.py", {"validate", "register"}),
        ("explain/gradcam.py", {"evaluate", "register"}),
        ("settings/training.py", {"register"}),
        ("data/synthetic.py", {"ingest", "register"}),
    ],
)
def test_an_edited_library_file_re_runs_the_steps_that_depend_on_it(
    edited: str,
    executed: set[str],
    workplace: Any,
    library: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with (library / edited).open("a") as file:
        file.write("\n# edited\n")
    # The next process, which reads its sources when it begins.
    monkeypatch.setattr(_caching, "_AT_START", _caching._read(library.parent))
    assert workplace.run().executed == executed


def test_a_changed_picture_re_runs_everything(workplace: Any) -> None:
    """Keep this test last: the data set is another one afterwards."""
    path = next(workplace.data.rglob("*.jpg"))
    buffer = io.BytesIO()
    Image.open(path).rotate(180).save(buffer, format="JPEG", quality=95)
    path.write_bytes(buffer.getvalue())
    assert workplace.run().executed == EVERY_STEP
