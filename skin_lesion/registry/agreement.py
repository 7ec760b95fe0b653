"""What stands in the registry, and where it contradicts itself. Nothing here changes anything."""

from collections.abc import Iterator
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from skin_lesion import tracking
from skin_lesion.registry import changes
from skin_lesion.registry.changes import Recorded
from skin_lesion.registry.fitness import broken
from skin_lesion.registry.history_page import is_written
from skin_lesion.registry.lookup import all_versions
from skin_lesion.registry.version import (
    DEFAULTS,
    MODEL_NAME,
    PREVIOUS_ALIAS,
    PRODUCTION_ALIAS,
    RegisteredVersion,
)
from skin_lesion.settings import RegistryConfig

Code = Literal["unfinished", "set_outside", "missing", "broken", "previous", "page", "mirror"]


class Disagreement(BaseModel):
    """Two places that should say the same and do not.

    Attributes:
        code: `unfinished`: a change was begun and not finished; `set_outside`: the alias was
            moved without a record; `missing`: an alias points to a version that is not there;
            `broken`: an aliased version cannot be served; `previous`: that alias is not what the
            records say; `page`: the page beside a model card is out of date; `mirror`: ZenML's
            stage says something else.
        text: What is wrong, in one sentence.
        repairable: Whether `repair` mends it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: Code
    text: str
    repairable: bool = True


class RegistryState(BaseModel):
    """What stands in the registry.

    Attributes:
        model: Name of the registered model.
        champion: Number of the version in production; None where none is.
        previous: Number of the version before; None where none was.
        versions: All versions, the oldest first.
        aliases: Every alias with the number that it points to, these two among them.
        changes: Every change of production that was ever begun, oldest first.
        disagreements: Where it contradicts itself; empty where all agree.
        place: Address of the registry, without a password.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    champion: int | None
    previous: int | None
    versions: tuple[RegisteredVersion, ...]
    changes: tuple[Recorded, ...]
    disagreements: tuple[Disagreement, ...]
    aliases: dict[str, int] = Field(default_factory=dict)
    place: str = ""


def status(
    name: str = MODEL_NAME,
    config: RegistryConfig = DEFAULTS,
    *,
    look_inside: bool = True,
) -> RegistryState:
    """Look at everything.

    Args:
        name: Registered model.
        config: Tolerance for the answers of the model.
        look_inside: Whether to fetch the files of the version in production and of the one before,
            hold them against their checksums and ask the models. Takes seconds.
    """
    versions = all_versions(name)
    aliases = alias_numbers(name)
    records = changes.history(name)
    found = [
        *_unfinished(records),
        *_outside(aliases, records),
        *_previous(aliases, records, {version.version for version in versions}),
        *_unservable(aliases, versions, config if look_inside else None),
        *_pages(name, records, {version.version for version in versions}),
    ]
    return RegistryState(
        model=name,
        champion=aliases.get(PRODUCTION_ALIAS),
        previous=aliases.get(PREVIOUS_ALIAS),
        versions=tuple(versions),
        changes=tuple(records),
        disagreements=tuple(found),
        aliases=aliases,
        place=tracking.address(),
    )


def alias_numbers(name: str) -> dict[str, int]:
    """Every alias with the number it points to, whether that version is there or not."""
    import mlflow
    from mlflow.exceptions import MlflowException

    try:
        model = mlflow.MlflowClient().get_registered_model(name)
    except MlflowException as error:
        if not tracking.is_missing(error):
            raise
        return {}
    return {alias: int(number) for alias, number in model.aliases.items()}


def last_done(records: list[Recorded]) -> Recorded | None:
    """The last change that was carried out."""
    done = [one for one in records if one.state == "done"]
    return done[-1] if done else None


def expected_previous(champion: int | None, records: list[Recorded], there: set[int]) -> int | None:
    """What `previous` has to point to: what was in production before, where it is still there."""
    last = last_done(records)
    if last is None:
        return None
    before = last.change.before if last.change.after == champion else last.change.after
    return before if before in there else None


def _unfinished(records: list[Recorded]) -> Iterator[Disagreement]:
    for one in records:
        if one.state == "begun":
            change = one.change
            yield Disagreement(
                code="unfinished",
                text=f"{change.user} began a change at {change.when:%Y-%m-%d %H:%M:%S} UTC "
                f"('{change.sentence()}') that is not finished: it is under way, or was cut off.",
            )


def _outside(aliases: dict[str, int], records: list[Recorded]) -> Iterator[Disagreement]:
    if any(one.state == "begun" for one in records):
        return  # what that change did is told by it
    last, now = last_done(records), aliases.get(PRODUCTION_ALIAS)
    recorded = last.change.after if last else None
    if now == recorded:
        return
    if now is None:
        text = f"Nothing is in production; the records say that version {recorded} is."
    elif recorded is None:
        text = f"Version {now} is in production, and no record says how it came to that."
    else:
        text = f"Version {now} is in production; the records say that version {recorded} is."
    yield Disagreement(
        code="set_outside",
        text=f"{text} The alias {PRODUCTION_ALIAS!r} was set by another tool.",
    )


def _previous(
    aliases: dict[str, int], records: list[Recorded], there: set[int]
) -> Iterator[Disagreement]:
    now = aliases.get(PREVIOUS_ALIAS)
    expected = expected_previous(aliases.get(PRODUCTION_ALIAS), records, there)
    if now != expected:
        points = "is missing" if now is None else f"points to version {now}"
        before = "no version" if expected is None else f"version {expected}"
        yield Disagreement(
            code="previous",
            text=f"The alias {PREVIOUS_ALIAS!r} {points}; by the records {before} was in "
            "production before.",
        )


def _unservable(
    aliases: dict[str, int], versions: list[RegisteredVersion], config: RegistryConfig | None
) -> Iterator[Disagreement]:
    """Without a configuration, whether they are there is all that is looked at."""
    by_number = {version.version: version for version in versions}
    for alias in (PRODUCTION_ALIAS, PREVIOUS_ALIAS):
        number = aliases.get(alias)
        if number is None:
            continue
        if number not in by_number:
            yield Disagreement(
                code="missing",
                text=f"The alias {alias!r} points to version {number}, which is not there.",
                repairable=alias == PREVIOUS_ALIAS,
            )
            continue
        for reason in broken(by_number[number], config) if config else ():
            yield Disagreement(
                code="broken",
                text=f"Version {number}, the {alias}, cannot be served: {reason}.",
                repairable=False,
            )


def _pages(name: str, records: list[Recorded], there: set[int]) -> Iterator[Disagreement]:
    """Only the last change: earlier pages were written by those who made earlier ones."""
    last = last_done(records)
    if last is None:
        return
    for number in (last.change.after, last.change.before):
        if number is not None and number in there and not is_written(name, number, records):
            yield Disagreement(
                code="page",
                text=f"The page beside the model card of version {number} does not tell the last "
                "change of production.",
            )
