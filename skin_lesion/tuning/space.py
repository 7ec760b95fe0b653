"""What a study searches: dotted names of the recipe, each with a range or with choices.

Everything is checked against the settings before a study begins, and knows no field of theirs by
name: a value that the recipe gains tomorrow can be searched tomorrow.
"""

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from skin_lesion.mistakes import mistakes
from skin_lesion.tuning.axes import Axis, Dimension, Scalar, key_of, plain
from skin_lesion.tuning.recipe import Recipe

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

# What belongs to the pipeline but cannot be searched.
_REASONS = {
    "seed": "choosing a seed is choosing luck",
    "source": "every trial has to be judged on the same pictures",
    "image_size": "pictures are prepared once for all trials; make a study for each size",
    "ingest": "pictures are prepared once for all trials",
    "validate": "the data are checked once, before any trial",
    "split": "every trial has to be judged on the same lesions",
    "evaluate": "it measures on the test split, which no search may see",
    "register": "no trial is registered",
}


class SpaceError(ValueError):
    """A search space that does not fit the settings."""


@dataclass(frozen=True)
class SearchSpace:
    """All values to be searched.

    Attributes:
        axes: One each.
        base: What the others stay at, and where the search begins.
    """

    axes: tuple[Axis, ...]
    base: Recipe

    def draw(self, trial: "BaseTrial") -> dict[str, Any]:
        """Have a trial propose all values, by dotted name."""
        return {axis.name: axis.draw(trial) for axis in self.axes}

    def recipe(self, values: Mapping[str, Any]) -> Recipe:
        """The base with other values.

        Raises:
            SpaceError: They are not allowed together.
        """
        try:
            return _replaced(self.base, values)
        except ValidationError as error:
            shown = ", ".join(f"{name} {value}" for name, value in values.items())
            raise SpaceError(f"{shown}: {mistakes(error)}") from error

    def values(self, params: Mapping[str, Scalar]) -> dict[str, Any]:
        """The values of a trial, from what it wrote down."""
        return {axis.name: axis.read(params[axis.name]) for axis in self.axes}

    def starting_point(self) -> dict[str, Scalar] | None:
        """The base's own values as a trial writes them; None where the space leaves one out."""
        if self.left_out():
            return None
        return {axis.name: axis.written(_value_at(self.base, axis.name)) for axis in self.axes}

    def left_out(self) -> tuple[str, ...]:
        """What the base has and the space does not hold: each value, and what is searched instead."""
        return tuple(
            f"{axis.name} is {plain(value)}, but searched in {_as_in_file(axis)}"
            for axis in self.axes
            if not axis.holds(value := _value_at(self.base, axis.name))
        )

    def varies(self, *parts: str) -> bool:
        """Whether any value below these parts of the recipe is searched."""
        return any(axis.name.partition(".")[0] in parts for axis in self.axes)

    def described(self) -> dict[str, Any]:
        """As it would be written in a file."""
        return {axis.name: axis.described() for axis in self.axes}


def _as_in_file(axis: Axis) -> str:
    described = axis.described()
    text: str = yaml.safe_dump(
        described, default_flow_style=True, sort_keys=False, allow_unicode=True, width=math.inf
    )
    return text.strip()


def check_space(written: Mapping[str, Any], base: Recipe) -> SearchSpace:
    """Hold a search space against the settings.

    Args:
        written: Dotted name -> `{low, high, log, step}` or `{choices}`.
        base: What is not searched.

    Raises:
        SpaceError: A name that does not exist, or a value that the settings refuse.
    """
    if not written:
        raise SpaceError(
            "the space is empty; name a value to be searched, such as "
            "finetune_train.learning_rate: {low: 1.0e-5, high: 1.0e-3, log: true}"
        )
    return SearchSpace(tuple(_axis(str(n), d, base) for n, d in written.items()), base)


