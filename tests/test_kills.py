"""The benchmark of killed trainings tells where a process died, and passes only what is the same."""

import importlib.util
import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

SAME = {
    "arrays_of_weights": 3,
    "arrays_that_differ": 0,
    "history_is_the_same": True,
    "epoch_kept_is_the_same": True,
    "epochs_in_the_last_mlflow_run": 4,
    "epochs": 4,
}


@pytest.fixture(scope="module")
def script(root: Path) -> Iterator[ModuleType]:
    sys.path.insert(0, str(root / "benchmarks"))
    spec = importlib.util.spec_from_file_location("kills", root / "benchmarks" / "kills.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["kills"] = module  # its dataclasses look themselves up
    spec.loader.exec_module(module)
    yield module
    del sys.modules["kills"]
    sys.path.remove(str(root / "benchmarks"))


def test_a_process_died_at_what_it_noted_last(script: ModuleType, tmp_path: Path) -> None:
    bench = script.Bench(tmp_path)
    assert script.where_killed(bench.events("killed")) == "start"
    (tmp_path / "killed").mkdir()
    lines = [json.dumps({"where": where, "at": 1.0}) for where in ("epoch", "checkpoint")]
    (tmp_path / "killed" / "events.jsonl").write_text("\n".join([*lines, '{"where": "betw']))
    assert script.where_killed(bench.events("killed")) == "checkpoint"


def test_a_kill_counts_what_is_finished_and_what_is_half_written(
    script: ModuleType, tmp_path: Path
) -> None:
    for name in ("warmup/0", "warmup/1", "finetune/2", "finetune/3.partial"):
        (tmp_path / "killed" / "checkpoints" / "key" / name).mkdir(parents=True)
    kill = script.Bench(tmp_path).killed("killed", 1.234)
    assert (kill.seconds, kill.half_written, kill.epochs) == (1.23, 1, 3)


def test_moments_are_those_of_the_seed_and_lie_within_the_longest_life(script: ModuleType) -> None:
    events = [script.Event("epoch", 110.0 + i) for i in range(20)]
    longest = script.longest_life(events, began=100.0)
    assert longest == pytest.approx(10 + script.EPOCHS_OF_A_LIFE * 19 / 20)
    one, again, other = (
        list(itertools.islice(script.moments(seed, longest), 50)) for seed in (0, 0, 1)
    )
    assert one == again != other
    assert 0 <= min(one) < max(one) <= longest


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("arrays_that_differ", 1),
        ("arrays_of_weights", 0),
        ("history_is_the_same", False),
        ("epoch_kept_is_the_same", False),
        ("epochs_in_the_last_mlflow_run", 3),
    ],
)
def test_whatever_differs_or_is_missing_fails(script: ModuleType, name: str, value: int) -> None:
    assert script.good(SAME)
    assert not script.good({**SAME, name: value})


def test_one_bit_makes_an_array_differ(script: ModuleType) -> None:
    class Outcomes:
        def outcome(self, name: str) -> tuple[dict[str, object], list[np.ndarray]]:
            array = np.array([0.0 if name == "whole" else -0.0], np.float32)
            return {"history": [{}], "kept": 0, "logged": 1}, [array, np.ones(2, np.float32)]

    found = script.compare(Outcomes())
    assert (found["arrays_of_weights"], found["arrays_that_differ"]) == (2, 1)
    assert not script.good(found)
