"""What of a pipeline's configuration decides how a model is trained, and the way back into a file."""

import copy
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from skin_lesion.mistakes import mistakes
from skin_lesion.settings import (
    AugmentConfig,
    BackboneConfig,
    FinetuneConfig,
    Settings,
    WarmupConfig,
)

# Parameters of the pipeline; the other parts of a recipe are configurations of steps.
_OF_PIPELINE = ("backbone",)


class Recipe(Settings):
    """Everything that may be searched, each part named as the pipeline names it.

    Attributes:
        backbone: The pipeline's parameter.
        augment: `config` of the step.
        warmup_train: The same.
        finetune_train: The same.
    """

    backbone: BackboneConfig = BackboneConfig()
    augment: AugmentConfig = AugmentConfig()
    warmup_train: WarmupConfig = WarmupConfig()
    finetune_train: FinetuneConfig = FinetuneConfig()


def read_recipe(config: Mapping[str, Any]) -> Recipe:
    """Take the recipe from a configuration of the training pipeline.

    Args:
        config: As its YAML file reads.

    Raises:
        ValueError: A value is not allowed, or the file is laid out otherwise.
    """
    parts = {name: _part(config, name) for name in Recipe.model_fields}
    try:
        return Recipe.model_validate({name: part for name, part in parts.items() if part})
    except ValidationError as error:
        raise ValueError(f"the pipeline's configuration: {mistakes(error)}") from error


def changed_config(config: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """The same configuration with other values, laid out as the pipeline takes it.

    Args:
        config: As its YAML file reads; left as it is.
        values: By dotted name, such as `finetune_train.learning_rate`.
    """
    changed: dict[str, Any] = copy.deepcopy(dict(config))
    for name, value in values.items():
        part, *keys = name.split(".")
        place = changed
        for key in (*_place(part), *keys[:-1]):
            # A key without a value reads as None.
            place[key] = place.get(key) or {}
            place = place[key]
        place[keys[-1]] = value
    return changed


def _place(part: str) -> tuple[str, ...]:
    """Keys that lead to a part of the recipe."""
    return ("parameters", part) if part in _OF_PIPELINE else ("steps", part, "parameters", "config")


def _part(config: Mapping[str, Any], part: str) -> Mapping[str, Any]:
    place: Any = config
    for key in _place(part):
        place = place.get(key) or {}
        if not isinstance(place, Mapping):
            raise ValueError(
                f"the pipeline's configuration: {'.'.join(_place(part))} expects keys with values, "
                f"but {key} is {place!r}"
            )
    found: Mapping[str, Any] = place
    return found
