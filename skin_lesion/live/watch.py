"""Keeps the MLflow run of a phase up to date while it trains: epochs, curves, use of the machine.

All of it happens in threads beside the training. Where MLflow cannot be reached, epochs are kept and
logged once it is back.
"""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from skin_lesion import tracking
from skin_lesion.live.outbox import Outbox, UndeliveredError
from skin_lesion.live.system_metrics import SystemMetrics
from skin_lesion.memory import accelerator_memory, host_memory
from skin_lesion.modeling.devices import DeviceFacts
from skin_lesion.modeling.history import EpochRecord, History
from skin_lesion.settings import Phase, WatchConfig

log = logging.getLogger(__name__)

MEMORY = "memory"
# What MLflow answers where asking again is of no use, such as for a run that was deleted.
_FINAL = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "PERMISSION_DENIED")


@dataclass(frozen=True)
class _Noted:
    """An epoch as it is to be logged.

    Attributes:
        record: The epoch.
        time: When it was reported, in milliseconds; one that is sent twice is the same point then.
        memory: Use of memory in GiB by name; empty for an epoch that another process trained.
    """

    record: EpochRecord
    time: int
    memory: dict[str, float]


_Box = Outbox[_Noted | DeviceFacts]


class Watch:
    """What a phase reports to.

    Notes of epochs are made in the thread that trains, since memory is to be read there and then.

    Args:
        outbox: Sends them on.
    """

    def __init__(self, outbox: _Box) -> None:
        self._outbox = outbox
        self._last = time.monotonic()

    def __call__(self, record: EpochRecord) -> None:
        """Have an epoch logged."""
        now = time.monotonic()
        # What took longer than the time since the last report was trained before this one started.
        trained_here = record.seconds <= now - self._last
        self._last = now
        noted = _Noted(record, int(time.time() * 1000), _memory() if trained_here else {})
        self._outbox.put(noted)

    def on_devices(self, facts: DeviceFacts) -> None:
        """Have it noted as tags what the phase is trained on; a later call outweighs this one."""
        self._outbox.put(facts)


@contextmanager
def watched_training(phase: Phase, config: WatchConfig | None = None) -> "Iterator[Watch]":
    """Log a phase to the active MLflow run while it trains.

    Args:
        phase: Which one.
        config: How often, and how patiently; None takes the defaults.

    Yields:
        To be called with every epoch, and to be told the devices; it neither waits nor fails. Epochs
        that this run already has are not logged again.

    Raises:
        RuntimeError: No run is active.
        UndeliveredError: Training went well, but something of it could not be logged.
    """
    config = config or WatchConfig()
    run_id = tracking.require_run()
    sender = _Sender(run_id, phase, config)
    sender.start()
    outbox: _Box = Outbox(
        sender.deliver,
        _may_pass,
        f"reports of {phase} for MLflow",
        config.retry_seconds,
        config.retry_limit_seconds,
    )
    try:
        try:
            yield Watch(outbox)
        except BaseException:
            _close_after_failure(outbox, config.patience_failed_seconds)
            raise
        try:
            outbox.close(config.patience_seconds)
        except UndeliveredError as error:
            raise UndeliveredError(
                f"{phase} is trained, but run {run_id} at {tracking.address()} is not complete: "
                f"{error}. Nothing of the training is lost: it lies in its checkpoints. Once MLflow "
                "is there, run the same command again, with the cache left on: it goes on from there"
            ) from error
    finally:
        sender.stop()


def _memory() -> dict[str, float]:
    try:
        return host_memory() | accelerator_memory()
    # Drivers fail in as many ways as there are machines.
    except Exception as error:  # noqa: BLE001
        log.warning("use of memory is not logged: %s", error)
        return {}


class _Sender:
    """What the outbox delivers by, in its thread."""

    def __init__(self, run_id: str, phase: Phase, config: WatchConfig) -> None:
        import mlflow

        self._client = mlflow.MlflowClient()
        self._run_id = run_id
        self._phase: Phase = phase
        self._config = config
        self._system = (
            SystemMetrics(run_id, config.system_seconds, self._client.tracking_uri)
            if config.system_metrics
            else None
        )
        self._logged: set[tuple[int, float]] | None = None
        self._records: dict[int, EpochRecord] = {}
        self._draw_at = 0.0

    def start(self) -> None:
        """Look at the machine from now on."""
        if self._system:
            threading.Thread(target=self._system.keep_going, daemon=True).start()

    def deliver(self, told: list[_Noted | DeviceFacts]) -> None:
        """Log devices and epochs, then look after what is worth no epoch."""
        notes = [one for one in told if isinstance(one, _Noted)]
        for facts in told:
            if isinstance(facts, DeviceFacts):
                self._tag(facts)
        if notes:
            self._log(notes)
        if self._system:
            self._system.keep_going()
        if notes:
            self._records |= {note.record.epoch: note.record for note in notes}
            self._draw_when_due()

    def stop(self) -> None:
        """Look at the machine no more."""
        if self._system:
            self._system.stop()

    def _tag(self, facts: DeviceFacts) -> None:
        from mlflow.entities import RunTag

        tags = [RunTag(name, value) for name, value in facts.tags(self._phase).items()]
        self._client.log_batch(self._run_id, tags=tags)

    def _log(self, notes: list[_Noted]) -> None:
        """Log what the run does not have: a step that is tried again goes on with the same run."""
        if self._logged is None:
            history = self._client.get_metric_history(self._run_id, "loss")
            self._logged = {(metric.step, metric.value) for metric in history}
        fresh = [
            note
            for note in notes
            if (note.record.epoch, note.record.metrics.get("loss")) not in self._logged
        ]
        metrics = [
            metric
            for note in fresh
            for metric in tracking.epoch_metrics(
                note.record, note.time, {f"{MEMORY}/{k}": v for k, v in note.memory.items()}
            )
        ]
        tracking.send_metrics(self._client, self._run_id, metrics)

    def _draw_when_due(self) -> None:
        started = time.monotonic()
        if started < self._draw_at:
            return
        try:
            tracking.log_curves_so_far(self._client, self._run_id, self._so_far())
        # A picture is worth no epoch, and the last one is drawn at the end.
        except Exception as error:  # noqa: BLE001
            log.warning("curves of run %s could not be updated: %s", self._run_id, error)
        ended = time.monotonic()
        pause = max(self._config.curves_seconds, (ended - started) / self._config.curves_share)
        self._draw_at = ended + pause

    def _so_far(self) -> History:
        records = tuple(self._records[epoch] for epoch in sorted(self._records))
        scores = {record.epoch: record.metrics.get("val_macro_f1", 0.0) for record in records}
        return History(
            phase=self._phase,
            description=f"still training, drawn after epoch {records[-1].epoch + 1}",
            records=records,
            best_epoch=max(scores, key=lambda epoch: scores[epoch]),
            trainable_parameters=0,
            mlflow_run_id=self._run_id,
        )


def _may_pass(error: Exception) -> bool:
    """Whether an error is one of reaching MLflow, rather than of what was sent or of this code."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    if isinstance(error, MlflowException):
        return error.error_code not in _FINAL
    return isinstance(error, OSError | SQLAlchemyError)


def _close_after_failure(outbox: _Box, patience: float) -> None:
    try:
        outbox.close(patience)
    except UndeliveredError as error:  # must not hide why training failed
        log.error("%s; they lie in the checkpoints, and the next attempt logs them", error)
