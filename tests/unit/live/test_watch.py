"""A run is up to date while a phase trains, and complete when it is over, whatever MLflow does."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import mlflow
import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST, TEMPORARILY_UNAVAILABLE

from skin_lesion import tracking
from skin_lesion.live import watch, watched_training
from skin_lesion.live.outbox import UndeliveredError
from skin_lesion.modeling.devices import DeviceFacts
from skin_lesion.modeling.history import EpochRecord
from skin_lesion.settings import WatchConfig

QUICK = WatchConfig(
    system_metrics=False,
    curves_seconds=0.0,
    curves_share=1.0,
    retry_seconds=0.01,
    retry_limit_seconds=0.05,
    patience_seconds=20.0,
    patience_failed_seconds=0.2,
)


def record(epoch: int, seconds: float = 0.0) -> EpochRecord:
    return EpochRecord(
        epoch=epoch,
        learning_rate=0.1,
        seconds=seconds,
        images_per_second=5.0,
        metrics={
            "loss": 1 / (epoch + 1), "accuracy": 0.3 + epoch / 50,
            "val_loss": 1.1 / (epoch + 1), "val_accuracy": 0.25 + epoch / 50,
            "val_balanced_accuracy": 0.2 + epoch / 50, "val_macro_f1": 0.1 + epoch / 50,
        },
    )  # fmt: skip


def steps(client: mlflow.MlflowClient, run_id: str, metric: str = "loss") -> list[int]:
    return [point.step for point in client.get_metric_history(run_id, metric)]


def curves(client: mlflow.MlflowClient, run_id: str) -> list[str]:
    return [item.path for item in client.list_artifacts(run_id, "curves")]


def wait_for(true: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not true():
        assert time.monotonic() < until, "waited for 20 s"
        time.sleep(0.02)


def train(config: WatchConfig, epochs: int, *, fail: bool = False) -> None:
    with watched_training("warmup", config) as on_epoch:
        for epoch in range(epochs):
            on_epoch(record(epoch))
        if fail:
            raise ZeroDivisionError


def test_epochs_and_curves_are_in_the_run_while_training_goes_on(
    client: mlflow.MlflowClient, run_id: str
) -> None:
    with watched_training("warmup", QUICK) as on_epoch:
        for epoch in range(3):
            on_epoch(record(epoch))
            wait_for(lambda done=epoch: steps(client, run_id) == list(range(done + 1)))
        wait_for(lambda: curves(client, run_id) == ["curves/warmup_curves.png"])
    assert steps(client, run_id, "val_macro_f1") == [0, 1, 2]
    assert client.get_metric_history(run_id, "memory/host_peak_gib")[-1].value > 0.01


def test_curves_are_drawn_anew_as_epochs_come(client: mlflow.MlflowClient, run_id: str) -> None:
    folder = Path(client.get_run(run_id).info.artifact_uri.removeprefix("file://")) / "curves"
    seen: set[bytes] = set()
    with watched_training("finetune", QUICK) as on_epoch:
        for epoch in range(50):
            on_epoch(record(epoch))
            time.sleep(0.1)
            seen |= {path.read_bytes() for path in folder.glob("finetune_curves.png")}
            if len(seen) > 1:
                break
    assert len(seen) > 1


def test_drawing_takes_no_more_than_its_share_of_the_time(
    client: mlflow.MlflowClient, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[int] = []
    monkeypatch.setattr(
        tracking, "log_curves_so_far", lambda *given: drawn.append(len(given[2].records))
    )
    with watched_training("warmup", QUICK.model_copy(update={"curves_seconds": 3600})) as on_epoch:
        for epoch in range(5):
            on_epoch(record(epoch))
            wait_for(lambda done=epoch: done in steps(client, run_id))
    assert len(drawn) == 1


def test_a_server_that_is_away_for_a_moment_costs_nothing(
    client: mlflow.MlflowClient, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, away = mlflow.MlflowClient.log_batch, threading.Event()
    tried = threading.Event()

    def flaky(*args: object, **kwargs: object) -> object:
        if away.is_set():
            tried.set()
            raise MlflowException("no route to host", error_code=TEMPORARILY_UNAVAILABLE)
        return real(*args, **kwargs)

    monkeypatch.setattr(mlflow.MlflowClient, "log_batch", flaky)
    with watched_training("warmup", QUICK) as on_epoch:
        on_epoch(record(0))
        wait_for(lambda: steps(client, run_id) == [0])
        away.set()
        for epoch in range(1, 6):
            on_epoch(record(epoch))
        assert tried.wait(20)
        away.clear()
        on_epoch(record(6))
    assert steps(client, run_id) == list(range(7))


FACTS = DeviceFacts(
    backend="tensorflow", platform="gpu", name="H100", count=2, processes=1,
    precision="mixed_bfloat16", xla=False,
)  # fmt: skip


def test_what_a_phase_is_trained_on_is_in_its_run_before_an_epoch_is(
    client: mlflow.MlflowClient, run_id: str
) -> None:
    with watched_training("finetune", QUICK) as watched:
        watched.on_devices(FACTS)
        wait_for(lambda: "finetune.device.xla" in client.get_run(run_id).data.tags)
        assert curves(client, run_id) == []
        # Resumed on another machine.
        watched.on_devices(FACTS.model_copy(update={"name": "A100", "count": 1}))
        watched(record(0))
    tags = client.get_run(run_id).data.tags
    assert tags["finetune.device.name"] == "A100"
    assert tags["finetune.device.count"] == "1"
    assert tags["finetune.device.precision"] == "mixed_bfloat16"
    assert steps(client, run_id) == [0]


def test_a_server_that_is_away_when_the_devices_are_told_costs_neither_them_nor_epochs(
    client: mlflow.MlflowClient, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, failures = mlflow.MlflowClient.log_batch, []

    def flaky(*args: object, **kwargs: object) -> object:
        if len(failures) < 3:
            failures.append(args)
            raise ConnectionError("no route to host")
        return real(*args, **kwargs)

    monkeypatch.setattr(mlflow.MlflowClient, "log_batch", flaky)
    with watched_training("warmup", QUICK) as watched:
        watched.on_devices(FACTS)
        for epoch in range(3):
            watched(record(epoch))
    assert len(failures) == 3
    assert client.get_run(run_id).data.tags["warmup.device.name"] == "H100"
    assert steps(client, run_id) == [0, 1, 2]


def test_an_answer_that_was_lost_logs_nothing_twice(
    client: mlflow.MlflowClient, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, lost = mlflow.MlflowClient.log_batch, []

    def logs_but_fails(*args: object, **kwargs: object) -> object:
        answer = real(*args, **kwargs)
        if len(lost) < 2:
            lost.append(answer)
            raise ConnectionResetError("connection reset by peer")
        return answer

    monkeypatch.setattr(mlflow.MlflowClient, "log_batch", logs_but_fails)
    with watched_training("warmup", QUICK) as on_epoch:
        on_epoch(record(0))
        on_epoch(record(1))
    assert len(lost) == 2
    assert steps(client, run_id) == [0, 1]


def test_a_server_that_stays_away_is_told_at_the_end_with_what_to_do(
    client: mlflow.MlflowClient, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise ConnectionError("no route to host")

    monkeypatch.setattr(mlflow.MlflowClient, "log_batch", away)
    wanted = r"(?s)warmup is trained.*2 of.*no route.*same command"
    with pytest.raises(UndeliveredError, match=wanted):
        train(QUICK.model_copy(update={"patience_seconds": 0.3}), 2)


def test_a_run_that_was_deleted_meanwhile_does_not_stop_the_training(
    client: mlflow.MlflowClient, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object, **__: object) -> None:
        raise MlflowException("run not found", error_code=RESOURCE_DOES_NOT_EXIST)

    monkeypatch.setattr(mlflow.MlflowClient, "log_batch", gone)
    trained = []

    def three_epochs() -> None:
        with watched_training("warmup", QUICK) as on_epoch:
            for epoch in range(3):
                on_epoch(record(epoch))
                trained.append(epoch)

    with pytest.raises(UndeliveredError, match="run not found"):
        three_epochs()
    assert trained == [0, 1, 2]


def test_why_training_failed_is_not_hidden_by_a_server_that_is_away(
    client: mlflow.MlflowClient,
    run_id: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def away(*_: object, **__: object) -> None:
        raise ConnectionError("no route to host")

    monkeypatch.setattr(mlflow.MlflowClient, "log_batch", away)
    with pytest.raises(ZeroDivisionError):
        train(QUICK, 1, fail=True)
    assert "no route to host" in caplog.text


def test_what_was_trained_before_a_failure_is_logged(
    client: mlflow.MlflowClient, run_id: str
) -> None:
    config = QUICK.model_copy(update={"patience_failed_seconds": 20.0})
    with pytest.raises(ZeroDivisionError):
        train(config, 1, fail=True)
    assert steps(client, run_id) == [0]


def test_a_training_that_is_resumed_in_a_run_logs_only_what_is_missing(
    client: mlflow.MlflowClient, run_id: str
) -> None:
    for epochs in (2, 4):
        train(QUICK, epochs)
    assert steps(client, run_id) == [0, 1, 2, 3]


def test_memory_is_logged_only_for_epochs_that_this_process_trained(
    client: mlflow.MlflowClient, run_id: str
) -> None:
    with watched_training("warmup", QUICK) as on_epoch:
        for epoch in range(3):
            on_epoch(record(epoch, seconds=3600.0))  # from a checkpoint: reported at once
        on_epoch(record(3))
    assert steps(client, run_id) == [0, 1, 2, 3]
    assert steps(client, run_id, "memory/host_gib") == [3]


def test_drivers_and_pictures_that_fail_cost_no_epoch(
    client: mlflow.MlflowClient,
    run_id: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("driver crashed")

    monkeypatch.setattr(watch, "accelerator_memory", broken)
    monkeypatch.setattr(tracking, "log_curves_so_far", broken)
    with watched_training("warmup", QUICK) as on_epoch:
        on_epoch(record(0))
    assert steps(client, run_id) == [0]
    assert "memory is not logged" in caplog.text
    assert "curves" in caplog.text


def test_the_machine_is_looked_at_during_the_phase_and_not_after_it_or_after_an_error(
    client: mlflow.MlflowClient, run_id: str
) -> None:
    def monitored() -> bool:
        return any(thread.name == "SystemMetricsMonitor" for thread in threading.enumerate())

    config = QUICK.model_copy(update={"system_metrics": True, "system_seconds": 0.05})
    with watched_training("warmup", config):
        wait_for(lambda: steps(client, run_id, "system/cpu_utilization_percentage") != [])
    assert not monitored()

    def fails_while_it_is_looked_at() -> None:
        with watched_training("finetune", config):
            wait_for(monitored)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails_while_it_is_looked_at()
    assert not monitored()


def test_watching_without_a_run_says_so() -> None:
    with pytest.raises(RuntimeError, match="no MLflow run is active"), watched_training("warmup"):
        pass
