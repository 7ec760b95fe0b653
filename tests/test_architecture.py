"""The arrows between the rooms (see README, "Layout"), read from the source without running it."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("skin_lesion", "materializers", "steps", "pipelines", "app")

# Room -> the rooms of ours it may import, itself included.
MAY_IMPORT = {
    "skin_lesion": {"skin_lesion"},
    "materializers": {"materializers", "skin_lesion"},
    "steps": {"steps", "materializers", "skin_lesion"},
    "pipelines": {"pipelines", "steps", "skin_lesion"},
    "app": {"app", "skin_lesion"},
}
# Inside the library: part -> parts it must not know of.
LIBRARY_MUST_NOT_IMPORT = {
    "data": {"modeling", "evaluation", "explain"},
    "modeling": {"evaluation"},
}
# Imported where they are used, so that a command or a cached run starts fast.
HEAVY = {
    "great_expectations",
    "jax",
    "kagglehub",
    "keras",
    "matplotlib",
    "mlflow",
    "openvino",
    "sklearn",
    "tensorflow",
    "torch",
}
# Modules that define classes of a heavy library, or functions over it, are as heavy as it is: they
# are imported inside functions too.
HEAVY_MODULES = {
    "skin_lesion.data.loader": {"keras"},
    "skin_lesion.data.pixel_ops": {"keras"},
    "skin_lesion.pyfunc": {"mlflow"},
}
# Never, not even inside a function.
FORBIDDEN = {"skin_lesion": {"zenml", "streamlit"}, "app": {"zenml", "tensorflow", "keras"}}
# Files, and folders with all that is in them.
MLFLOW_SPEAKERS = (
    "skin_lesion/tracking.py",
    "skin_lesion/live/",
    "skin_lesion/tracking_evaluation.py",
    "skin_lesion/tracking_members.py",
    "skin_lesion/tracking_trials.py",
    "skin_lesion/registry/",
    "skin_lesion/pyfunc.py",
)


def sources(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


ALL_SOURCES = [path for room in ROOMS for path in sources(room)]


def label(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imported_modules(node: ast.AST, path: Path) -> Iterator[str]:
    """Absolute names that one statement imports; `from a import b` counts as a and a.b."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            package = module_name(path).split(".")
            if path.name != "__init__.py":
                package = package[:-1]
            package = package[: len(package) - node.level + 1]
            base = ".".join([*package, *base.split(".")] if base else package)
        yield base
        yield from (f"{base}.{alias.name}" for alias in node.names)


def walk_without_functions(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node that runs on import: no function bodies, no `if TYPE_CHECKING`."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from (n for child in node.orelse for n in [child, *walk_without_functions(child)])
            continue
        yield node
        yield from walk_without_functions(node)


def imports(path: Path, *, on_import_only: bool = False) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    nodes = walk_without_functions(tree) if on_import_only else ast.walk(tree)
    return {name for node in nodes for name in imported_modules(node, path)}


def roots(names: set[str]) -> set[str]:
    return {name.split(".")[0] for name in names}


@pytest.mark.parametrize("path", ALL_SOURCES, ids=label)
def test_a_room_imports_only_the_rooms_below_it(path: Path) -> None:
    room = path.relative_to(ROOT).parts[0]
    assert roots(imports(path)) & set(ROOMS) <= MAY_IMPORT[room]


@pytest.mark.parametrize("path", ALL_SOURCES, ids=label)
def test_no_room_imports_what_is_foreign_to_it(path: Path) -> None:
    room = path.relative_to(ROOT).parts[0]
    assert not roots(imports(path)) & FORBIDDEN.get(room, set())


@pytest.mark.parametrize("part", sorted(LIBRARY_MUST_NOT_IMPORT))
def test_parts_of_the_library_keep_their_order(part: str) -> None:
    forbidden = tuple(f"skin_lesion.{other}" for other in LIBRARY_MUST_NOT_IMPORT[part])
    crossings = {
        label(path): sorted(name for name in imports(path) if name.startswith(forbidden))
        for path in sources(f"skin_lesion/{part}")
    }
    assert not {path: names for path, names in crossings.items() if names}


@pytest.mark.parametrize("path", sources("steps"), ids=label)
def test_no_step_imports_another_step(path: Path) -> None:
    if path.name == "__init__.py":
        pytest.skip("the package gathers its steps")
    others = {name for name in imports(path) if name.startswith("steps.")}
    assert all(name.split(".")[1].startswith("_") for name in others), others


@pytest.mark.parametrize("path", ALL_SOURCES, ids=label)
def test_importing_a_module_imports_nothing_heavy(path: Path) -> None:
    at_import = imports(path, on_import_only=True)
    if module_name(path) in HEAVY_MODULES:
        assert roots(at_import) & HEAVY == HEAVY_MODULES[module_name(path)]
    else:
        assert not roots(at_import) & HEAVY
        assert not at_import & HEAVY_MODULES.keys()


def test_serving_needs_no_training_framework() -> None:
    needed = imports(ROOT / "skin_lesion/inference.py") | imports(
        ROOT / "skin_lesion/explain/gradcam.py"
    )
    assert not roots(needed) & {"tensorflow", "keras", "torch", "jax"}


def test_only_the_registry_modules_of_the_library_speak_mlflow() -> None:
    speakers = {label(path) for path in sources("skin_lesion") if "mlflow" in roots(imports(path))}
    assert not {speaker for speaker in speakers if not speaker.startswith(MLFLOW_SPEAKERS)}


@pytest.mark.parametrize("path", ALL_SOURCES, ids=label)
def test_only_the_command_line_prints(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    prints = [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
    ]
    assert label(path).startswith(("pipelines/cli.py", "pipelines/commands/")) or not prints


def test_no_folder_shadows_the_docker_sdk() -> None:
    assert not (ROOT / "docker" / "__init__.py").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["-m", "pipelines.cli", "--help"],
        ["-c", "import skin_lesion.data.sources"],  # runs whenever a pipeline is compiled
        ["-c", "import skin_lesion.inference"],
    ],
    ids=["skin-lesion --help", "sources", "inference"],
)
def test_an_entry_point_loads_nothing_heavy(arguments: list[str]) -> None:
    """The rule above on what really gets loaded, through third-party modules too."""
    finished = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line for line in finished.stderr.splitlines() if line.startswith("import time:")]
    loaded = roots({line.rpartition("|")[2].strip() for line in lines})
    assert "argparse" in loaded or "numpy" in loaded  # the trace was understood
    assert not loaded & (HEAVY | {"zenml"})
