"""A batch that is stopped, or whose processes die, loses and doubles nothing."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from skin_lesion.batch import run as batch_run
from skin_lesion.batch import shard
from skin_lesion.batch.engines import Died, Outcome, Scored
from skin_lesion.batch.shard import LocalModel, Task
from skin_lesion.settings import BatchConfig
from tests.unit.batch.conftest import Score, jpeg, rows_of, tables


class Stop(BaseException):
    """Nobody catches it, as nobody catches a kill."""


@pytest.mark.parametrize("survived", range(11))
def test_after_a_stop_between_any_two_writes_the_same_call_goes_on(
    survived: int, pictures: Path, score: Score, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three parts, the listing, the job, three tables, the page, the summary: ten moves in all."""
    whole = tables(score(pictures, "whole"))
    replace, moves = os.replace, []

    def stop_at(source: Any, target: Any) -> None:
        if len(moves) == survived:
            raise Stop
        moves.append(Path(target).name)
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", stop_at)
        if survived < 10:
            with pytest.raises(Stop):
                score(pictures)
        else:
            score(pictures)
            assert len(moves) == 10
    scored = []
    with monkeypatch.context() as patch:
        patch.setattr(
            "skin_lesion.batch.engines.score",
            lambda task, *rest: scored.append(task.shard) or shard.score(task, *rest),
        )
        assert tables(score(pictures)) == whole
    finished = {name for name in moves if name[0].isdigit()}
    assert len(scored) == 3 - len(finished)  # nothing is done twice


def test_a_broken_part_is_never_read(
    pictures: Path, score: Score, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tables(score(pictures, "whole"))
    with monkeypatch.context() as patch:
        patch.setattr(batch_run, "assemble", lambda *_: (_ for _ in ()).throw(Stop))
        with pytest.raises(Stop):
            score(pictures)
    parts = sorted(Path(pictures.parent, "out", ".batch", "parts").iterdir())
    parts[0].write_bytes(parts[0].read_bytes()[:200])
    parts[1].write_bytes(parts[2].read_bytes())  # the rows of another shard
    assert tables(score(pictures)) == whole


class Scripted:
    """An engine whose worker dies over some pictures; takes what it is given one after another."""

    elsewhere = False

    def __init__(self, model: LocalModel, config: BatchConfig, deadly: set[str]) -> None:
        self._model, self._config, self._deadly = model, config, deadly

    def close(self) -> None:
        pass

    def run(self, tasks: Iterable[Task], *, one_at_a_time: bool = False) -> Iterator[Outcome]:
        for task in tasks:
            if any(name in text for name in self._deadly for text in task.inputs):
                yield Died(task, "killed")
            else:
                yield Scored(task, shard.score(task, self._model, self._config))


@pytest.fixture
def deadly(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    names: set[str] = set()
    monkeypatch.setattr(batch_run, "make_engine", lambda *a: Scripted(*a, names))
    return names


def test_a_picture_that_kills_its_worker_is_put_aside_alone(
    pictures: Path, score: Score, deadly: set[str]
) -> None:
    deadly |= {"b/3.jpg", "b/9.jpg"}
    result = score(pictures)
    crashed = [row for row in rows_of(result) if row["status"] != "ok"]
    assert [(row["file"], row["reason"]) for row in crashed] == [
        ("b/3.jpg", "crashed"), ("b/9.jpg", "crashed")
    ]  # fmt: skip
    assert all(row["contract_hash"] and row["detail"] for row in crashed)


def test_where_every_picture_kills_its_worker_the_machine_is_to_blame(
    pictures: Path, score: Score, deadly: set[str]
) -> None:
    deadly |= {".jpg"}
    with pytest.raises(RuntimeError, match=r"more than 3 pictures.*memory"):
        score(pictures, max_crashes=3)
    deadly.clear()
    assert score(pictures).summary.put_aside == 0


# --- processes -----------------------------------------------------------------------------------


class Fragile(LocalModel):
    """Its process dies without a word over a picture that says so."""

    def load(self, config: BatchConfig) -> Any:
        predictor = super().load(config)
        predict = predictor.predict

        def die_or_predict(contents: list[bytes], **options: Any) -> Any:
            if any(data == b"deadly" for data in contents):
                os._exit(9)
            return predict(contents, **options)

        predictor.predict = die_or_predict
        return predictor


def test_processes_give_what_one_process_gives(pictures: Path, score: Score) -> None:
    alone = rows_of(score(pictures, "alone"))
    together = score(pictures, "together", engine="processes", workers=2)
    assert rows_of(together) == alone


def test_processes_survive_a_picture_that_kills_them(
    pictures: Path, score: Score, monkeypatch: pytest.MonkeyPatch
) -> None:
    (pictures / "3.jpg").write_bytes(b"deadly")
    monkeypatch.setattr(batch_run, "LocalModel", Fragile)
    rows = rows_of(score(pictures, engine="processes", workers=2))
    assert {row["file"]: row["reason"] for row in rows if row["status"] != "ok"} == {
        "3.jpg": "crashed"
    }
    assert len(rows) == 11


def descendants(process: int) -> set[int]:
    import psutil

    return {child.pid for child in psutil.Process(process).children(recursive=True)}


@pytest.mark.slow
def test_a_kill_at_any_moment_loses_and_doubles_nothing(
    tmp_path: Path, score: Score, model: str, root: Path
) -> None:
    """The whole command is killed without warning, again and again, until it gets through."""
    import psutil

    many = tmp_path / "many"
    many.mkdir()
    for i in range(120):
        (many / f"{i}.jpg").write_bytes(jpeg(i) if i % 10 else b"broken")
    whole = tables(score(many, "whole", shard_size=4))
    code = (
        "import sys, time; from pathlib import Path\n"
        "from skin_lesion.batch.run import score_batch; from skin_lesion.settings import BatchConfig\n"
        "config = BatchConfig(engine='processes', workers=2, shard_size=4, batch_size=3)\n"
        "say = lambda done, total: (print(done, flush=True), time.sleep(0.05))\n"
        "score_batch(sys.argv[1], Path(sys.argv[2]), sys.argv[3], config, say)\n"
    )
    command = [sys.executable, "-c", code, str(many), str(tmp_path / "out"), model]
    kills, reached = 0, [0]
    while True:
        process = subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        lines = [process.stdout.readline()]  # how far it was when it began
        while len(lines) < 4 + kills % 3 and lines[-1]:
            lines.append(process.stdout.readline())
        workers = descendants(process.pid) if lines[-1] else set()
        process.send_signal(signal.SIGKILL)
        status = process.wait(60)
        process.stdout.close()
        if status == 0:
            break
        assert int(lines[0]) >= reached[-1] or not lines[0]  # it goes on, it does not begin again
        reached.append(int(lines[-1] or lines[0]))
        kills += 1
        deadline = time.monotonic() + 30
        while any(map(psutil.pid_exists, workers)) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not any(map(psutil.pid_exists, workers))  # no process is left behind
        if reached[-1] >= 120:
            break
    assert kills >= 4
    assert tables(score(many, "out", shard_size=4)) == whole
