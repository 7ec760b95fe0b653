"""The whole of a batch, from a source to finished tables."""

import logging
import os
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from skin_lesion.batch.assemble import assemble, finished
from skin_lesion.batch.engines import Died, Engine, Scored, make_engine
from skin_lesion.batch.inputs import Input, list_inputs
from skin_lesion.batch.model import choose_model
from skin_lesion.batch.reading import MISSING
from skin_lesion.batch.result import BatchResult
from skin_lesion.batch.shard import CrashedInput, LocalModel, Row, Task, unread_row
from skin_lesion.batch.state import Job, State
from skin_lesion.settings import BatchConfig

log = logging.getLogger(__name__)

Progress = Callable[[int, int], None]


def score_batch(
    source: str,
    output: Path,
    model: str,
    config: BatchConfig,
    on_progress: Progress | None = None,
) -> BatchResult:
    """Score every picture of a source, or go on where an earlier call was stopped.

    Args:
        source: Folder, zip, CSV of paths or `s3://bucket/prefix`.
        output: Folder for the results, new or of the same batch.
        model: Version or alias in the registry, or folder of a bundle.
        config: How it is done.
        on_progress: Called with the pictures done and all pictures, at the start and after each
            shard.

    Returns:
        The finished batch. One that was finished before is given back as it is.

    Raises:
        SourceError: The source cannot be used.
        LookupError: There is no such model.
        ValueError: The output was begun with another model or source, and `on_change` is `refuse`.
        FileExistsError: The output holds something else.
        RuntimeError: Another process works in the output, or workers keep dying.
        OSError: The source cannot be reached, or the output not be written.
    """
    state = State(output.expanduser().absolute())
    state.check()
    listing = list_inputs(source, config)
    with state.locked() as scratch:
        identity, local = choose_model(model, scratch)
        job = state.begin(listing, identity, config)
        done = finished(state, job)
        if done is None:
            # Under the name that the batch was begun with.
            local = LocalModel(local.path, local.bundle_hash, job.model.version)
            _Scoring(state, job, local, config, on_progress or _silent).complete()
            done = assemble(state, job)
    return done


class _Scoring:
    """Works off the shards that are missing."""

    def __init__(
        self, state: State, job: Job, model: LocalModel, config: BatchConfig, on_progress: Progress
    ) -> None:
        self._state = state
        self._job = job
        self._model = model
        self._config = config
        self._on_progress = on_progress
        self._crashes = 0

    def complete(self) -> None:
        """Score until no shard is missing."""
        missing = self._state.missing(self._job)
        self._done = self._job.inputs - self._inputs_of(missing)
        self._on_progress(self._done, self._job.inputs)
        if not missing:
            return
        log.info("%d of %d shards to be scored", len(missing), self._job.shards)
        with closing(make_engine(self._model, self._config)) as engine:
            # A worker may die by chance; what was in flight gets a second try before any picture
            # is suspected.
            died = self._together(engine, missing)
            suspects = self._together(engine, died) if died else []
            for shard in suspects:
                self._one_by_one(engine, shard)

    def _together(self, engine: Engine, shards: Sequence[int]) -> list[int]:
        """Score shards side by side; returns those whose worker died."""
        died = []
        for outcome in engine.run(self._state.tasks(self._job, shards)):
            if isinstance(outcome, Died):
                log.warning("a worker died over shard %d: %s", outcome.task.shard, outcome.why)
                died.append(outcome.task.shard)
            else:
                self._keep(engine, outcome.task, outcome.rows)
        return sorted(died)

    def _one_by_one(self, engine: Engine, shard: int) -> None:
        """Score a shard picture by picture, so that one that brings its worker down is found."""
        (whole,) = self._state.tasks(self._job, [shard])
        rows: list[Row] = []
        for outcome in engine.run(whole.singly(), one_at_a_time=True):
            if isinstance(outcome, Scored):
                rows += outcome.rows
                continue
            self._crashes += 1
            each = Input.from_json(outcome.task.inputs[0])
            log.warning("%r brings its worker down (%s)", each.name, outcome.why)
            if self._crashes > self._config.max_crashes:
                raise RuntimeError(
                    f"more than {self._config.max_crashes} pictures brought their worker down, the "
                    f"last of them {each.name!r}: {outcome.why}. If memory is short, lower "
                    "`workers`; then start the same again"
                )
            row = outcome.task.first_row
            rows.append(unread_row(row, each.name, CrashedInput(), self._model.versions))
        self._keep(engine, whole, rows)

    def _keep(self, engine: Engine, task: Task, rows: Sequence[Row]) -> None:
        if engine.elsewhere:
            _refuse_blind_worker(task, rows)
        self._state.write(self._job, task.shard, rows)
        self._done += len(rows)
        self._on_progress(self._done, self._job.inputs)

    def _inputs_of(self, shards: Sequence[int]) -> int:
        job = self._job
        whole = len(shards) * job.shard_size
        lacking = job.shards * job.shard_size - job.inputs
        return whole - lacking if job.shards - 1 in shards else whole


def _refuse_blind_worker(task: Task, rows: Sequence[Row]) -> None:
    """Raise where a worker misses a file that this machine sees."""
    for text, row in zip(task.inputs, rows, strict=True):
        each = Input.from_json(text)
        if row["reason"] == MISSING and each.kind == "file" and os.path.exists(each.address):
            raise RuntimeError(
                f"a worker of the Ray cluster does not see {each.address}, which this machine does; "
                "put the pictures on a file system that all machines share, or into S3"
            )


def _silent(done: int, total: int) -> None:
    pass
