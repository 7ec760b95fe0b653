"""Scoring one shard: what a worker does, whichever engine it belongs to.

A worker keeps its model between shards. It writes nothing: rows go back to whoever asked.
"""

import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skin_lesion.batch.inputs import Input
from skin_lesion.batch.reading import InputReader, Unread
from skin_lesion.inference import Predictor
from skin_lesion.modeling.bundle import ModelBundle
from skin_lesion.prediction import Prediction, Versions
from skin_lesion.prediction_table import Cell, row
from skin_lesion.settings import BatchConfig

Row = dict[str, Cell | int]

CRASHED = "crashed"
# Pictures of unknown size in a forward pass.
_UNKNOWN_AT_ONCE = 8
_Key = tuple[str, str | None, int, int]


@dataclass(frozen=True)
class Task:
    """Consecutive inputs to be scored.

    Attributes:
        shard: Number of the shard they are of.
        first_row: Row of the first one.
        inputs: Each as `Input.to_json` wrote it.
    """

    shard: int
    first_row: int
    inputs: tuple[str, ...]

    def singly(self) -> Iterator["Task"]:
        """One task for each of the inputs."""
        for i, each in enumerate(self.inputs):
            yield Task(self.shard, self.first_row + i, (each,))


@dataclass(frozen=True)
class LocalModel:
    """A bundle on this machine.

    Attributes:
        path: Its folder.
        bundle_hash: Of its files.
        version: What it is called in the registry; None for a folder.
    """

    path: Path
    bundle_hash: str
    version: str | None

    @property
    def versions(self) -> Versions:
        """What every row says of it."""
        contract = hashlib.sha256((self.path / "contract.json").read_bytes()).hexdigest()
        return Versions(self.bundle_hash, contract, self.version)

    def load(self, config: BatchConfig) -> Predictor:
        """Load it."""
        bundle = ModelBundle.open(self.path)
        threads = config.threads or None
        return Predictor(bundle, config.batch_size, version=self.version, threads=threads)

    def pack(self) -> "PackedModel":
        """The same as bytes, for machines that do not see the folder."""
        names = sorted(p.relative_to(self.path) for p in self.path.rglob("*") if p.is_file())
        files = {name.as_posix(): (self.path / name).read_bytes() for name in names}
        return PackedModel(files, self.bundle_hash, self.version)


@dataclass(frozen=True)
class PackedModel:
    """A bundle as bytes.

    Attributes:
        files: Contents by name.
        bundle_hash: Of its files.
        version: What it is called in the registry; None for a folder.
    """

    files: Mapping[str, bytes]
    bundle_hash: str
    version: str | None

    def load(self, config: BatchConfig) -> Predictor:
        """Load it; its files are gone again afterwards."""
        with tempfile.TemporaryDirectory(prefix="skin-lesion-") as folder:
            for name, data in self.files.items():
                path = Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            return LocalModel(Path(folder), self.bundle_hash, self.version).load(config)


Model = LocalModel | PackedModel

# The one model of this process; another one takes its place.
_loaded: dict[_Key, Predictor] = {}


def score(task: Task, model: Model, config: BatchConfig) -> list[Row]:
    """Score the inputs of a task.

    Args:
        task: What to score.
        model: With which model; it is loaded once in a process.
        config: Limits and sizes.

    Returns:
        One row for each input, in order.

    Raises:
        SourceError: The source as a whole changed or is gone.
        OSError: It cannot be reached.
    """
    predictor = _predictor(model, config)
    inputs = [Input.from_json(text) for text in task.inputs]
    rows: list[Row] = []
    with closing(InputReader(config.max_file_bytes, config.readers)) as reader:
        for contents in _read_ahead(inputs, reader, config):
            found = iter(_predict(predictor, contents, inputs[len(rows)].name))
            for content in contents:
                number = task.first_row + len(rows)
                name = inputs[len(rows)].name
                if isinstance(content, Unread):
                    rows.append(unread_row(number, name, content, predictor.versions))
                else:
                    rows.append(_row(number, name, next(found), None))
    return rows


def _predict(
    predictor: Predictor, contents: Sequence[bytes | Unread], first: str
) -> list[Prediction]:
    try:
        return predictor.predict([each for each in contents if isinstance(each, bytes)])
    except Exception as error:
        error.add_note(f"while scoring {len(contents)} pictures from {first!r} on")
        raise


def unread_row(
    number: int, name: str, unread: "Unread | CrashedInput", versions: Versions | None
) -> Row:
    """The row of an input that no model has seen."""
    answer = Prediction("unreadable", reason=unread.reason, versions=versions)
    return _row(number, name, answer, unread.detail)


@dataclass(frozen=True, slots=True)
class CrashedInput:
    """An input that brought its worker down, twice in company and once alone."""

    reason: str = CRASHED
    detail: str = "the process that read it died; it is broken in a way no check has noticed"


def _row(number: int, name: str, answer: Prediction, detail: str | None) -> Row:
    return {"row": number, "file": name, **row(answer), "detail": detail}


def _predictor(model: Model, config: BatchConfig) -> Predictor:
    key = (model.bundle_hash, model.version, config.batch_size, config.threads)
    if key not in _loaded:
        _loaded.clear()
        _loaded[key] = model.load(config)
    return _loaded[key]


def _read_ahead(
    inputs: Sequence[Input], reader: InputReader, config: BatchConfig
) -> Iterator[list[bytes | Unread]]:
    """Contents of the inputs, a batch at a time; the next batch is read meanwhile."""
    waiting: list[Any] = []
    for batch in _batches(inputs, config):
        started = [reader.start(each) for each in batch]
        if waiting:
            yield [future.result() for future in waiting]
        waiting = started
    if waiting:
        yield [future.result() for future in waiting]


def _batches(inputs: Sequence[Input], config: BatchConfig) -> Iterator[list[Input]]:
    """Inputs in groups that are fit for one forward pass and for memory."""
    batch: list[Input] = []
    total = 0
    for each in inputs:
        # An unknown size counts as a large one, so that memory stays bounded.
        size = each.size if each.size >= 0 else config.max_file_bytes // _UNKNOWN_AT_ONCE
        if batch and (len(batch) == config.batch_size or total + size > config.max_file_bytes):
            yield batch
            batch, total = [], 0
        batch.append(each)
        total += min(size, config.max_file_bytes)
    if batch:
        yield batch


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))
