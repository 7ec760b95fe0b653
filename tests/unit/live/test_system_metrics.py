"""Use of the machine is in the run, and whatever becomes of that, training goes on."""

import threading
import time
from collections.abc import Callable

import mlflow
import pytest
from mlflow.system_metrics import system_metrics_monitor

from skin_lesion import tracking
from skin_lesion.live.system_metrics import SystemMetrics


def wait_for(true: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not true():
        assert time.monotonic() < until, "waited for 20 s"
        time.sleep(0.02)


def monitors() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name == "SystemMetricsMonitor"]


def samples(client: mlflow.MlflowClient, run_id: str) -> list[int]:
    history = client.get_metric_history(run_id, "system/cpu_utilization_percentage")
    return [metric.step for metric in history]


def watching(client: mlflow.MlflowClient, run_id: str) -> SystemMetrics:
    return SystemMetrics(run_id, 0.05, client.tracking_uri)


def test_samples_count_on_from_phase_to_phase_and_stop_with_it(
    client: mlflow.MlflowClient, run_id: str
) -> None:
    for phase in (1, 2):
        system = watching(client, run_id)
        system.keep_going()
        system.keep_going()  # goes on, and starts no second one
        assert len(monitors()) == 1
        wait_for(lambda least=2 * phase: len(samples(client, run_id)) >= least)
        system.stop()
        assert not monitors()
    steps = samples(client, run_id)
    assert steps == list(range(len(steps)))


def test_a_monitor_that_gave_up_is_followed_by_another(
    client: mlflow.MlflowClient, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = watching(client, run_id)
    with monkeypatch.context() as patch:

        def away(*_: object) -> None:
            raise ConnectionError("refused")

        patch.setattr(mlflow.MlflowClient, "get_run", away)
        monitor = system_metrics_monitor.SystemMetricsMonitor
        patch.setattr(monitor, "_get_next_logging_step", lambda *_: 0)
        system.keep_going()
        wait_for(lambda: not monitors())
    system.keep_going()
    wait_for(lambda: samples(client, run_id) != [])
    system.stop()


def test_a_machine_without_sensors_trains_all_the_same(
    client: mlflow.MlflowClient,
    run_id: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise PermissionError("/proc/stat")

    monkeypatch.setattr(system_metrics_monitor, "SystemMetricsMonitor", broken)
    system = watching(client, run_id)
    system.keep_going()
    system.stop()
    assert "/proc/stat" in caplog.text


def test_nothing_is_sampled_twice_where_mlflow_does_it_by_itself(
    client: mlflow.MlflowClient, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", "true")
    watching(client, run_id).keep_going()
    assert not monitors()


def test_what_was_stopped_does_not_start_again(client: mlflow.MlflowClient, run_id: str) -> None:
    system = watching(client, run_id)
    system.stop()
    system.keep_going()
    assert not monitors()


def test_logging_without_a_run_says_so() -> None:
    with pytest.raises(RuntimeError, match="no MLflow run is active"):
        tracking.require_run()
