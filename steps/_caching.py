"""What the cache key of a step knows about the library.

ZenML hashes the body of a step but not the functions it calls, so a thin step would stay cached
when the library changes. Each step therefore names the library modules that it calls, and the files
these import, directly or not, go into its cache key. Editing the heat-maps thus retrains nothing,
and editing the decoder ingests again.

What counts is the library as it was when the process began: that is the code which runs, whatever
becomes of the files during a training of hours.

`settings/` is left out: its values reach the cache key as step parameters, so a new field of one
step does not re-run the others.
"""

import ast
import contextlib
import functools
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module
from pathlib import Path, PurePosixPath

from zenml.config.cache_policy import CachePolicy

import skin_lesion

PACKAGE = "skin_lesion"
LEFT_OUT = f"{PACKAGE}.settings."
_PREFIX = "fingerprint of "
_TRAINS, _EXPORTS = "modeling.train", "modeling.export"

Sources = Mapping[str, bytes]


def _read(root: Path) -> Sources:
    """Every module of the package, by its path below the folder that holds the package."""
    found: dict[str, bytes] = {}
    for path in (root / PACKAGE).rglob("*.py"):
        # What an editor leaves beside a file is no module, and may be gone again.
        if path.stem.isidentifier():
            with contextlib.suppress(FileNotFoundError):
                found[path.relative_to(root).as_posix()] = path.read_bytes()
    return found


_AT_START = _read(Path(skin_lesion.__file__).parents[1])


def library_cache(*modules: str) -> CachePolicy:
    """Cache policy of a step that calls these modules of the library.

    Nothing is read before ZenML asks for the key.

    Args:
        modules: Dotted names below `skin_lesion`, such as `data.splits`.
    """
    # ZenML stores the import path of a function and resolves it where the key is computed, which
    # may be another process. `__getattr__` below answers for every such name.
    names = " ".join(name.replace(".", "/") for name in modules)
    return CachePolicy(cache_func=f"{__name__}.{_PREFIX}{names}")


def __getattr__(name: str) -> Callable[[], str]:
    if not name.startswith(_PREFIX):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    modules = name.removeprefix(_PREFIX).replace("/", ".").split()
    return functools.partial(library_fingerprint, *modules)


def library_fingerprint(*modules: str, root: Path | None = None) -> str:
    """SHA-256 over the named modules and everything of the library that they import.

    Args:
        modules: Dotted names below `skin_lesion`.
        root: Folder that holds the package; None takes the one that this process runs, as it was
            when it began.

    Raises:
        ModuleNotFoundError: A named module does not exist.
    """
    digest = hashlib.sha256()
    for path, source in sorted(_closure(modules, _AT_START if root is None else _read(root))):
        digest.update(f"{path}\t{hashlib.sha256(source).hexdigest()}\n".encode())
    return digest.hexdigest()


def code_version() -> str:
    """Version of the library with a hash of the code that trains and exports a model."""
    return f"{skin_lesion.__version__}+{library_fingerprint(_TRAINS, _EXPORTS)[:12]}"


def training_code() -> str:
    """Hash of the code that trains alone: checkpoints outlive a change of what is made of them."""
    return library_fingerprint(_TRAINS)


def stated_code(trained_by: Iterable[str]) -> str:
    """What a contract states of the code: that of this process, and whatever else a part came from.

    A phase that is reused, or a member of an ensemble, may be of a run of long ago.

    Args:
        trained_by: Training code of every part, as `training_code` named it when it was trained;
            empty where nobody knows.
    """
    others = set(trained_by) - {training_code()}
    if not others:
        return code_version()
    named = (code[:12] or "unknown code" for code in sorted(others, reverse=True))
    return f"{code_version()}, in part trained by {' and '.join(named)}"


def import_training_code() -> None:
    """Import all that the code version speaks of, before a training begins.

    Much is imported within functions, which may be called hours later: an edit by then would run,
    and no hash would tell.
    """
    for path, _ in _closure((_TRAINS, _EXPORTS), _AT_START):
        import_module(_module_name(path))


def _closure(modules: tuple[str, ...], sources: Sources) -> Iterator[tuple[str, bytes]]:
    """Yield (path, source) of each file in the static import closure."""
    pending = [f"{PACKAGE}.{name}" for name in modules]
    for name in pending:
        if _file_of(name, sources) is None:
            raise ModuleNotFoundError(
                f"A step's library_cache names {name}, but the library holds no such module; "
                "correct the name in the step's decorator"
            )
    seen: set[str] = set()
    while pending:
        name = pending.pop()
        path = _file_of(name, sources)
        if name in seen or path is None or f"{name}.".startswith(LEFT_OUT):
            continue
        seen.add(name)
        source = sources[path]
        yield path, source
        # Importing a module runs the `__init__` of every package above it.
        pending.extend(name.rsplit(".", n)[0] for n in range(1, name.count(".") + 1))
        package = name if path.endswith("/__init__.py") else name.rpartition(".")[0]
        pending.extend(_imported_names(source, package))


def _file_of(name: str, sources: Sources) -> str | None:
    stem = name.replace(".", "/")
    return next((path for path in (f"{stem}.py", f"{stem}/__init__.py") if path in sources), None)


def _module_name(path: str) -> str:
    return ".".join(PurePosixPath(path).with_suffix("").parts).removesuffix(".__init__")


@functools.lru_cache(maxsize=256)
def _imported_names(source: bytes, package: str) -> tuple[str, ...]:
    """Names below the package that a file imports anywhere, function bodies included.

    `from a import b` counts as both `a` and `a.b`, since b may be a module.
    """
    names: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.extend(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.rsplit(".", node.level - 1)[0] if node.level else ""
            base = ".".join(part for part in (above, node.module) if part)
            names.append(base)
            names.extend(f"{base}.{alias.name}" for alias in node.names)
    return tuple(name for name in names if name.split(".")[0] == PACKAGE)
