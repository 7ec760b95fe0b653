"""The benchmark for accelerators runs with Keras and JAX alone, here at a tiny size on the CPU."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from skin_lesion.data.synthetic import synthetic_metadata, write_synthetic
from skin_lesion.ledger import URL_VARIABLE, LedgerError, LookLedger, stored
from skin_lesion.modeling.learner import Learner
from skin_lesion.settings import SyntheticConfig
from tests.unit.ledger.conftest import make_look

# What it must do without; the names of those it may use are in its docstring.
PROGRAM = """
import runpy, sys

SCRATCH = {"sqlalchemy"} if "--scratch" in sys.argv else set()
ABSENT = {"tensorflow", "zenml", "mlflow", "streamlit", "great_expectations", "openvino",
          "matplotlib", "torch", "sqlalchemy", "requests", "yaml", "pyarrow", "skimage", "optuna",
          "ray", "pydicom", "imagehash", "psycopg", "s3fs", "psutil"} - SCRATCH

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
sys.argv = sys.argv[1:]
sys.path.insert(0, "benchmarks")
runpy.run_path(sys.argv[0], run_name="__main__")
"""
TINY = (
    "--backbone", "mobilenet", "--feature-layer", "conv_pw_2_relu", "--size", "32", "32",
    "--images", "32", "--batch-size", "16", "--matrix", "128", "--rounds", "1", "--workers", "1",
    "--precision", "mixed_bfloat16",
)  # fmt: skip


def run(root: Path, *arguments: str, backend: str = "jax") -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, "benchmarks/gpu.py", *arguments],
        env={**os.environ, "KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu"},
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def script(root: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(root / "benchmarks"))
    return importlib.import_module("gpu")


@pytest.mark.slow
def test_every_figure_comes_out_with_neither_tensorflow_nor_mlflow_nor_zenml(
    root: Path, tmp_path: Path
) -> None:
    target = tmp_path / "gpu.json"
    kept = root / "benchmarks" / "results" / "gpu.json"
    before = kept.read_bytes() if kept.exists() else None
    finished = run(
        root, *TINY, "--whole", "32", "14", "--epochs", "1", "2", "--result", str(target)
    )
    assert finished.returncode == 0, finished.stderr[-3000:]
    result = json.loads(target.read_text())
    assert result["platform"] == "cpu"
    assert result["phases"]["warmup"]["median"] > 0
    assert result["phases"]["finetune"]["median"] > 0
    assert result["share_of_matrix_peak"] > 0
    minutes = result["seed_recipe"]["measured_minutes"]
    assert minutes["both"] == pytest.approx(minutes["warmup"] + minutes["finetune"], abs=0.02)
    assert result["seed_recipe"]["measured_epochs"] == [1, 2]
    # A CPU's figures never pass for those of an accelerator.
    assert (kept.read_bytes() if kept.exists() else None) == before


@pytest.mark.slow
def test_a_network_from_scratch_is_judged_on_lesions_that_it_never_saw_and_the_look_is_noted(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = SyntheticConfig(lesions_per_class=15, max_images_per_lesion=1, height=100, width=100)
    archive, target = tmp_path / "drawn.zip", tmp_path / "gpu.json"
    write_synthetic(archive, synthetic_metadata(drawn, 3), drawn, 3, workers=1)
    monkeypatch.setenv(URL_VARIABLE, f"sqlite:///{tmp_path / 'looks.db'}")
    finished = run(
        root, *TINY, "--scratch", str(archive), "--scratch-backbone", "mobilenet",
        "--scratch-size", "32", "32", "--scratch-epochs", "2", "--result", str(target),
        "--checkpoints", str(tmp_path / "checkpoints"),
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr[-3000:]
    found = json.loads(target.read_text())["from_scratch"]
    assert found["lesions_crossing"] == 0
    assert found["test"]["n_images"] == found["images"]["test"] > 0
    assert found["test"]["intervals"]["accuracy"]["ci_low"] <= found["test"]["accuracy"]
    (row,) = LookLedger.open(f"sqlite:///{tmp_path / 'looks.db'}", create=False).rows()
    assert (row.tool, row.images) == ("benchmarks/gpu.py", found["images"]["test"])
    assert found["ledger"]["row"] == row.id == 1
    assert found["looks"] == [stored(row)]
    # Both phases are over: the next training of this kind is another one.
    assert len(list((tmp_path / "checkpoints").glob("*/*/delivered"))) == 2


@pytest.mark.slow
def test_another_backend_is_told_what_is_wanted(root: Path) -> None:
    finished = subprocess.run(
        [sys.executable, "benchmarks/gpu.py"],
        env={**os.environ, "KERAS_BACKEND": "tensorflow"},
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 2
    assert "KERAS_BACKEND=jax python benchmarks/gpu.py" in finished.stderr


def test_the_projection_counts_epochs_validation_and_every_stage_of_freeing(
    script: ModuleType,
) -> None:
    phases = {
        "warmup": {"median": 701.0, "compile_seconds": 10.0},
        "finetune": {"median": 350.5, "compile_seconds": 20.0},
    }
    # 30 x 10 s + 40 x 20 s of learning, 70 x 2 s of validation, 10 s and 10 x 20 s of compiling.
    assert script.projected(phases, 751.0, 10) == pytest.approx((300 + 800 + 140 + 10 + 200) / 60)


@pytest.mark.slow
def test_a_ledger_that_cannot_be_used_is_told_before_anything_is_measured(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "looks.db").write_text("no database at all")
    (tmp_path / "images").mkdir()
    monkeypatch.setenv(URL_VARIABLE, f"sqlite:///{tmp_path / 'looks.db'}")
    finished = run(root, *TINY, "--scratch", str(tmp_path / "images"),
                   "--result", str(tmp_path / "gpu.json"))  # fmt: skip
    assert finished.returncode == 2, finished.stderr[-3000:]
    assert "the ledger of test looks at" in finished.stderr
    assert "Traceback" not in finished.stderr
    assert not (tmp_path / "gpu.json").exists()


class Full(LookLedger):
    """A ledger that has become unwritable since it was opened."""

    def record(self, look: Any) -> Any:
        raise LedgerError("the disk is full")


@pytest.mark.slow
def test_a_training_that_was_cut_off_goes_on_and_the_look_is_kept_before_there_are_figures(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = importlib.import_module("scratch")
    drawn = SyntheticConfig(lesions_per_class=15, max_images_per_lesion=1, height=100, width=100)
    write_synthetic(tmp_path / "drawn.zip", synthetic_metadata(drawn, 3), drawn, 3, workers=1)
    wanted = scratch.Scratch(
        tmp_path / "drawn.zip", "mobilenet", "conv_pw_2_relu", (32, 32), 3,
        {"batch_size": 16, "workers": 1}, tmp_path / "checkpoints", resamples=20,
    )  # fmt: skip
    address = f"sqlite:///{tmp_path / 'looks.db'}"
    trained: list[int] = []
    real = Learner.train

    def train(self: Learner, epoch: int) -> Any:
        if len(trained) == 2:
            raise KeyboardInterrupt
        trained.append(epoch)
        return real(self, epoch)

    kept: list[dict[str, Any]] = []
    monkeypatch.setattr(Learner, "train", train)
    ledger = LookLedger.open(address)
    with pytest.raises(KeyboardInterrupt):
        scratch.train_from_scratch(wanted, ledger, kept.append)
    monkeypatch.setattr(Learner, "train", lambda *given: trained.append(given[1]) or real(*given))
    full = Full.open(address)
    with pytest.raises(LedgerError, match="disk is full"):
        scratch.train_from_scratch(wanted, full, kept.append)
    assert trained == [0, 1, 2], "no epoch was trained twice"
    assert kept == []
    scratch.train_from_scratch(wanted, ledger, lambda found: kept.append(dict(found)))
    assert trained == [0, 1, 2], "a training that could not be measured is not lost"
    first, last = kept
    (row,) = ledger.rows()
    assert first["looks"] == last["looks"] == [stored(row)]
    assert "test" not in first
    assert last["test"]["n_images"] == row.images > 0
    assert last["minutes"] > 0
    # Now it is over, and the same command is another training.
    again = scratch.train_from_scratch(wanted, ledger, kept.append)
    assert trained == [0, 1, 2, 0, 1, 2]
    assert len(again["looks"]) == 2


def ledgers(folder: Path) -> tuple[LookLedger, LookLedger]:
    """That of a borrowed machine, and that at home."""
    borrowed, home = (f"sqlite:///{folder / name}.db" for name in ("borrowed", "home"))
    return LookLedger.open(borrowed), LookLedger.open(home)


def result_of(ledger: LookLedger, path: Path) -> list[dict[str, Any]]:
    """What a borrowed machine brings home, as JSON reads it."""
    path.write_text(json.dumps({"from_scratch": {"looks": [stored(row) for row in ledger.rows()]}}))
    rows: list[dict[str, Any]] = json.loads(path.read_text())["from_scratch"]["looks"]
    return rows


def test_a_look_on_a_borrowed_machine_is_entered_at_home_and_once(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    enter = importlib.import_module("enter_looks")
    borrowed, home = ledgers(tmp_path)
    borrowed.record(make_look("b"))
    borrowed.record(make_look("c"))
    home.record(make_look("a"))
    result_of(borrowed, tmp_path / "gpu.json")
    monkeypatch.setenv(URL_VARIABLE, home.name)
    monkeypatch.setattr(sys, "argv", ["enter_looks.py", str(tmp_path / "gpu.json")])
    assert enter.main() == 0
    assert "row 2 of the other ledger: row 3 here; looks at the same pictures before it: 2" in (
        capsys.readouterr().out
    )
    assert enter.main() == 0
    assert capsys.readouterr().out.count("is here already") == 2
    assert [row.trained_hash[0] for row in home.rows()] == ["a", "b", "c"]
    assert home.verify().sound


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "[]",
        "no JSON",
        '{"from_scratch": {"looks": [{}]}}',
        '{"from_scratch": {"looks": [7]}}',
    ],
)
def test_what_tells_of_no_looks_is_refused_and_makes_no_ledger(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    enter = importlib.import_module("enter_looks")
    (tmp_path / "gpu.json").write_text(text)
    monkeypatch.setenv(URL_VARIABLE, f"sqlite:///{tmp_path / 'home.db'}")
    monkeypatch.setattr(sys, "argv", ["enter_looks.py", str(tmp_path / "gpu.json")])
    assert enter.main() == 1
    assert "gpu.json tells of no looks" in capsys.readouterr().err
    assert not (tmp_path / "home.db").exists()


def test_a_look_that_was_changed_on_its_way_is_not_entered(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    enter = importlib.import_module("enter_looks")
    borrowed, home = ledgers(tmp_path)
    borrowed.record(make_look())
    (row,) = result_of(borrowed, tmp_path / "gpu.json")
    changed = {"from_scratch": {"looks": [row | {"images": row["images"] + 1}]}}
    (tmp_path / "gpu.json").write_text(json.dumps(changed))
    monkeypatch.setenv(URL_VARIABLE, home.name)
    monkeypatch.setattr(sys, "argv", ["enter_looks.py", str(tmp_path / "gpu.json")])
    assert enter.main() == 1
    assert "row 1 of the other ledger is not as it was written" in capsys.readouterr().err
    assert home.head().rows == 0
