"""The commands that a person types first: make and activate.sh."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def make(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k not in {"HAM10000_PATH", "MAKEFLAGS"}}
    return subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=ROOT,
        env=environment | variables,
        capture_output=True,
        text=True,
        check=False,
    )


def test_make_without_a_target_lists_them_all() -> None:
    listed = set(re.findall(r"^  ([a-z-]+)", make().stdout, flags=re.MULTILINE))
    assert {
        *("help", "setup", "demo", "results", "train", "mlflow", "dashboard"),
        *("test", "check", "bench", "lock", "clean"),
    } <= listed


@pytest.mark.parametrize("path", ["", "/nowhere/ham10000.zip"])
def test_training_on_real_images_asks_for_them_before_anything_else(path: str) -> None:
    finished = make("train", HAM10000_PATH=path)
    assert finished.returncode != 0
    assert f"HAM10000_PATH is '{path}'" in finished.stderr
    assert "make train HAM10000_PATH=" in finished.stderr


def test_training_names_the_configurations_there_are() -> None:
    finished = make("train", "CONFIG=configs/nothing.yaml")
    assert finished.returncode != 0
    assert "configs/ham10000_cpu.yaml" in finished.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_activating_keeps_everything_inside_the_project(shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    project = tmp_path / "a project"
    (project / ".venv" / "bin").mkdir(parents=True)
    (project / ".venv" / "bin" / "activate").write_text("export VIRTUAL_ENV=yes\n")
    shutil.copy(ROOT / "activate.sh", project)
    finished = subprocess.run(
        [shell, "-euc", 'source "$1/activate.sh"; env', shell, str(project)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "ZENML_CONFIG_PATH": "/home/me/zenml"},
        capture_output=True,
        text=True,
        check=True,
    )
    variables = dict(line.split("=", 1) for line in finished.stdout.splitlines() if "=" in line)
    assert variables["VIRTUAL_ENV"] == "yes"
    assert variables["ZENML_CONFIG_PATH"] == f"{project}/.zenml"
    assert variables["MLFLOW_TRACKING_URI"] == f"sqlite:///{project}/.work/store/mlflow.db"
    assert "PYTHONDONTWRITEBYTECODE" not in variables


def test_activating_without_an_environment_says_how_to_make_one(tmp_path: Path) -> None:
    shutil.copy(ROOT / "activate.sh", tmp_path)
    finished = subprocess.run(
        ["bash", "-c", "source ./activate.sh"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode != 0
    assert "setup" in finished.stderr
