"""From a source to tables: one row for each input, whatever the inputs are and whatever happens."""

import os
import threading
import zipfile
from pathlib import Path
from typing import Any

import pytest

from skin_lesion.batch import run as batch_run
from skin_lesion.batch.run import score_batch
from skin_lesion.inference import Predictor
from skin_lesion.modeling.bundle import ModelBundle
from tests.unit.batch.conftest import QUICK, Score, csv_rows, jpeg, rows_of, tables


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
