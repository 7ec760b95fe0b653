"""From a source to tables: one row for each input, whatever the inputs are and whatever happens."""

import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from skin_lesion.batch import run as batch_run
from skin_lesion.batch import shard
from skin_lesion.batch.engines import Died, Outcome, Scored
from skin_lesion.batch.result import TABLES, BatchResult
from skin_lesion.batch.run import score_batch
from skin_lesion.batch.shard import LocalModel, Task
from skin_lesion.inference import Predictor
from skin_lesion.modeling.bundle import ModelBundle
from skin_lesion.settings import BatchConfig
from tests.unit.batch.conftest import QUICK, csv_rows, jpeg, rows_of

Score = Callable[..., BatchResult]


def tables(result: BatchResult) -> dict[str, bytes]:
    return {name: (result.path / name).read_bytes() for name in TABLES}


def test_every_picture_gets_the_answer_that_it_would_get_alone(
    pictures: Path, score: Score, small_world: Any
) -> None:
    result = score(pictures)
    predictor = Predictor(small_world.bundle)
    rows = rows_of(result)
    assert [row["row"] for row in rows] == list(range(10))
    assert [row["file"] for row in rows] == sorted(row["file"] for row in rows)
    for row in rows:
        (alone,) = predictor.predict([(pictures / row["file"]).read_bytes()])
        assert row["prediction"] == alone.prediction
        assert alone.probabilities is not None
        assert row["mel"] == pytest.approx(alone.probabilities["mel"], abs=1e-6)
        assert row["image_sha256"] == alone.image_sha256
        assert row["bundle_hash"] == small_world.bundle.bundle_hash


def test_there_is_exactly_one_row_for_each_input_whatever_it_is(
    pictures: Path, tmp_path: Path, score: Score
) -> None:
    sound = jpeg(1)
    files = {
        "empty.jpg": b"", "text.jpg": b"no picture", "cut.jpg": sound[:400], "a\nb.jpg": sound,
        "ä 猫.png": sound, "=cmd.jpg": sound, "copy.jpg": sound,
    }  # fmt: skip
    for name, data in files.items():
        (pictures / name).write_bytes(data)
    Path(os.fsdecode(os.fsencode(pictures) + b"/\xff.jpg")).write_bytes(sound)
    os.mkfifo(pictures / "pipe.jpg")  # no file: not listed
    result = score(pictures)
    rows = {row["file"]: row for row in rows_of(result)}
    assert set(rows) >= {*files, "\\xff.jpg"}
    assert len(rows) == result.summary.inputs == 18
    assert {rows[name]["status"] for name in ("empty.jpg", "text.jpg", "cut.jpg")} == {"unreadable"}
    assert rows["empty.jpg"]["reason"] == "empty"
    assert {rows[n]["status"] for n in ("a\nb.jpg", "ä 猫.png", "copy.jpg", "\\xff.jpg")} == {"ok"}
    put_aside = csv_rows(result.path / "quarantine.csv")
    assert {row["file"] for row in put_aside} == {"empty.jpg", "text.jpg", "cut.jpg"}
    assert result.summary.put_aside == 3
    assert sum(result.summary.reasons.values()) == 3


def test_the_csv_says_what_the_parquet_says_but_no_formula(pictures: Path, score: Score) -> None:
    (pictures / "=1+1.jpg").write_bytes(jpeg(1))
    (pictures / 'quo"te, and\nbreak.jpg').write_bytes(jpeg(2))
    result = score(pictures)
    found = csv_rows(result.path / "predictions.csv")
    exact = rows_of(result)
    assert [row["file"].removeprefix("'") for row in found] == [row["file"] for row in exact]
    assert [row["file"] for row in found if row["file"].startswith("'")] == ["'=1+1.jpg"]
    for text, value in zip(found, exact, strict=True):
        assert float(text["mel"]) == value["mel"]
        assert text["prediction"] == value["prediction"]


def test_a_picture_named_twice_gets_two_rows(pictures: Path, tmp_path: Path, score: Score) -> None:
    table = tmp_path / "list.csv"
    table.write_text("file\npictures/1.jpg\npictures/2.jpg\nnowhere.jpg\npictures/1.jpg\n")
    first, _, gone, again = rows_of(score(table))
    assert {**first, "row": 3} == again
    assert (gone["status"], gone["reason"]) == ("unreadable", "missing")
    assert gone["detail"]


def test_a_zip_gives_what_its_folder_gives(pictures: Path, tmp_path: Path, score: Score) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for path in pictures.rglob("*.jpg"):
            archive.write(path, path.relative_to(pictures))
    assert rows_of(score(tmp_path / "a.zip", "zip")) == rows_of(score(pictures, "folder"))


def test_a_file_that_vanishes_on_the_way_is_a_row_that_says_so(
    pictures: Path, score: Score, monkeypatch: pytest.MonkeyPatch
) -> None:
    list_inputs = batch_run.list_inputs

    def list_and_lose(*arguments: Any) -> Any:
        listing = list_inputs(*arguments)
        (pictures / "5.jpg").unlink()
        return listing

    monkeypatch.setattr(batch_run, "list_inputs", list_and_lose)
    (lost,) = [row for row in rows_of(score(pictures)) if row["status"] != "ok"]
    assert (lost["file"], lost["reason"]) == ("5.jpg", "missing")


