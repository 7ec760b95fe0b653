"""What a call of `benchmarks/gpu.py` measures anew replaces its part of the file and no other."""

import importlib
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture
def kept(root: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(root / "benchmarks"))
    return importlib.import_module("gpu_result")


def speeds(projected: float, **parts: Any) -> dict[str, Any]:
    return {"device": "a card", "seed_recipe": {"projected_minutes": projected}, **parts}


def scratch(*hashes: str, **figures: Any) -> dict[str, Any]:
    return {"looks": [{"id": i, "row_hash": one} for i, one in enumerate(hashes)], **figures}


def test_the_whole_recipe_stays_when_only_speed_is_measured_again(kept: ModuleType) -> None:
    earlier = speeds(9.0)
    earlier["seed_recipe"] |= {"measured_minutes": {"both": 11.0}, "measured_on": "a card"}
    assert kept.with_earlier(speeds(8.0), earlier)["seed_recipe"] == {
        "projected_minutes": 8.0,
        "measured_minutes": {"both": 11.0},
        "measured_on": "a card",
    }


def test_the_whole_recipe_is_replaced_when_it_is_measured_again(kept: ModuleType) -> None:
    earlier, now = speeds(9.0), speeds(8.0)
    earlier["seed_recipe"]["measured_minutes"] = {"both": 11.0}
    now["seed_recipe"]["measured_minutes"] = {"both": 10.0}
    assert kept.with_earlier(now, earlier)["seed_recipe"]["measured_minutes"] == {"both": 10.0}


def test_figures_from_scratch_stay_when_only_speed_is_measured_again(kept: ModuleType) -> None:
    earlier = speeds(9.0, from_scratch=scratch("a", test={"accuracy": 0.7}))
    assert kept.with_earlier(speeds(8.0), earlier)["from_scratch"] == earlier["from_scratch"]


def test_no_look_is_dropped_and_none_is_told_twice(kept: ModuleType) -> None:
    """Killed after a look and begun again on a machine whose ledger is empty."""
    earlier = speeds(9.0, from_scratch=scratch("a", "b"))
    now = speeds(8.0, from_scratch=scratch("b", "c", test={"accuracy": 0.8}))
    merged = kept.with_earlier(now, earlier)["from_scratch"]
    assert [row["row_hash"] for row in merged["looks"]] == ["a", "b", "c"]
    assert merged["test"] == {"accuracy": 0.8}


def test_what_is_kept_is_found_by_the_next_call(kept: ModuleType, tmp_path: Path) -> None:
    target = tmp_path / "gpu.json"
    assert kept.read_result(target) == {}
    kept.keep_result(speeds(9.0, from_scratch=scratch("a")), {}, target)
    kept.keep_result(speeds(8.0), kept.read_result(target), target)
    assert json.loads(target.read_text())["from_scratch"] == scratch("a")


def test_without_a_file_nothing_is_read_or_written(kept: ModuleType) -> None:
    assert kept.read_result(None) == {}
    kept.keep_result(speeds(9.0), {}, None)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"seed_recipe": 3}'])
def test_another_file_is_not_written_over(kept: ModuleType, tmp_path: Path, text: str) -> None:
    target = tmp_path / "gpu.json"
    target.write_text(text)
    with pytest.raises(ValueError, match="is no result of this program"):
        kept.read_result(target)
