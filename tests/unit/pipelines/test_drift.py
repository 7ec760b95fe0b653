"""`skin-lesion drift`: what is compared with what, what is written, and what the shell gets."""

import io
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipelines.cli import main
from pipelines.drift import DriftRequest, run_drift
from skin_lesion.audit import AuditLog, Entry
from skin_lesion.inference import Predictor
from skin_lesion.modeling.bundle import ModelBundle
from skin_lesion.prediction import Prediction
from skin_lesion.prediction_table import frame
from skin_lesion.settings import DriftConfig

LIMITS = DriftConfig(permutations=1000)


@pytest.fixture(scope="module")
def bundle(small_world, small_report, tmp_path_factory) -> ModelBundle:
    """The small world's model as it would be registered, but for pictures as small as its own."""
    decisions = small_report.summary.decisions
    quality = {name: at for name, at in decisions.quality.items() if name != "short_side"}
    return small_world.bundle.with_decisions(
        decisions.model_copy(update={"quality": quality}),
        small_report.bundle_files,
        tmp_path_factory.mktemp("drift") / "bundle",
    )


@pytest.fixture(scope="module")
def answers(small_world, bundle) -> dict[str, list[Prediction]]:
    """What the model says of its validation pictures, and of the same much darker."""
    pixels = small_world.images.open()[small_world.split.indices("val")]
    predictor = Predictor(bundle)
    return {
        name: predictor.predict([encoded(one) for one in some])
        for name, some in (("alike", pixels), ("darker", pixels // 2))
    }


def encoded(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


@pytest.fixture
def table(answers, tmp_path: Path) -> Path:
    """Of the darker pictures."""
    path = tmp_path / "week.parquet"
    # The small world says its pictures are larger than they are.
    frame(answers["darker"]).drop(columns=["quality_short_side", "quality_aspect"]).to_parquet(path)
    return path


@pytest.fixture
def log(answers, tmp_path: Path) -> str:
    """URL of a log: on the first day pictures as those of validation, on the second darker ones."""
    url = f"sqlite:///{tmp_path / 'audit.db'}"
    for day, name in ((1, "alike"), (2, "darker")):
        at = datetime(2026, 3, day, 23, 30, tzinfo=UTC)
        log = AuditLog.open(url, clock=lambda at=at: at)
        log.record_all([Entry("ana", "clinician", each) for each in answers[name]])
    return url


def drift(*words: str | Path) -> int:
    return main(["drift", *map(str, words)])


def test_a_table_is_held_against_the_model_that_answered_it(bundle, table, tmp_path, capsys):
    page = tmp_path / "new" / "page.html"
    assert drift(table, "--model", bundle.path, "--output", page) == 11
    shown = capsys.readouterr().out
    assert shown.startswith("week.parquet: DRIFT")
    assert "Brightness" in shown
    assert page.as_uri() in shown
    assert "Drift" in page.read_text(encoding="utf-8")
    figures = json.loads(page.with_suffix(".json").read_text(encoding="utf-8"))
    assert figures["verdict"] == "drift"
    assert figures["bundle_hash"] == bundle.bundle_hash
    assert sorted(os.listdir(page.parent)) == ["page.html", "page.json"]


def test_a_table_that_another_model_answered_is_refused(bundle, table, tmp_path, capsys):
    other = pd.read_parquet(table).assign(bundle_hash="0" * 64)
    other.to_parquet(table)
    assert drift(table, "--model", bundle.path, "--output", tmp_path / "page.html") == 1
    assert "was answered by bundle 000000000000" in capsys.readouterr().err
    assert not (tmp_path / "page.html").exists()


def test_a_page_without_a_name_lies_on_the_shelf_named_by_its_table(
    bundle, table, tmp_path, monkeypatch
):
    (tmp_path / "results").mkdir()
    table.rename(tmp_path / "results" / "predictions.parquet")
    monkeypatch.chdir(tmp_path / "results")
    request = DriftRequest(predictions=Path("."), model=str(bundle.path))
    answer = run_drift(request, LIMITS, tmp_path / "shelf")
    assert answer.report.data == "results"
    assert answer.page.parent == tmp_path / "shelf"
    assert answer.page.name.startswith("results-2")


@pytest.mark.parametrize("taken", ["page.html", "page.json"])
def test_no_file_is_written_over(bundle, table, tmp_path, capsys, taken):
    (tmp_path / taken).write_text("mine")
    assert drift(table, "--model", bundle.path, "--output", tmp_path / "page.html") == 1
    assert f"{taken} exists" in capsys.readouterr().err
    assert (tmp_path / taken).read_text() == "mine"
    assert len({"page.html", "page.json"} & set(os.listdir(tmp_path))) == 1


def test_a_page_that_would_take_the_name_of_its_figures_is_refused(bundle, table, tmp_path, capsys):
    assert drift(table, "--model", bundle.path, "--output", tmp_path / "page.json") == 1
    assert "page.html" in capsys.readouterr().err
    assert not (tmp_path / "page.json").exists()


def test_a_log_is_compared_day_by_day(bundle, log, tmp_path, capsys):
    words = ("--audit", log, "--model", bundle.path)
    first = drift(*words, "--until", "2026-03-01", "--output", tmp_path / "1.html")
    assert first in (0, 10)
    shown = capsys.readouterr().out
    assert "audit log, from the first reading to 2026-03-02 00:00 (UTC)" in shown
    day = ("--since", "2026-03-02", "--until", "2026-03-02")
    assert drift(*words, *day, "--output", tmp_path / "2.html") == 11
    assert "Assessed, refused or unreadable" in capsys.readouterr().out
    figures = json.loads((tmp_path / "2.json").read_text(encoding="utf-8"))
    assert figures["bundle_hash"] == bundle.bundle_hash
    assert figures["model_version"] == f"bundle:{bundle.bundle_hash}"


def test_a_time_without_readings_is_named(bundle, log, tmp_path, capsys):
    words = ("--audit", log, "--model", bundle.path, "--since", "2026-03-03T08:00+01:00")
    assert drift(*words, "--output", tmp_path / "page.html") == 1
    assert "from 2026-03-03 07:00 to now (UTC): no reading" in capsys.readouterr().err
    assert not (tmp_path / "page.html").exists()


def test_a_log_that_is_not_there_is_not_made(bundle, tmp_path, capsys):
    url = f"sqlite:///{tmp_path / 'none.db'}"
    assert drift("--audit", url, "--model", bundle.path) == 1
    assert "there is no audit log at" in capsys.readouterr().err
    assert not (tmp_path / "none.db").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "name either a table"),
        (("week.parquet", "--audit"), "name either a table"),
        (("week.parquet", "--since", "2026-01-01"), "compared whole"),
        (("week.parquet", "--until", "2026-01-01"), "compared whole"),
    ],
)
def test_what_would_be_passed_over_is_refused(words, message, capsys):
    assert drift(*words) == 1
    assert message in capsys.readouterr().err


def test_what_is_no_time_is_refused(capsys):
    with pytest.raises(SystemExit, match="2"):
        drift("--audit", "--since", "yesterday")
    assert "'yesterday' is no time; expected one such as 2026-01-31" in capsys.readouterr().err
