"""The file that says what a study searches, and how."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from skin_lesion.mistakes import mistakes
from skin_lesion.settings import TuneConfig
from skin_lesion.tuning.recipe import Recipe
from skin_lesion.tuning.space import SearchSpace, check_space


@dataclass(frozen=True)
class Search:
    """What is searched, and how.

    Attributes:
        space: The values.
        config: The study.
    """

    space: SearchSpace
    config: TuneConfig


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a file that holds keys with values.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no YAML, or holds something else.
    """
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path} holds {type(found).__name__}; expected keys with values")
    return found


def read_search(path: Path, base: Recipe) -> Search:
    """Read what is searched from a file: `space`, and perhaps `study`.

    Args:
        path: YAML; `space` has dotted names, `study` the values of `TuneConfig`.
        base: What is not searched.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is no such file, or does not fit the settings.
    """
    written = read_yaml(path)
    if unknown := sorted(str(key) for key in written.keys() - {"space", "study"}):
        raise ValueError(
            f"{path} has {', '.join(unknown)}; expected `space`, with such as "
            "finetune_train.learning_rate below it, and perhaps `study`"
        )
    space = written.get("space") or {}
    if not isinstance(space, Mapping):
        raise ValueError(f"{path}: space is {space!r}; expected names with ranges or choices")
    try:
        config = TuneConfig.model_validate(written.get("study") or {})
        return Search(check_space(space, base), config)
    except ValidationError as error:
        raise ValueError(f"{path}: study: {mistakes(error)}") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
