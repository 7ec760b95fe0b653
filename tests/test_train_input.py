"""The benchmark of the training input measures both sides alike."""

import importlib.util
from pathlib import Path


def test_who_goes_first_changes_from_round_to_round(root: Path) -> None:
    spec = importlib.util.spec_from_file_location(
        "train_input", root / "benchmarks" / "train_input.py"
    )
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    calls: list[tuple[str, int]] = []
    sides = {name: lambda turn, n=name: calls.append((n, turn)) for name in ("loader", "constant")}
    rates = script.rates_in_turn(sides, rounds=3, images=8)
    assert calls == [
        ("loader", 1), ("constant", 1), ("constant", 2), ("loader", 2), ("loader", 3),
        ("constant", 3),
    ]  # fmt: skip
    assert {name: len(found) for name, found in rates.items()} == {"loader": 3, "constant": 3}
