"""What holds for the settings of every area."""

import importlib
import pkgutil

import pytest

from skin_lesion import settings

AREAS = sorted(module.name for module in pkgutil.iter_modules(settings.__path__))
CLASSES = [
    value
    for value in vars(settings).values()
    if isinstance(value, type) and issubclass(value, settings.Settings)
]


@pytest.mark.parametrize("area", AREAS)
def test_every_class_of_an_area_is_imported_from_the_package(area: str) -> None:
    module = importlib.import_module(f"skin_lesion.settings.{area}")
    own = {
        name
        for name, value in vars(module).items()
        if isinstance(value, type) and value.__module__ == module.__name__
    }
    assert own
    assert own <= set(settings.__all__)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_unknown_keys_are_refused_and_nothing_changes(kind: type[settings.Settings]) -> None:
    assert kind.model_config["extra"] == "forbid"
    assert kind.model_config["frozen"]


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_value_is_explained(kind: type[settings.Settings]) -> None:
    above = {name for base in kind.__bases__ for name in getattr(base, "model_fields", {})}
    explained = kind.__doc__ or ""
    assert not [
        name
        for name in kind.model_fields
        if name not in above and f"        {name}: " not in explained
    ]
