"""Values that a command line sets: `--set step.key=value`, checked against the settings."""

import copy
import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError

from skin_lesion.mistakes import mistakes


@dataclass(frozen=True)
class Override:
    """One value to be set.

    Attributes:
        text: As it was typed.
        owner: The step or the parameter of the pipeline that it belongs to.
        path: Keys below the owner; empty where the owner itself is the value.
        value: As YAML reads it.
    """

    text: str
    owner: str
    path: tuple[str, ...]
    value: Any


def parse_overrides(
    pairs: Sequence[str], steps: Collection[str], parameters: Collection[str]
) -> tuple[Override, ...]:
    """Read `owner.key=value` each.

    Args:
        pairs: As typed.
        steps: Steps of the pipeline.
        parameters: Parameters of the pipeline that may be set.

    Raises:
        ValueError: A pair without `=`, a value that is no YAML, or the same key twice.
        LookupError: There is no such step or parameter.
    """
    overrides: dict[tuple[str, ...], Override] = {}
    for pair in pairs:
        name, equals, written = pair.partition("=")
        keys = tuple(key.strip() for key in name.split("."))
        if not equals or not all(keys):
            raise ValueError(
                f"--set got {pair!r}; expected STEP.KEY=VALUE, such as finetune_train.epochs=3"
            )
        if keys[0] not in {*steps, *parameters}:
            raise LookupError(
                f"--set {pair}: there is no step or parameter {keys[0]!r}"
                f"{_instead(keys[0], [*steps, *parameters])}"
            )
        if keys in overrides:
            raise ValueError(f"--set {'.'.join(keys)} is given twice; give it once")
        try:
            value = yaml.safe_load(written)
        except yaml.YAMLError as error:
            raise ValueError(f"--set {pair}: the value is no YAML: {error}") from error
        overrides[keys] = Override(pair, keys[0], keys[1:], value)
    return tuple(overrides.values())


def checked(where: str, kind: Any, recorded: Any) -> Any:
    """Turn recorded values into what the code of today takes.

    Args:
        where: What they belong to, for the message.
        kind: A model of the settings, or another type.
        recorded: Plain values.

    Raises:
        ValueError: They do not fit any more.
    """
    try:
        return TypeAdapter(kind).validate_python(recorded)
    except ValidationError as error:
        raise ValueError(
            f"the recorded configuration of {where} does not fit the code of today "
            f"({mistakes(error)}); start a new run with `zenml pipeline run`"
        ) from error


def override(kind: Any, recorded: Any, overrides: Iterable[Override]) -> Any:
    """Change some values, all of them before the outcome is checked.

    Args:
        kind: A model of the settings, or another type.
        recorded: An instance of it.
        overrides: All of one owner.

    Returns:
        A new instance.

    Raises:
        LookupError: A key does not exist.
        ValueError: The outcome is not allowed.
    """
    changes = tuple(overrides)
    if not changes:
        return recorded
    values = TypeAdapter(kind).dump_python(recorded)
    for change in changes:
        _check_path(kind, change)
        values = _replaced(values, change.path, change.value)
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        texts = " ".join(f"--set {change.text}" for change in changes)
        raise ValueError(f"{texts}: {mistakes(error)}") from error


def differences(before: Any, after: Any, name: str = "") -> tuple[str, ...]:
    """What was changed, such as `epochs: 2 -> 3`."""
    if isinstance(before, BaseModel) and type(after) is type(before):
        return tuple(
            line
            for key in type(before).model_fields
            for line in differences(
                getattr(before, key), getattr(after, key), f"{name}.{key}".strip(".")
            )
        )
    return () if before == after else (f"{name}: {_shown(before)} -> {_shown(after)}",)


def _check_path(kind: Any, change: Override) -> None:
    """Follow the keys down the models."""
    if not change.path and _is_model(kind) and not isinstance(change.value, Mapping):
        raise LookupError(
            f"--set {change.text}: {change.owner} has several values; name one of them: "
            f"{', '.join(kind.model_fields)}"
        )
    place = change.owner
    for key in change.path:
        if not _is_model(kind):
            raise LookupError(f"--set {change.text}: {place} is one value and has no {key!r}")
        if key not in kind.model_fields:
            raise LookupError(
                f"--set {change.text}: {place} has no {key!r}{_instead(key, kind.model_fields)}"
            )
        kind, place = kind.model_fields[key].annotation, f"{place}.{key}"


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _replaced(values: Any, path: tuple[str, ...], value: Any) -> Any:
    if not path:
        return value
    outcome = copy.copy(values)
    outcome[path[0]] = _replaced(values[path[0]], path[1:], value)
    return outcome


def _instead(name: str, choices: Iterable[str]) -> str:
    """The end of a message: what may have been meant, and what there is."""
    there = list(choices)
    near = difflib.get_close_matches(name, there, n=1)
    guess = f" (did you mean {near[0]!r}?)" if near else ""
    return f"{guess}; choose one of {', '.join(there)}"


def unknown(what: str, name: str, choices: Iterable[str]) -> LookupError:
    """The error that a name deserves which is not among the choices."""
    return LookupError(f"there is no {what} {name!r}{_instead(name, choices)}")


def _shown(value: Any) -> str:
    return str(value) if isinstance(value, str | int | float) else repr(value)
