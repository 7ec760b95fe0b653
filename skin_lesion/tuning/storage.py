"""Where a study is kept, what it is called, and what it is about."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from skin_lesion.modeling.weights import PLACES
from skin_lesion.tuning.search import Search

if TYPE_CHECKING:
    import optuna

DATABASE = "study.db"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_IDENTITY = "identity"  # an attribute of the study
_SIZE_AND_TIME = re.compile(r"(?P<size>\d+)-(?P<time>\d+)")
_LOCK_SECONDS = 60  # that a write waits for a reader of the file, such as a dashboard


@contextmanager
def opened_storage(folder: Path) -> "Iterator[optuna.storages.RDBStorage]":
    """Optuna's SQLite file in a folder, made where there is none; closed again in the end.

    Raises:
        RuntimeError: It is none of Optuna's.
    """
    import optuna

    storage = optuna.storages.RDBStorage(
        # In a plain address a question mark in the path would end it.
        f"sqlite:///file:{quote(str((folder / DATABASE).resolve()))}?uri=true",
        engine_kwargs={"connect_args": {"timeout": _LOCK_SECONDS}},
    )
    try:
        yield storage
    finally:
        storage.remove_session()
        storage.engine.dispose()


def check_name(name: str) -> None:
    """Refuse a name of a study that is no name of a folder everywhere.

    Raises:
        ValueError: It is none.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"study is {name!r}; expected at most 100 letters, digits, '-', '_' and '.', the first one "
            "a letter or digit"
        )


def check_identity(
    study: "optuna.Study",
    identity: Mapping[str, Any],
    search: Search,
    formerly: Mapping[str, Any] | None = None,
) -> None:
    """Write down what makes the scores of a study comparable, or hold it against what is there.

    Where weights lie makes no difference, only what they are.

    Args:
        study: Optuna's.
        identity: What makes scores comparable, such as the data, as JSON has it.
        search: What is searched, and how.
        formerly: Parts of the identity as an earlier version of the library would have written them;
            a study that has them so is accepted, and has today's from then on.

    Raises:
        ValueError: The study is about something else.
    """
    mine = json.loads(
        json.dumps(
            {
                **identity,
                "space": search.space.described(),
                "recipe": _without_places(search.space.base.model_dump(mode="json")),
                "study": search.config.model_dump(mode="json"),
            }
        )
    )
    before = json.loads(json.dumps(dict(formerly or {})))
    written = study.user_attrs.get(_IDENTITY)
    theirs = written and {**written, "recipe": _without_places(written.get("recipe", {}))}
    if theirs and (other := [key for key in mine if not _same(key, theirs, mine, before)]):
        raise ValueError(
            f"study {study.study_name} was begun with another {' and '.join(other)}, so that its "
            "trials could not be compared; begin a new one with --study NAME, or put "
            f"{'it' if len(other) == 1 else 'them'} back"
            f"{_about_time(theirs, before) if 'weights' in other else ''}"
        )
    if written != mine:
        study.set_user_attr(_IDENTITY, mine)


def _same(
    key: str, theirs: Mapping[str, Any], mine: Mapping[str, Any], before: Mapping[str, Any]
) -> bool:
    if key not in theirs:
        return False
    return theirs[key] == mine[key] or (key in before and theirs[key] == before[key])


def _without_places(recipe: Mapping[str, Any]) -> dict[str, Any]:
    backbone = recipe.get("backbone", {})
    return {**recipe, "backbone": {k: v for k, v in backbone.items() if k not in PLACES}}


def _about_time(theirs: Mapping[str, Any], before: Mapping[str, Any]) -> str:
    """What to do about a study that knew its weights file by size and time, where the size is right."""
    then = _SIZE_AND_TIME.fullmatch(str(theirs.get("weights")))
    now = _SIZE_AND_TIME.fullmatch(str(before.get("weights")))
    if then is None or now is None or then["size"] != now["size"]:
        return ""
    seconds, rest = divmod(int(then["time"]), 10**9)
    return (
        ". It was begun by an earlier version, which knew the file of the weights by its size and its "
        "time of change, and only the time is another one: if you know it to be the same file, give it "
        f"that time back by `touch -d @{seconds}.{rest:09d} FILE`; this version then goes by what is in it"
    )
