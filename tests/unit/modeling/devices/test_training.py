"""Whole trainings on two devices and by two processes: what is recorded, and what is resumed.

The recipe has all its parts: small pictures first, an average of the weights, accumulated
gradients, a rate for every block.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from ..conftest import MakeData, hand_over
from .conftest import RunPrograms, cluster, virtual

PROGRAM = str(Path(__file__).with_name("train_program.py"))

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(make_data: MakeData, tmp_path: Path) -> Path:
    data = make_data(size=(40, 40), per_class=7)
    hand_over(data, tmp_path)
    return tmp_path


def told(output: str) -> dict[str, Any]:
    return dict(json.loads(output.splitlines()[-1]))


def forget(folder: Path) -> None:
    (folder / "checkpoints").rename(folder / f"old{len(list(folder.iterdir()))}")


@pytest.mark.parametrize(
    "backend", ["tensorflow", pytest.param("jax", marks=pytest.mark.exhaustive)]
)
def test_a_training_is_the_same_on_two_devices_and_is_resumed_on_another_number_of_them(
    backend: str, folder: Path, run_programs: RunPrograms
) -> None:
    def train(devices: str, stop: str = "none") -> dict[str, Any]:
        (output,) = run_programs([PROGRAM, str(folder), devices, stop], virtual(backend))
        return told(output)

    one = train("none")
    forget(folder)
    assert train("2", stop="2")["reported"] == [0, 1, 2]
    again = train("none", stop="3")
    assert again["reported"] == [0, 1, 2, 3], "goes on where two devices stopped"
    two = train("2")
    assert two["reported"] == [0, 1, 2, 3, 4]
    for name in ("loss", "val_loss"):
        assert two[name] == pytest.approx(one[name], rel=1e-3)
    assert two["best_epoch"] == one["best_epoch"]
    assert not two["synchronized"]
    assert [facts["count"] for facts in two["devices"]] == [2, 2]
    assert {facts["backend"] for facts in one["devices"]} == {backend}


def test_two_processes_train_together_and_the_first_alone_writes_and_reports(
    folder: Path, run_programs: RunPrograms
) -> None:
    (output,) = run_programs([PROGRAM, str(folder), "none", "none"], virtual("jax"))
    one = told(output)
    forget(folder)
    chief, other = map(
        told, run_programs([PROGRAM, str(folder), "none", "none"], *cluster(processes=2))
    )
    assert chief["reported"] == [0, 1, 2, 3, 4]
    assert other["reported"] == []
    assert other["devices"] == []
    assert [facts["processes"] for facts in chief["devices"]] == [2, 2]
    for name in ("loss", "val_loss"):
        assert chief[name] == pytest.approx(one[name], rel=1e-3)
        assert other[name] == pytest.approx(chief[name], rel=1e-6)
    # What they leave is what one leaves: who trains alone goes on from it.
    (output,) = run_programs([PROGRAM, str(folder), "none", "none"], virtual("jax"))
    assert told(output)["loss"] == chief["loss"]