def _axis(name: str, written: Any, base: Recipe) -> Axis:
    kind = _kind_of(name)
    try:
        dimension = Dimension.model_validate(written)
    except ValidationError as error:
        raise SpaceError(
            f"{name}: {mistakes(error)}; expected such as {{low: 1, high: 8}} or {{choices: [1, 2]}}"
        ) from error
    if dimension.choices is not None:
        return Axis(name, choices=_checked_choices(name, dimension.choices, base))
    kinds = _members(kind)
    if not {int, float} & set(kinds):
        raise SpaceError(f"{name} is no number; give choices: [...] instead of low and high")
    whole = float not in kinds
    for key in ("low", "high", "step"):
        value = getattr(dimension, key)
        if whole and value is not None and value != int(value):
            raise SpaceError(f"{name}: {key} is {value:g}, but the setting takes whole numbers")
    assert dimension.low is not None  # a range has both, and mypy cannot know
    assert dimension.high is not None
    for value in (dimension.low, dimension.high):
        _accepted(name, int(value) if whole else value, base)
    if whole and dimension.log and dimension.low < 1:
        raise SpaceError(f"{name}: log wants a low of at least 1, got {dimension.low:g}")
    if dimension.step is not None:
        steps = (dimension.high - dimension.low) / dimension.step
        if round(steps) < 1 or not math.isclose(steps, round(steps), rel_tol=1e-9):
            raise SpaceError(
                f"{name}: from {dimension.low:g} no whole number of steps of {dimension.step:g} leads "
                f"to {dimension.high:g}; change high or step"
            )
    return Axis(name, whole, dimension.low, dimension.high, log=dimension.log, step=dimension.step)


def _checked_choices(name: str, choices: tuple[Any, ...], base: Recipe) -> tuple[Any, ...]:
    accepted = tuple(_accepted(name, choice, base) for choice in choices)
    keys = {(type(choice), key_of(choice)) for choice in accepted}
    if len(keys) < len(accepted) or len(accepted) < 2:
        raise SpaceError(f"{name}: choices are {list(choices)}; give at least two different ones")
    return accepted


def _accepted(name: str, value: Any, base: Recipe) -> Any:
    """A value as the settings understand it; only what concerns this value alone is judged."""
    try:
        return _value_at(_replaced(base, {name: value}), name)
    except ValidationError as error:
        if mine := mistakes(error, below=tuple(name.split("."))):
            raise SpaceError(mine) from error
        return value  # refused together with values of the base, which a trial may change too


def _kind_of(name: str) -> Any:
    """The type of a setting, found by following its dotted name."""
    part, *keys = name.split(".")
    if part in _REASONS:
        raise SpaceError(f"{name} cannot be searched: {_REASONS[part]}")
    kind: Any = Recipe
    place = "the recipe"
    for key in (part, *keys):
        model = _model_in(kind)
        if model is None:
            raise SpaceError(f"{name}: {place} is one value and has no {key!r}")
        if key not in model.model_fields:
            near = difflib.get_close_matches(key, list(model.model_fields), n=1)
            guess = f" (did you mean {near[0]!r}?)" if near else ""
            raise SpaceError(
                f"{name}: {place} has no {key!r}{guess}; choose one of "
                f"{', '.join(model.model_fields)}"
            )
        kind, place = model.model_fields[key].annotation, key
    if (model := _model_in(kind)) is not None and len(_members(kind)) == 1:
        raise SpaceError(
            f"{name} has several values; name one of them: "
            f"{', '.join(f'{name}.{key}' for key in model.model_fields)}"
        )
    return kind


def _members(kind: Any) -> tuple[Any, ...]:
    """The types that a value may have."""
    # `X | Y` and `Union[X, Y]` have origins of different kinds.
    if get_origin(kind) is Union or type(kind).__name__ == "UnionType":
        return tuple(inner for member in get_args(kind) for inner in _members(member))
    return (kind,)


def _model_in(kind: Any) -> type[BaseModel] | None:
    models = [m for m in _members(kind) if isinstance(m, type) and issubclass(m, BaseModel)]
    return models[0] if models else None


def _value_at(recipe: Recipe, name: str) -> Any:
    value: Any = recipe
    for key in name.split("."):
        value = getattr(value, key, None)
    return value


def _replaced(base: Recipe, values: Mapping[str, Any]) -> Recipe:
    changed = base.model_dump()
    for name, value in values.items():
        *above, last = name.split(".")
        place = changed
        for key in above:
            place[key] = place.get(key) or {}
            place = place[key]
        place[last] = value
    return Recipe.model_validate(changed)
