"""The locks: complete, checked by hash, the same everywhere, and tied to no package index."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
RUNTIME = ROOT / "requirements.lock"
DEV = ROOT / "requirements-dev.lock"
GPU = ROOT / "requirements-gpu.lock"
BOOTSTRAP = ROOT / "requirements-bootstrap.lock"
LOCKS = (RUNTIME, DEV, GPU, BOOTSTRAP)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def entries(lock: Path) -> list[str]:
    """Requirements of a lock, each with its continued lines joined and its comments gone."""
    text = re.sub(r"^\s*#.*\n", "", lock.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return [line for line in text.replace("\\\n", " ").splitlines() if line.strip()]


def pins(lock: Path) -> dict[str, str]:
    """Name -> pinned version."""
    requirements = [Requirement(entry.split("--hash")[0].strip()) for entry in entries(lock)]
    return {canonicalize_name(r.name): str(r.specifier) for r in requirements}


def declared(*extras: str) -> list[Requirement]:
    lines = PROJECT["dependencies"] + [
        line for extra in extras for line in PROJECT["optional-dependencies"][extra]
    ]
    return [Requirement(line) for line in lines]


def file_name(path: Path) -> str:
    return path.name


@pytest.mark.parametrize("lock", LOCKS, ids=file_name)
def test_every_requirement_is_pinned_and_has_a_hash(lock: Path) -> None:
    assert entries(lock)
    for entry in entries(lock):
        assert re.match(r"[\w.\[\]-]+==[\w.!+]+( ;[^-]*)? +--hash=sha256:[0-9a-f]{64}", entry), (
            entry
        )


@pytest.mark.parametrize("lock", LOCKS, ids=file_name)
def test_no_lock_names_a_package_index(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")
    assert not re.search(r"https?://|file:|--(extra-)?index-url|--find-links|-i ", text)


@pytest.mark.parametrize(
    ("lock", "extras"),
    [(RUNTIME, ("cpu", "app")), (DEV, ("cpu", "app", "dev")), (GPU, ("gpu", "app"))],
    ids=["runtime", "dev", "gpu"],
)
def test_a_lock_satisfies_what_the_project_declares(lock: Path, extras: tuple[str, ...]) -> None:
    locked = pins(lock)
    for requirement in declared(*extras):
        version = locked[canonicalize_name(requirement.name)].removeprefix("==")
        assert requirement.specifier.contains(version), f"{requirement} against {version}"


def test_the_development_lock_installs_over_the_runtime_lock_without_changing_it() -> None:
    assert pins(RUNTIME).items() <= pins(DEV).items()


def test_the_build_backend_is_locked_so_that_the_project_installs_offline() -> None:
    for lock in (RUNTIME, DEV, GPU):
        assert "setuptools" in pins(lock)
