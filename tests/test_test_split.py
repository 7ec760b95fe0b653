"""Who may look at the test split, read from the sources without running them."""

import ast
from pathlib import Path

import pytest

from steps._caching import _closure, _imported_names, _read

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
    "skin_lesion/tracking_evaluation.py",
}
BENCHMARKS = ROOT / "benchmarks"
IN_BENCHMARKS = {path.stem for path in BENCHMARKS.glob("*.py")}
ABLATION = list(BENCHMARKS.glob("ablation*.py"))
DOOR = {"look_at_test", "look_at_answers"}
ANSWERS = {"sample_of_test", "recorded_sample", "logged_predictions"}
HOME = {
    "look_at_test": "skin_lesion/data/looking.py",
    "look_at_answers": "skin_lesion/data/looking.py",
    "sample_of_test": "skin_lesion/evaluation/report.py",
    "recorded_sample": "skin_lesion/registry/measurements.py",
    "logged_predictions": "skin_lesion/tracking_evaluation.py",
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


def modules(*rooms: str) -> list[str]:
    """Every module of these packages and modules, as the steps name them."""
    package = ROOT / "skin_lesion"
    files = [path for room in rooms for path in (package / room).rglob("*.py")]
    paths = files + [path for room in rooms if (path := package / f"{room}.py").is_file()]
    return sorted(
        ".".join(path.relative_to(package).with_suffix("").parts).removesuffix(".__init__")
        for path in paths
    )


def forbidden(reached: set[str]) -> set[str]:
    """Files that lead to the test split, or to what was seen of it."""
    rooms = ("skin_lesion/data/looking.py", "skin_lesion/registry/", "skin_lesion/ledger/")
    return {path for path in reached if path.startswith(rooms)} | (reached & MAY_READ_ANSWERS)


def reached_by(*names: str) -> set[str]:
    """Files of the library that these modules of it import, directly or not, themselves included."""
    below = tuple(name.removeprefix("skin_lesion.") for name in names)
    return {path for path, _ in _closure(below, _read(ROOT))}


def reached_from(program: Path) -> set[str]:
    """Files that a program of the benchmarks imports, directly or not, those beside it included."""
    pending, beside, library = [program], set[str](), set[str]()
    while pending:
        path = pending.pop()
        if label(path) not in beside:
            beside.add(label(path))
            pending += (BENCHMARKS / f"{name}.py" for name in imported(path) & IN_BENCHMARKS)
            library.update(_imported_names(path.read_bytes(), "benchmarks"))
    # `from a import b` counts as both `a` and `a.b`, and b may be no module.
    return beside | reached_by(*library & {f"skin_lesion.{name}" for name in modules(".")})


def imported(path: Path) -> set[str]:
    """Modules that a file imports by one name, anywhere in it."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return plain | {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}


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


@pytest.mark.parametrize("module", modules("modeling", "data/loader", "data/augment"))
def test_code_that_trains_has_no_way_to_the_door(module: str) -> None:
    reached = reached_by(module)
    assert reached
    assert not forbidden(reached)
    assert not {path for path in reached if path.startswith("skin_lesion/evaluation/")}


@pytest.mark.parametrize(
    "module", modules("tuning", "live", "tracking", "tracking_members", "tracking_trials")
)
def test_code_that_searches_or_watches_a_training_has_no_way_to_it_either(module: str) -> None:
    reached = reached_by(module)
    assert reached
    assert not forbidden(reached)


@pytest.mark.parametrize("program", sorted(path.name for path in ABLATION))
def test_the_ablation_has_no_way_to_it_either(program: str) -> None:
    """It chooses the recipe."""
    reached = reached_from(BENCHMARKS / program)
    assert f"benchmarks/{program}" in reached
    assert not forbidden(reached)


def test_the_way_of_what_does_look_is_seen() -> None:
    """Else what is said above would be said of anything."""
    for module in ("release", "evaluation.report", "registry.lookup", "tracking_evaluation"):
        assert forbidden(reached_by(module)), module
    assert forbidden(reached_from(BENCHMARKS / "seeds.py"))
