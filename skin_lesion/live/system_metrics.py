"""Use of processor, memory, disk, network and accelerator, sampled while a run is active."""

import logging
import threading
from typing import Any

log = logging.getLogger(__name__)

_STOP_SECONDS = 10.0


class SystemMetrics:
    """MLflow's own monitor, which may fail as it likes without a training noticing.

    MLflow's gives up at the first request that fails; `keep_going` starts another one then. Samples
    of a run count on, also over its phases.

    Args:
        run_id: The run to log to.
        seconds: Between two samples.
        server: Address of MLflow.
    """

    def __init__(self, run_id: str, seconds: float, server: str) -> None:
        self._run_id = run_id
        self._seconds = seconds
        self._server = server
        self._stopped = False
        self._starting = threading.Lock()
        self._monitor: Any = None
        self._thread: threading.Thread | None = None

    def keep_going(self) -> None:
        """Start sampling where none is going on. Asks MLflow, so it may take a while."""
        if not self._starting.acquire(blocking=False):  # another thread is about to
            return
        try:
            self._start()
        finally:
            self._starting.release()

    def _start(self) -> None:
        if self._stopped or _mlflow_samples():
            return
        if self._thread is not None and self._thread.is_alive():
            return
        from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

        before = set(threading.enumerate())
        try:
            monitor: Any = SystemMetricsMonitor(  # type: ignore[no-untyped-call]
                self._run_id,
                sampling_interval=self._seconds,
                resume_logging=True,
                tracking_uri=self._server,
            )
            monitor.start()
        # Sensors fail in as many ways as there are machines.
        except Exception as error:  # noqa: BLE001
            log.warning("use of the machine is not logged: %s", error)
            return
        if self._stopped:  # while MLflow was asked
            monitor.finish()
            return
        self._monitor = monitor
        self._thread = next(
            (
                thread
                for thread in set(threading.enumerate()) - before
                if thread.name == "SystemMetricsMonitor"
            ),
            None,
        )

    def stop(self) -> None:
        """Stop sampling; a monitor that hangs in a request is left to itself after a while."""
        self._stopped = True
        # One that another thread is about to start, and waits for MLflow, stops by itself then.
        if not self._starting.acquire(timeout=_STOP_SECONDS):
            return
        self._starting.release()
        if self._monitor is None:
            return
        stopping = threading.Thread(target=self._monitor.finish, daemon=True)
        stopping.start()
        stopping.join(_STOP_SECONDS)
        if stopping.is_alive():
            log.warning("MLflow's monitor of the machine does not stop; it is left behind")
        self._monitor = self._thread = None


def _mlflow_samples() -> bool:
    """Whether MLflow was told to sample by itself; two would log every figure twice."""
    from mlflow.environment_variables import MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING

    return bool(MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING.get())  # type: ignore[no-untyped-call]
