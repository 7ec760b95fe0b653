"""Scoring on a Ray cluster: a task for each shard, the model sent once to each machine.

Every machine of the cluster needs this project installed at the same version. Pictures on a local
disk have to be seen by all of them under the same path; objects of S3 are.
"""

import logging
import os
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import skin_lesion
from skin_lesion.batch.engines import Died, Outcome, Scored
from skin_lesion.batch.shard import LocalModel, PackedModel, Row, Task, score
from skin_lesion.settings import BatchConfig

# Rows are small; the model lies there once.
_OBJECT_STORE_BYTES = 100 * 2**20


class RayEngine:
    """Works in tasks of a Ray cluster."""

    elsewhere = True

    def __init__(self, model: LocalModel, config: BatchConfig) -> None:
        self._model = model
        self._config = config.model_copy(update={"threads": config.threads or 1})
        self._ours = False
        self._workers = 0

    def run(self, tasks: Iterable[Task], *, one_at_a_time: bool = False) -> Iterator[Outcome]:
        """Yield one outcome for each task, as they come."""
        # Read when Ray is imported: it is not to report to anybody that it is used.
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        import ray
        from ray import exceptions

        if not self._workers:
            self._workers = self._start()
        # Some more than there are workers, so that none waits, unless fewer were asked for.
        capped = self._config.workers > 0
        limit = 1 if one_at_a_time else self._workers * (1 if capped else 2)
        ahead = iter(tasks)
        flying: dict[Any, Task] = {}
        while True:
            for task in islice(ahead, limit - len(flying)):
                flying[self._score.remote(task, self._packed, self._config, _VERSION)] = task
            if not flying:
                return
            for finished in ray.wait(list(flying), num_returns=1)[0]:
                task = flying.pop(finished)
                try:
                    rows: list[Row] = ray.get(finished)
                except exceptions.RayTaskError as error:
                    cause: Exception = error.as_instanceof_cause()  # type: ignore[no-untyped-call]
                    raise cause from None
                except (
                    exceptions.WorkerCrashedError,
                    exceptions.NodeDiedError,
                    exceptions.OutOfMemoryError,
                    exceptions.ObjectLostError,
                ) as error:
                    yield Died(task, (str(error) or type(error).__name__).splitlines()[0])
                else:
                    yield Scored(task, rows)

    def close(self) -> None:
        """Leave the cluster, or end the one that was started here."""
        self._workers = 0
        if self._ours:
            import ray

            ray.shutdown()
            self._ours = False

    def _start(self) -> int:
        """Send the model to the cluster; returns how many tasks it may work on at a time."""
        import ray

        packed = self._model.pack()
        if not ray.is_initialized():
            self._join(sum(len(data) for data in packed.files.values()))
        threads = self._config.threads
        resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        slots = int(resources.get("CPU", 0) // threads)
        if slots == 0:
            raise RuntimeError(
                f"no machine of the Ray cluster offers {threads} CPUs; lower `threads` of the batch"
            )
        self._packed = ray.put(packed)
        # What dies is counted and tried again by whoever asked, the same on every engine.
        self._score: Any = ray.remote(
            num_cpus=threads, max_retries=0, scheduling_strategy="SPREAD"
        )(_score)
        return min(self._config.workers or slots, slots)

    def _join(self, model_bytes: int) -> None:
        import ray

        if self._config.address is None:
            ray.init(
                address="local",  # never a cluster that happens to run here
                _node_ip_address="127.0.0.1",  # nobody else's business
                include_dashboard=False,
                object_store_memory=_OBJECT_STORE_BYTES + 2 * model_bytes,
                log_to_driver=False,
                logging_level=logging.WARNING,
            )
        else:
            try:
                ray.init(
                    address=self._config.address,
                    log_to_driver=False,
                    logging_level=logging.WARNING,
                )
            except ConnectionError as error:
                raise RuntimeError(
                    f"no Ray cluster answers at {self._config.address!r}: {error}"
                ) from error
        self._ours = True


_VERSION = skin_lesion.__version__


def _score(task: Task, model: PackedModel, config: BatchConfig, version: str) -> list[Row]:
    """What a worker of the cluster does."""
    if version != _VERSION:
        raise RuntimeError(
            f"a machine of the Ray cluster has version {_VERSION} of this project, and the batch was "
            f"started with {version}; install the same everywhere"
        )
    return score(task, model, config)
