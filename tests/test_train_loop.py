"""The benchmark of the training loop measures what it says, and both sides alike."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from skin_lesion.settings import BackboneConfig


@pytest.fixture(scope="module")
def script(root: Path) -> Iterator[ModuleType]:
    sys.path.insert(0, str(root / "benchmarks"))
    spec = importlib.util.spec_from_file_location(
        "train_loop", root / "benchmarks" / "train_loop.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.path.remove(str(root / "benchmarks"))


def test_a_sparing_trainer_learns_from_batches_spread_over_the_whole_epoch(
    script: ModuleType,
) -> None:
    memory = sys.modules["train_memory"]
    learnt: list[int] = []

    class Trainer:
        optimizer = "adam"

        def train_on_batch(self, number: int, *, return_dict: bool) -> dict[str, float]:
            learnt.append(number)
            return {"loss": float(number)}

    sparing = memory.Sparing(Trainer(), 400)
    answers = [sparing.train_on_batch(i, return_dict=True)["loss"] for i in range(400)]
    assert learnt == list(range(0, 400, 400 // memory.LEARNT))
    assert answers[399] == learnt[-1]
    assert sparing.optimizer == "adam"


def test_images_for_training_and_validation_are_their_shares_of_ten_times_as_many(
    script: ModuleType,
) -> None:
    memory = sys.modules["train_memory"]
    few, many = (memory.split_of(memory.shares(n)) for n in (10_000, 100_000))
    assert len(few.indices("train")) == 7000
    assert len(many.indices("train")) == 70_000
    assert len(many.indices("val")) == 15_000


def test_who_goes_first_changes_from_round_to_round(script: ModuleType) -> None:
    calls: list[tuple[str, int]] = []
    sides = {name: lambda turn, n=name: calls.append((n, turn)) for name in ("loop", "bare")}
    rates = [script.rates_in_turn(sides, turn, images=8) for turn in (1, 2, 3)]
    assert calls == [("loop", 1), ("bare", 1), ("bare", 2), ("loop", 2), ("loop", 3), ("bare", 3)]
    assert all(set(found) == {"loop", "bare"} for found in rates)


@pytest.mark.slow
def test_a_round_has_a_ratio_of_every_comparison(script: ModuleType) -> None:
    backbone = BackboneConfig(name="mobilenet", weights="none", feature_layer="conv_pw_2_relu")
    throughput, checkpoint = script.measure(backbone, (32, 32), count=2, rounds=2)
    assert throughput["bound"] == 0.95
    assert checkpoint["bound"] == 0.02
    assert len(throughput["ratios"]) == len(checkpoint["ratios"]) == 2
    assert checkpoint["megabytes"] > 0
    assert all(ratio > 0 for ratio in throughput["ratios"] + checkpoint["ratios"])
