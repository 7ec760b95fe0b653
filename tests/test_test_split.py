"""Who may look at the test split, read from the sources without running them."""

import ast
from pathlib import Path

import pytest

from steps._caching import _closure

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted(
    path
    for room in ("skin_lesion", "steps", "pipelines", "materializers", "app", "benchmarks")
    for path in (ROOT / room).rglob("*.py")
)
# Whoever asks at the door, with the reason that it is no choice of a model by training code.
MAY_LOOK = {
    "skin_lesion/evaluation/report.py": "measures a finished model",
    "skin_lesion/evaluation/verdict.py": "the gates: against the model in production",
    "skin_lesion/registry/comparing.py": "two registered versions",
    "skin_lesion/registry/verification.py": "a registered version against its record",
    "benchmarks/precision.py": "what bfloat16 changes of a registered version",
    "benchmarks/scratch.py": "figures of a finished network, trained from scratch",
    "benchmarks/baselines.py": "standard errors of a finished run",
}
# Whoever reads answers to test pictures that a look recorded.
MAY_READ_ANSWERS = MAY_LOOK.keys() | {
    "skin_lesion/registry/lookup.py",  # of the model in production, for the gates
    "skin_lesion/registry/measurements.py",  # for those above
    "app/clinic/measured.py",  # shows what was recorded
}
# Whoever names the test split otherwise: to share images out, to count them, or to name figures that
# were recorded.
MAY_NAME = MAY_LOOK.keys() | {
    "benchmarks/results_table.py",
    "benchmarks/seeds.py",
    "benchmarks/train_memory.py",  # shares drawn images out
    "materializers/evaluation_report.py",
    "pipelines/life_cycle.py",
    "pipelines/results.py",
    "skin_lesion/data/folds.py",
    "skin_lesion/data/looking.py",
    "skin_lesion/data/split_table.py",
    "skin_lesion/data/splits.py",
    "skin_lesion/evaluation/cards/answers_data.py",
    "skin_lesion/evaluation/cards/answers_flow.py",
    "skin_lesion/evaluation/cards/model_card_results.py",
    "skin_lesion/evaluation/plots.py",
    "skin_lesion/evaluation/summary.py",
    "skin_lesion/tracking.py",
}
DOOR = {"look_at_test", "look_at_answers"}
ANSWERS = {"sample_of_test", "recorded_sample", "logged_predictions"}
HOME = {
    "look_at_test": "skin_lesion/data/looking.py",
    "look_at_answers": "skin_lesion/data/looking.py",
    "sample_of_test": "skin_lesion/evaluation/report.py",
    "recorded_sample": "skin_lesion/registry/measurements.py",
    "logged_predictions": "skin_lesion/tracking.py",
}


def label(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def names(path: Path) -> set[str]:
    """Every name that a file uses, imports or asks an object for."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found.update(alias.name for alias in node.names)
    return found


def texts(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = (node for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return {node.value for node in nodes if isinstance(node.value, str)}


def users(wanted: set[str]) -> set[str]:
    """Files that use one of these names, but for the file that it is defined in."""
    return {
        label(path)
        for path in SOURCES
        if any(HOME[name] != label(path) for name in names(path) & wanted)
    }


def test_only_named_modules_look_at_the_test_split() -> None:
    assert users(DOOR) == MAY_LOOK.keys()


def test_only_named_modules_read_recorded_answers_to_test_pictures() -> None:
    assert users(ANSWERS) <= MAY_READ_ANSWERS


def test_nobody_else_names_the_test_split() -> None:
    """`rows["split"] == "test"` would be a way round the door."""
    assert {label(path) for path in SOURCES if "test" in texts(path)} <= MAY_NAME


@pytest.mark.parametrize("name", ["MAY_LOOK", "MAY_READ_ANSWERS", "MAY_NAME"])
def test_every_module_that_is_named_is_there(name: str) -> None:
    assert all((ROOT / path).is_file() for path in globals()[name])


@pytest.mark.parametrize(
    "module",
    ["modeling.train", "modeling.export", "modeling.ensemble", "data.loader", "data.augment"],
)
def test_code_that_trains_has_no_way_to_the_door(module: str) -> None:
    reached = {path for path, _ in _closure((module,), ROOT)}
    forbidden = ("skin_lesion/data/looking.py", "skin_lesion/evaluation/", "skin_lesion/registry/",
                 "skin_lesion/ledger/")  # fmt: skip
    assert reached
    assert not {path for path in reached if path.startswith(forbidden)}
