"""The benchmark for accelerators runs with Keras and JAX alone, here at a tiny size on the CPU."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from skin_lesion.data.synthetic import synthetic_metadata, write_synthetic
from skin_lesion.ledger import URL_VARIABLE, LookLedger
from skin_lesion.settings import SyntheticConfig

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
    import importlib

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
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr[-3000:]
    found = json.loads(target.read_text())["from_scratch"]
    assert found["lesions_crossing"] == 0
    assert found["test"]["n_images"] == found["images"]["test"] > 0
    assert found["test"]["intervals"]["accuracy"]["ci_low"] <= found["test"]["accuracy"]
    (row,) = LookLedger.open(f"sqlite:///{tmp_path / 'looks.db'}", create=False).rows()
    assert (row.tool, row.images) == ("benchmarks/gpu.py", found["images"]["test"])
    assert found["ledger"]["row"] == row.id == 1


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
