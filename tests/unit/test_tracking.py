"""What ends up in an MLflow run."""

import json
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest

from skin_lesion import tracking, tracking_evaluation
from skin_lesion.checkout import CodeState
from skin_lesion.evaluation.report import EvaluationReport
from skin_lesion.modeling.history import EpochRecord, History
from tests.mlflow_place import mlflow_at


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[mlflow.MlflowClient]:
    folder = tmp_path_factory.mktemp("mlflow")
    with mlflow_at(folder):
        with tracking.continued_run("tests", "first", {}, folder / "files"):
            pass
        yield mlflow.MlflowClient()


@pytest.fixture
def run_id(client: mlflow.MlflowClient, request: pytest.FixtureRequest) -> Iterator[str]:
    """A run that is active during the test."""
    with tracking.continued_run("tests", request.node.name, {"zenml": "1"}, None) as found:
        yield found


def history(phase: str, epochs: range, run_id: str | None) -> History:
    records = tuple(
        EpochRecord(
            epoch=epoch,
            learning_rate=0.1 / (epoch + 1),
            seconds=1.0,
            images_per_second=5.0,
            metrics={"loss": 1.0 / (epoch + 1), "val_macro_f1": 0.1 * epoch},
        )
        for epoch in epochs
    )
    return History(
        phase=phase, description=f"{phase} in words", records=records, best_epoch=epochs[-1],
        trainable_parameters=1, mlflow_run_id=run_id,
    )  # fmt: skip


def files(client: mlflow.MlflowClient, run_id: str, folder: str) -> set[str]:
    return {item.path for item in client.list_artifacts(run_id, folder)}


def test_a_run_of_the_same_name_is_continued(client: mlflow.MlflowClient) -> None:
    with tracking.continued_run("tests", "twice", {"zenml": "1"}, None) as first:
        assert tracking.active_run_id() == first
    with tracking.continued_run("tests", "twice", {}, None) as second:
        assert second == first
    assert tracking.active_run_id() is None
    assert client.get_run(first).info.status == "FINISHED"
    assert client.get_run(first).data.tags["zenml"] == "1"


@pytest.mark.parametrize("name", ["Ann's run", 'the "best" run', "100 % _ run"])
def test_a_run_may_have_any_name(client: mlflow.MlflowClient, name: str) -> None:
    with tracking.continued_run("tests", name, {}, None) as first:
        pass
    with tracking.continued_run("tests", name, {}, None) as second:
        assert second == first


