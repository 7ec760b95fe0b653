"""What is in production, as text and as JSON: MLflow's registry and its mirror in ZenML together."""

import math
import textwrap
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from pipelines.mirror import Mirror, follow, mirror_disagreement, mirrored
from skin_lesion import registry
from skin_lesion.registry import Disagreement, Recorded, RegisteredVersion, RegistryState

_SHOWN = {
    "macro_f1": "macro F1",
    "balanced_accuracy": "bal. acc.",
    "melanoma_auc": "mel. AUC",
    "malignant_auc": "mal. AUC",
    "ece": "ECE",
}
_LAST = 10


@dataclass(frozen=True)
class LifeCycle:
    """What MLflow and ZenML say.

    Attributes:
        state: Of MLflow's registry.
        mirror: Of ZenML.
        disagreements: All of them; empty where all agree.
    """

    state: RegistryState
    mirror: Mirror
    disagreements: tuple[Disagreement, ...]


def look(*, look_inside: bool = True) -> LifeCycle:
    """Look at everything, and change nothing.

    Args:
        look_inside: Whether the files of the version in production are fetched and tried.
    """
    state, mirror = registry.status(look_inside=look_inside), mirrored()
    champion = next((one for one in state.versions if one.version == state.champion), None)
    lag = mirror_disagreement(champion, mirror)
    return LifeCycle(state, mirror, (*state.disagreements, *([lag] if lag else [])))


def mend(user: str) -> list[str]:
    """Repair the registry, then let the mirror follow; what was done, one sentence each."""
    done = registry.repair(user=user)
    return [*done, *move_mirror()]


def move_mirror() -> list[str]:
    """Let the mirror follow what is in production now; what was done, as a sentence or none."""
    champion = registry.champion()
    moved = follow(champion)
    registry.record_mirror(champion)  # for the dashboard, which cannot ask ZenML
    return [moved] if moved else []


def as_json(found: LifeCycle) -> dict[str, Any]:
    """Everything, for programs."""
    state = found.state
    return {
        "model": state.model,
        "registry": state.place,
        "agree": not found.disagreements,
        "champion": state.champion,
        "previous": state.previous,
        "mirror": asdict(found.mirror),
        "disagreements": [one.model_dump() for one in found.disagreements],
        "versions": [
            {
                "version": version.version,
                "aliases": _aliases(version, state),
                "uri": version.uri,
                "bundle_hash": version.bundle_hash,
                "gate": version.tags.get("gate"),
                "gate_failed": [n for n in version.tags.get("gate_failed", "").split(",") if n],
                "synthetic_only": version.tags.get("synthetic_only") == "true",
                "test": _figures(version),
            }
            for version in state.versions
        ],
        "changes": [
            {**one.change.model_dump(mode="json"), "state": one.state, "run_id": one.run_id}
            for one in state.changes
        ],
    }


def _figures(version: RegisteredVersion) -> dict[str, float | None]:
    """The tagged figures by name; None for a tag that somebody made something else of."""
    tags = {name: version.tags.get(registry.figure_tag(name)) for name in registry.TAGGED_FIGURES}
    return {name: _value(text) for name, text in tags.items() if text is not None}


def _value(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None  # JSON has no other numbers


def as_text(found: LifeCycle) -> str:
    """Everything, for people."""
    state = found.state
    return "\n".join(
        [
            f"{state.model} in {state.place}",
            f"  {'in production':<16}{_number(state.champion)}",
            f"  {'before that':<16}{_number(state.previous)}",
            f"  {'mirror in ZenML':<16}{_mirror(found.mirror)}",
            "",
            *_versions(state),
            "",
            *_changes(state.changes),
            "",
            *_verdict(found.disagreements),
        ]
    )


def _number(version: int | None) -> str:
    return "nothing" if version is None else f"version {version}"


def _mirror(mirror: Mirror) -> str:
    if mirror.zenml_version is None:
        return "nothing"
    belongs = "none" if mirror.mlflow_version is None else str(mirror.mlflow_version)
    return f"its version {mirror.zenml_version}, which is version {belongs} of MLflow"


def _versions(state: RegistryState) -> Iterator[str]:
    if not state.versions:
        yield "No version is registered yet."
        return
    heads = "".join(f"{head:>11}" for head in _SHOWN.values())
    yield f"{'version':>9}  {'alias':<20}{'gates':<8}{heads}  trained on"
    for version in reversed(state.versions):
        yield _version(version, state)
        if failed := version.tags.get("gate_failed"):
            words = f"failed: {failed.replace(',', ', ')}"
            yield textwrap.fill(words, 100, initial_indent=" " * 11, subsequent_indent=" " * 19)


def _version(version: RegisteredVersion, state: RegistryState) -> str:
    alias = ", ".join(_aliases(version, state))
    figures = "".join(f"{version.tags.get(registry.figure_tag(name), '–'):>11}" for name in _SHOWN)
    pictures = "drawings" if version.tags.get("synthetic_only") == "true" else "pictures"
    gate = version.tags.get("gate", "none")
    return f"{version.version:>9}  {alias:<20}{gate:<8}{figures}  {pictures}"


def _aliases(version: RegisteredVersion, state: RegistryState) -> list[str]:
    """Those of a version: production and the one before it first, then whatever else was set."""
    ours = {registry.PRODUCTION_ALIAS: state.champion, registry.PREVIOUS_ALIAS: state.previous}
    aliases = ours | state.aliases
    return [name for name, number in aliases.items() if number == version.version]


def _changes(records: tuple[Recorded, ...]) -> Iterator[str]:
    if not records:
        yield "Nothing was ever promoted."
        return
    yield f"Last changes of production (UTC), {min(_LAST, len(records))} of {len(records)}:"
    for one in reversed(records[-_LAST:]):
        change = one.change
        state = "" if one.state == "done" else f" [{one.state}]"
        reason = f": {change.reason}" if change.reason else ""
        yield f"  {change.when:%Y-%m-%d %H:%M:%S}  {change.user} {change.sentence()}{reason}{state}"
        if change.override is not None:
            yield f"{'':>23}in spite of its gates: {change.override}"


def _verdict(disagreements: tuple[Disagreement, ...]) -> Iterator[str]:
    if not disagreements:
        yield "MLflow, its records and ZenML agree."
        return
    yield "They disagree:"
    for one in disagreements:
        yield f"  {one.text}"
    if any(one.repairable for one in disagreements):
        yield "Mend it with: skin-lesion status --repair"
    if any(one.code == "broken" for one in disagreements):
        yield "A version that cannot be served is replaced by: skin-lesion rollback, or promote VERSION"
