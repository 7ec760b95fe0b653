"""`skin-lesion batch`: what it prints, what it leaves, and what the shell gets."""

from pathlib import Path

import pytest
from PIL import Image

from pipelines.cli import main
from skin_lesion.batch.result import TABLES


@pytest.fixture
def pictures(small_world, tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i, pixels in enumerate(small_world.images.open()[:3]):
        Image.fromarray(pixels).save(folder / f"{i}.png")
    (folder / "text.png").write_text("no picture")
    (folder / "notes.txt").write_text("no picture either")
    return folder


def batch(*words: str | Path) -> int:
    return main(["batch", *map(str, words), "--engine", "serial"])


def test_it_says_what_came_of_the_pictures_and_where_the_tables_are(
    small_world, pictures, tmp_path, capsys
):
    words = (pictures, tmp_path / "out", "--model", small_world.bundle.path)
    assert batch(*words) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("4 pictures, model ")
    assert small_world.bundle.bundle_hash[:12] in shown.out
    assert "unsupported_format" in shown.out
    assert (tmp_path / "out" / "summary.html").as_uri() in shown.out
    assert "4 of 4 pictures" in shown.err
    assert set(TABLES) <= {path.name for path in (tmp_path / "out").iterdir()}
    assert batch(*words) == 0  # it was done before
    assert capsys.readouterr().err == ""


def test_another_source_is_refused_and_started_over_where_that_is_said(
    small_world, pictures, tmp_path, capsys
):
    words = (pictures, tmp_path / "out", "--model", small_world.bundle.path)
    assert batch(*words) == 0
    (pictures / "text.png").unlink()
    capsys.readouterr()
    assert batch(*words) == 1
    assert "--afresh" in capsys.readouterr().err
    assert batch(*words, "--afresh") == 0
    assert capsys.readouterr().out.startswith("3 pictures")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--workers", "-1"), "workers"),
        (("--engine", "processes", "--address", "10.0.0.7:6379"), "only `ray` has one"),
    ],
)
def test_a_setting_that_is_none_is_refused_before_anything_is_made(
    pictures, tmp_path, capsys, words, message
):
    assert main(["batch", str(pictures), str(tmp_path / "out"), *words]) == 1
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_source_that_is_not_there_is_named(tmp_path, capsys):
    assert batch(tmp_path / "gone", tmp_path / "out") == 1
    assert f"{tmp_path / 'gone'} does not exist" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
