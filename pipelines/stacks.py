"""Setting up a stack from its YAML description."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from zenml.client import Client
from zenml.enums import StackComponentType

ARTIFACT_STORE = StackComponentType.ARTIFACT_STORE.value


class StackError(RuntimeError):
    """The stack that is there is not the one that is described."""


@dataclass(frozen=True)
class StackSetUp:
    """What setting a stack up came to.

    Attributes:
        name: Name of the stack, which is now the active one.
        created: Whether it was made now.
        store: Folder or address of its artifacts.
    """

    name: str
    created: bool
    store: str


def set_up_stack(file: Path, root: Path) -> StackSetUp:
    """Create a stack and its components where they are missing, and make it the active one.

    Args:
        file: Layout of `zenml stack export`; a relative path of an artifact store counts from
            `root`.
        root: Root of the repository.

    Raises:
        StackError: A component of that name is there with another configuration.
    """
    description = yaml.safe_load(file.read_text(encoding="utf-8"))
    name = description["stack_name"]
    client = Client()
    components = {
        StackComponentType(kind): _component(client, StackComponentType(kind), component, root)
        for kind, component in description["components"].items()
    }
    created = not client.list_stacks(name=name).items
    if created:
        client.create_stack(name, components)
    client.activate_stack(name)
    return StackSetUp(name, created, client.active_stack.artifact_store.path)


def _component(
    client: Client, kind: StackComponentType, description: Mapping[str, Any], root: Path
) -> str:
    """Find or create one component and return its name."""
    name, configuration = str(description["name"]), dict(description["configuration"])
    if kind == StackComponentType.ARTIFACT_STORE and "://" not in configuration.get("path", "://"):
        configuration["path"] = str(root / configuration["path"])
        (root / configuration["path"]).mkdir(parents=True, exist_ok=True)
    found = client.list_stack_components(type=kind.value, name=name).items
    if not found:
        client.create_stack_component(name, description["flavor"], kind, configuration)
        return name
    there = {key: found[0].configuration.get(key) for key in configuration}
    if found[0].flavor_name != description["flavor"] or there != configuration:
        raise StackError(
            f"the {kind.value} '{name}' is there as {found[0].flavor_name} {there}, but should be "
            f"{description['flavor']} {configuration}. If the repository was moved, delete .zenml "
            "and .work and set the stack up again"
        )
    return name
