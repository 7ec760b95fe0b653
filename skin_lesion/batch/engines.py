"""Who scores: this process, the cores of this machine, or a Ray cluster; one interface for all.

An engine is given tasks and yields what became of each, in any order. A worker that dies takes the
tasks in flight with it; the engine says so for each of them, and works on with new workers.
"""

import os
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

from skin_lesion.batch.shard import LocalModel, Row, Task, cores, score
from skin_lesion.settings import BatchConfig

_WATCH_SECONDS = 1.0


@dataclass(frozen=True)
class Scored:
    """A task that was worked off.

    Attributes:
        task: The task.
        rows: One for each of its inputs.
    """

    task: Task
    rows: list[Row]


@dataclass(frozen=True)
class Died:
    """A task that was in flight when a worker died; any of those in flight may be to blame.

    Attributes:
        task: The task.
        why: What is known of the death.
    """

    task: Task
    why: str


Outcome = Scored | Died


class Engine(Protocol):
    """Works tasks off; workers are started by the first `run` and let go by `close`.

    Attributes:
        elsewhere: Whether workers may be on other machines.
    """

    elsewhere: bool

    def run(self, tasks: Iterable[Task], *, one_at_a_time: bool = False) -> Iterator[Outcome]:
        """Yield one outcome for each task.

        Args:
            tasks: Taken one by one, as workers become free.
            one_at_a_time: Whether only one may be in flight, so that a death has one cause.

        Raises:
            SourceError: The source as a whole changed or is gone.
            OSError: It cannot be reached.
            RuntimeError: There are no workers to be had.
        """

    def close(self) -> None:
        """Let the workers go; harmless where none was ever started."""


def make_engine(model: LocalModel, config: BatchConfig) -> Engine:
    """The engine that the configuration names."""
    if config.engine == "serial":
        return SerialEngine(model, config)
    if config.engine == "processes":
        return ProcessEngine(model, config)
    from skin_lesion.batch.ray_engine import RayEngine

    return RayEngine(model, config)


class SerialEngine:
    """Works in this process, on all its cores where `threads` says nothing else."""

    elsewhere = False

    def __init__(self, model: LocalModel, config: BatchConfig) -> None:
        self._model = model
        self._config = config.model_copy(update={"threads": config.threads or cores()})

    def close(self) -> None:
        """Let nobody go: there are no workers."""

    def run(self, tasks: Iterable[Task], *, one_at_a_time: bool = False) -> Iterator[Outcome]:
        """Yield one outcome for each task, in order."""
        for task in tasks:
            yield Scored(task, score(task, self._model, self._config))


class ProcessEngine:
    """Works in processes of this machine, each with a model of its own.

    They are started afresh rather than forked, since the runtime holds threads, and never import the
    caller's main module, since that may be a whole command line.
    """

    elsewhere = False

    def __init__(self, model: LocalModel, config: BatchConfig) -> None:
        self._workers = config.workers or cores()
        threads = config.threads or max(1, cores() // self._workers)
        self._model = model
        self._config = config.model_copy(update={"threads": threads})
        self._pool: Any = None

    def close(self) -> None:
        """Let the workers go."""
        self._stop()

    def run(self, tasks: Iterable[Task], *, one_at_a_time: bool = False) -> Iterator[Outcome]:
        """Yield one outcome for each task, as they come."""
        # Twice as many as there are workers, so that none waits for the next task.
        limit = 1 if one_at_a_time else 2 * self._workers
        ahead = iter(tasks)
        flying: dict[Future[list[Row]], Task] = {}
        while True:
            for task in islice(ahead, limit - len(flying)):
                flying[self._submit(task)] = task
            if not flying:
                return
            broken = False
            for future in wait(flying, return_when=FIRST_COMPLETED).done:
                task = flying.pop(future)
                try:
                    rows = future.result()
                except BrokenExecutor as error:
                    broken = True
                    yield Died(task, _first_line(error))
                else:
                    yield Scored(task, rows)
            if broken:
                # A pool that lost a process fails everything that it was given.
                for task in flying.values():
                    yield Died(task, "another process of the pool died")
                flying.clear()
                self._stop()

    def _submit(self, task: Task) -> "Future[list[Row]]":
        for _ in range(2):
            if self._pool is None:
                self._pool = self._start()
            try:
                future: Future[list[Row]] = self._pool.submit(
                    score, task, self._model, self._config
                )
            except BrokenExecutor:  # a process died while nothing was in flight
                self._stop()
            else:
                return future
        raise RuntimeError("worker processes die as soon as they are started; is memory short?")

    def _start(self) -> Any:
        from joblib.externals import loky

        # The arithmetic around the network has its own threads, which are to keep to their share.
        variables = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        return loky.ProcessPoolExecutor(
            max_workers=self._workers,
            env=dict.fromkeys(variables, str(self._config.threads)),
            initializer=_die_with,
            initargs=(os.getpid(),),
        )

    def _stop(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, kill_workers=True)
            self._pool = None


def _die_with(parent: int) -> None:
    """Have this process end soon after its parent: one that was killed cannot tell its workers."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_WATCH_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, name="batch-parent", daemon=True).start()


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
