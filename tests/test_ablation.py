"""The ablation: what its rows may say, that a row learns from no test picture, and how it is told."""

import copy
import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import yaml

SMALL = {
    "parameters": {
        "source": {"synthetic": {"lesions_per_class": 8, "height": 48, "width": 64}},
        "image_size": [48, 64],
        "seed": 3,
        "backbone": {"name": "mobilenet", "weights": "none", "feature_layer": "conv_pw_2_relu"},
    },
    "steps": {
        "warmup_train": {"parameters": {"config": {"epochs": 1, "batch_size": 8}}},
        "finetune_train": {"parameters": {"config": {"epochs": 3, "batch_size": 8}}},
    },
}
ROWS = {
    "base": {"asks": "as it is"},
    "views": {"asks": "all views", "views": "all"},
    "smaller": {"asks": "smaller pictures", "image_size": [32, 48]},
    "focal": {"asks": "another loss", "set": {"augment.imbalance": "focal"}},
}


@pytest.fixture(scope="module")
def script(root: Path) -> Iterator[ModuleType]:
    sys.path.insert(0, str(root / "benchmarks"))
    yield importlib.import_module("ablation")
    sys.path.remove(str(root / "benchmarks"))


def plan_of(script: ModuleType, folder: Path, **changes: Any) -> Any:
    (folder / "config.yaml").write_text(yaml.safe_dump(SMALL))
    written = {
        "base": str(folder / "config.yaml"),
        "image_size": [48, 64],
        "budget": {"finetune_train.epochs": 1},
        "rows": ROWS,
    } | changes
    (folder / "rows.yaml").write_text(yaml.safe_dump(written, sort_keys=False))
    return script.read_plan(folder / "rows.yaml")


def test_every_row_of_the_project_can_be_trained_and_differs_from_the_base(
    script: ModuleType,
) -> None:
    plan = script.read_plan()
    stated = [json.dumps(plan.stated(row)) for row in plan.rows.values()]
    assert len(set(stated)) == len(stated) > 10
    ways = {plan.recipe(row).augment.imbalance for row in plan.rows.values()}
    assert len(ways) == 5, "every way to make up for rare classes is tried"


@pytest.mark.parametrize(
    ("rows", "named"),
    [
        ({"other": {"asks": "?"}}, "'base' that changes nothing"),
        ({"base": {"asks": "?", "set": {"augment.imbalance": "none"}}}, "'base' that changes"),
        ({**ROWS, "typo": {"asks": "?", "set": {"augment.imbalanc": 1}}}, "row typo"),
    ],
)
def test_a_plan_that_cannot_be_carried_out_is_refused_before_anything_is_trained(
    script: ModuleType, tmp_path: Path, rows: dict[str, Any], named: str
) -> None:
    with pytest.raises(ValueError, match=named):
        plan_of(script, tmp_path, rows=rows)


def test_rows_of_every_size_have_the_same_lesions_and_none_of_the_test_split(
    script: ModuleType, tmp_path: Path
) -> None:
    plan = plan_of(script, tmp_path)
    data = sys.modules["ablation_data"]
    full, small = (data.data_at(plan, size, tmp_path / "data") for size in ((48, 64), (32, 48)))
    assert full.split.split_hash == small.split.split_hash
    assert set(full.split.rows["split"]) == {"train", "val"}
    assert full.images.shape == (len(full.split.rows), 48, 64, 3)
    assert small.images.shape == (len(full.split.rows), 32, 48, 3)
    again = data.data_at(plan, (48, 64), tmp_path / "data")
    assert again.images.sha256 == full.images.sha256
    assert again.split.rows.equals(full.split.rows)


def recorded(script: ModuleType, plan: Any) -> dict[str, Any]:
    def row(name: str, value: float, low: float, high: float) -> dict[str, Any]:
        difference = {"value": value, "ci_low": low, "ci_high": high}
        return {
            "stated": plan.stated(plan.rows[name]),
            "minutes": 9.6,
            "machine": "a machine",
            "commit": "abcdef0",
            "dirty": False,
            "images": 1400,
            "lesions": 1100,
            "figures": dict.fromkeys(script.SHOWN, 0.7 + value),
            "against_base": dict.fromkeys(script.SHOWN, difference),
        }

    return {"rows": {"focal": row("focal", -0.03, -0.05, -0.01), "base": row("base", 0, 0, 0)}}


def test_a_row_is_told_beside_the_base_and_what_is_missing_or_stale_is_named(
    script: ModuleType, tmp_path: Path
) -> None:
    plan = plan_of(script, tmp_path)
    found = recorded(script, plan)
    script.write(plan, found, tmp_path / "ablation.json")
    page = (tmp_path / "ablation.md").read_text()
    assert "0.670<br>**-0.030 (-0.050 to -0.010)**" in page
    assert page.index("`base`") < page.index("`focal`"), "in the plan's order"
    assert "Not trained yet: views, smaller." in page
    assert "have changed since" not in page
    changed = copy.deepcopy(found)
    changed["rows"]["focal"]["stated"]["seed"] = 99
    assert not script.done("focal", plan, changed)
    assert script.done("focal", plan, found)
    script.write(plan, changed, tmp_path / "ablation.json")
    assert "have changed since: focal." in (tmp_path / "ablation.md").read_text()


@pytest.mark.slow
def test_rows_are_trained_recorded_and_gone_on_with(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_of(script, tmp_path)
    monkeypatch.setattr(script, "WORK", tmp_path / "work")
    monkeypatch.setattr(script, "RESULT", tmp_path / "ablation.json")
    monkeypatch.setattr(script, "read_plan", lambda: plan)
    monkeypatch.setattr(sys, "argv", ["ablation.py", "--only", "base", "--only", "views"])
    assert script.main() == 0
    rows = json.loads((tmp_path / "ablation.json").read_text())["rows"]
    assert list(rows) == ["base", "views"]
    assert rows["base"]["against_base"]["macro_f1"]["value"] == 0
    assert all(row["minutes"] > 0 and row["images"] > 0 for row in rows.values())
    answers = [np.load(tmp_path / "work" / "answers" / f"{name}.npy") for name in rows]
    assert answers[0].shape == (rows["base"]["images"], 7)
    assert not np.allclose(*answers), "other views are other pictures to the network"
    assert rows["base"]["minutes"] == rows["views"]["minutes"], "trained once for both"
    assert len(list((tmp_path / "work" / "checkpoints").iterdir())) == 2, "a folder for each phase"
