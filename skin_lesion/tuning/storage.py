"""Where a study is kept, what it is called, and what it is about."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from skin_lesion.tuning.search import Search

if TYPE_CHECKING:
    import optuna

DATABASE = "study.db"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_IDENTITY = "identity"  # an attribute of the study
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


def check_identity(study: "optuna.Study", identity: Mapping[str, Any], search: Search) -> None:
    """Write down what makes the scores of a study comparable, or hold it against what is there.

    Args:
        study: Optuna's.
        identity: What makes scores comparable, such as the data, as JSON has it.
        search: What is searched, and how.

    Raises:
        ValueError: The study is about something else.
    """
    mine = json.loads(
        json.dumps(
            {
                **identity,
                "space": search.space.described(),
                "recipe": search.space.base.model_dump(mode="json"),
                "study": search.config.model_dump(mode="json"),
            }
        )
    )
    theirs = study.user_attrs.get(_IDENTITY)
    if theirs is None:
        study.set_user_attr(_IDENTITY, mine)
        return
    if other := [key for key in mine if theirs.get(key) != mine[key]]:
        raise ValueError(
            f"study {study.study_name} was begun with another {' and '.join(other)}, so that its "
            "trials could not be compared; begin a new one with --study NAME, or put "
            f"{'it' if len(other) == 1 else 'them'} back"
        )