def test_a_finished_batch_is_given_back_as_it_is(
    pictures: Path, score: Score, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = score(pictures)
    before = tables(first)
    monkeypatch.setattr(batch_run, "make_engine", None)  # nothing is to be scored
    assert score(pictures) == first
    assert tables(first) == before


@pytest.mark.parametrize("damaged", [b"half", b"\xff\xfe"])
def test_a_damaged_summary_vouches_for_nothing(
    pictures: Path, score: Score, damaged: bytes
) -> None:
    first = score(pictures)
    (first.path / "summary.json").write_bytes(damaged)
    assert score(pictures).summary.files == first.summary.files


@pytest.mark.parametrize("where", [20, 400])
def test_a_part_that_rotted_on_the_disk_is_found_and_made_anew_by_the_same_call(
    pictures: Path, score: Score, where: int
) -> None:
    first = score(pictures)
    before = tables(first)
    (first.path / "summary.json").unlink()
    part = first.path / ".batch" / "parts" / "000001.parquet"
    data = bytearray(part.read_bytes())
    data[where] ^= 0xFF
    part.write_bytes(data)
    with pytest.raises(ValueError, match=r"000001.parquet was damaged.*start the same again"):
        score(pictures)
    assert tables(score(pictures)) == before


def test_a_damaged_table_is_made_anew_from_the_parts(
    pictures: Path, score: Score, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = score(pictures)
    before = tables(first)
    (first.path / "predictions.csv").write_text("half")
    monkeypatch.setattr(batch_run, "make_engine", None)
    assert tables(score(pictures)) == before


def test_another_source_is_refused_unless_it_may_start_afresh(pictures: Path, score: Score) -> None:
    score(pictures)
    (pictures / "new.jpg").write_bytes(jpeg(99))
    with pytest.raises(ValueError, match=r"with 10 pictures and now is .* with 11.*afresh"):
        score(pictures)
    assert len(rows_of(score(pictures, on_change="afresh"))) == 11


def test_other_limits_and_another_library_are_refused_too(
    pictures: Path, score: Score, monkeypatch: pytest.MonkeyPatch
) -> None:
    score(pictures)
    with pytest.raises(ValueError, match=r"max_file_bytes was .* and now is 1000"):
        score(pictures, max_file_bytes=1000)
    job = pictures.parent / "out" / ".batch" / "job.json"
    job.write_text(job.read_text().replace('"library": "', '"library": "9.'))
    with pytest.raises(ValueError, match=r"the library was 9\."):
        score(pictures)
    job.write_text(job.read_text()[:50])
    with pytest.raises(ValueError, match="damaged"):
        score(pictures)


def test_another_model_is_refused_unless_it_may_start_afresh(
    pictures: Path, tmp_path: Path, score: Score, small_world: Any
) -> None:
    score(pictures)
    contract = small_world.bundle.contract.model_copy(update={"temperature": 2.0})
    other = small_world.bundle.with_contract(contract, tmp_path / "other")
    again = QUICK.model_copy(update={"on_change": "afresh"})
    arguments = (str(pictures), tmp_path / "out", str(other.path))
    with pytest.raises(ValueError, match="the model was"):
        score_batch(*arguments, QUICK)
    rows = rows_of(score_batch(*arguments, again))
    assert {row["bundle_hash"] for row in rows} == {other.bundle_hash}


def test_a_folder_with_other_files_is_left_alone(pictures: Path, score: Score) -> None:
    with pytest.raises(FileExistsError, match="holds other files"):
        score(pictures, "pictures")
    with pytest.raises(NotADirectoryError):
        score(pictures, "pictures/1.jpg")


def test_a_request_that_fails_leaves_nothing_behind(
    pictures: Path, tmp_path: Path, score: Score
) -> None:
    with pytest.raises(FileNotFoundError, match="not a model bundle"):
        score_batch(str(pictures), tmp_path / "out", str(pictures), QUICK)
    assert not (tmp_path / "out").exists()


def test_two_cannot_work_in_one_folder(
    pictures: Path, score: Score, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, leave = threading.Event(), threading.Event()
    make_engine = batch_run.make_engine

    def wait_inside(*arguments: Any) -> Any:
        inside.set()
        leave.wait(60)
        return make_engine(*arguments)

    monkeypatch.setattr(batch_run, "make_engine", wait_inside)
    first = threading.Thread(target=score, args=(pictures,))
    first.start()
    try:
        assert inside.wait(60)
        with pytest.raises(RuntimeError, match="another process"):
            score(pictures)
    finally:
        leave.set()
        first.join()
    assert len(rows_of(score(pictures))) == 10


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


def test_the_model_is_named_as_the_registry_names_it(
    pictures: Path, tmp_path: Path, small_world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An alias is looked up once; the version that it meant goes with every row."""
    from types import SimpleNamespace

    from skin_lesion import registry

    def open_bundle(version: str, target: Path) -> ModelBundle:
        asked.append(version)
        return small_world.bundle.with_contract(small_world.bundle.contract, target / "b")

    asked: list[str] = []
    bundle_hash = open_bundle("", tmp_path).bundle_hash
    asked.clear()
    found = SimpleNamespace(version=7, bundle_hash=bundle_hash)
    monkeypatch.setattr(registry, "find_version", lambda alias: asked.append(alias) or found)
    monkeypatch.setattr(registry, "open_bundle", open_bundle)
    result = score_batch(str(pictures), tmp_path / "out", "champion", QUICK)
    assert asked == ["champion", "7"]
    assert {row["model_version"] for row in rows_of(result)} == {"7"}
    assert (result.summary.model.asked, result.summary.model.version) == ("champion", "7")
    assert not (result.path / ".batch" / "scratch").exists()
    found.bundle_hash = "0" * 64
    with pytest.raises(ValueError, match="changed or damaged"):
        score_batch(str(pictures), tmp_path / "out2", "champion", QUICK)