def test_two_runs_may_make_the_experiment_at_once(
    client: mlflow.MlflowClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    real = mlflow.create_experiment

    def overtaken(name: str, place: str | None) -> None:
        real(name, place)
        real(name, place)

    monkeypatch.setattr(mlflow, "create_experiment", overtaken)
    with tracking.continued_run("made at once", "first", {}, tmp_path) as run_id:
        assert client.get_run(run_id).info.status == "RUNNING"


def test_a_failure_inside_marks_the_run_as_failed(client: mlflow.MlflowClient) -> None:
    with (
        pytest.raises(ZeroDivisionError),
        tracking.continued_run("tests", "broken", {}, None) as run_id,
    ):
        _ = 1 / 0
    assert client.get_run(run_id).info.status == "FAILED"


def test_a_configuration_is_flattened_and_may_be_logged_again(
    client: mlflow.MlflowClient, run_id: str
) -> None:
    configuration = {
        "seed": 1,
        "split": {"train": 0.7, "none": None},
        "many": {f"key_{i}": i for i in range(250)},
        "long": "x" * 10_000,
    }
    tracking.log_configuration(configuration)
    tracking.log_configuration(configuration)
    parameters = client.get_run(run_id).data.params
    assert parameters["split.train"] == "0.7"
    assert parameters["split.none"] == "None"
    assert parameters["many.key_249"] == "249"
    assert len(parameters["long"]) == 6000


def test_a_run_keeps_the_commit_it_started_with(
    client: mlflow.MlflowClient, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for commit in ("a" * 40, "b" * 40):
        state = CodeState(commit, dirty=True)
        monkeypatch.setattr(tracking, "code_state", lambda state=state: state)
        tracking.log_configuration({"seed": 1})
    tags = client.get_run(run_id).data.tags
    assert (tags["git_commit"], tags["git_dirty"]) == ("a" * 40, "true")


def test_both_phases_lie_on_one_axis(client: mlflow.MlflowClient, run_id: str) -> None:
    for phase in (history("warmup", range(2), run_id), history("finetune", range(2, 5), run_id)):
        for record in phase.records:
            tracking.log_epochs([record])
    losses = client.get_metric_history(run_id, "loss")
    assert [(m.step, m.value) for m in losses] == [(i, 1.0 / (i + 1)) for i in range(5)]
    assert len(client.get_metric_history(run_id, "learning_rate")) == 5


def test_more_metrics_than_fit_a_request_are_all_logged(
    client: mlflow.MlflowClient, run_id: str
) -> None:
    tracking.log_epochs(history("finetune", range(400), run_id).records)
    assert len(client.get_metric_history(run_id, "loss")) == 400


def test_a_phase_leaves_curves_weights_and_what_it_was(
    client: mlflow.MlflowClient, run_id: str, tmp_path: Path
) -> None:
    model = tmp_path / "model.keras"
    model.write_bytes(b"weights")
    tracking.log_phase(history("warmup", range(3), run_id), model)
    assert files(client, run_id, "curves") == {"curves/warmup_curves.png"}
    assert files(client, run_id, "checkpoints/warmup") == {"checkpoints/warmup/model.keras"}
    assert client.get_run(run_id).data.tags["warmup_description"] == "warmup in words"


def test_a_run_from_the_cache_names_the_run_that_trained_it(
    client: mlflow.MlflowClient, tmp_path: Path
) -> None:
    model = tmp_path / "model.keras"
    model.write_bytes(b"weights")
    with tracking.continued_run("tests", "training", {}, None) as trained:
        phases = [history("warmup", range(2), trained), history("finetune", range(2, 4), trained)]
        for phase in phases:
            tracking.log_phase(phase, model)
        tracking.adopt_phases(phases)
    with tracking.continued_run("tests", "cached", {}, None) as cached:
        tracking.adopt_phases(phases)
    assert "trained_by_run" not in client.get_run(trained).data.tags
    tags = client.get_run(cached).data.tags
    assert tags["trained_by_run"] == trained
    assert tags["warmup_trained_by_run"] == trained
    assert [m.step for m in client.get_metric_history(cached, "loss")] == [0, 1, 2, 3]
    assert files(client, cached, "curves") == {
        "curves/warmup_curves.png",
        "curves/finetune_curves.png",
    }


def test_a_run_whose_first_phase_alone_is_cached_trained_its_model_itself(
    client: mlflow.MlflowClient, run_id: str
) -> None:
    tracking.adopt_phases(
        [history("warmup", range(2), "another"), history("finetune", range(2, 3), run_id)]
    )
    tags = client.get_run(run_id).data.tags
    assert tags["warmup_trained_by_run"] == "another"
    assert "trained_by_run" not in tags


def test_curves_are_drawn_again_where_the_training_run_was_deleted(
    client: mlflow.MlflowClient, run_id: str
) -> None:
    tracking.adopt_phases([history("finetune", range(3), "0" * 32)])
    assert files(client, run_id, "curves") == {"curves/finetune_curves.png"}


def test_phases_trained_outside_a_run_are_adopted_too(
    client: mlflow.MlflowClient, run_id: str
) -> None:
    tracking.adopt_phases([history("finetune", range(3), None)])
    assert client.get_run(run_id).data.tags["trained_by_run"] == "none"
    assert files(client, run_id, "curves") == {"curves/finetune_curves.png"}


def test_an_evaluation_is_logged_in_numbers_pictures_and_as_a_report(
    client: mlflow.MlflowClient, run_id: str, small_report: EvaluationReport
) -> None:
    report = small_report
    tracking_evaluation.log_evaluation(report)
    metrics = client.get_run(run_id).data.metrics
    assert metrics["test.macro_f1"] == report.summary.test.macro_f1
    assert metrics["test.per_class.mel.recall"] == report.summary.test.per_class["mel"].recall
    assert metrics["temperature"] == report.summary.decisions.calibrator.temperature
    assert files(client, run_id, "evaluation") >= {
        "evaluation/report.json",
        "evaluation/report.html",
        "evaluation/report.schema.json",
        "evaluation/predictions.parquet",
        "evaluation/confusion_matrix.png",
        "evaluation/roc.png",
    }
    text = mlflow.artifacts.load_text(f"runs:/{run_id}/evaluation/report.json")
    assert json.loads(text)["test"]["accuracy"] == report.summary.test.accuracy


def test_logging_without_a_run_says_so() -> None:
    with pytest.raises(RuntimeError, match="no MLflow run is active"):
        tracking.log_epochs(history("warmup", range(1), None).records)
