"""What the last change of production changed, figure by figure."""

import logging
from dataclasses import dataclass

from app.clinic.models import OutOfReachError, figure
from skin_lesion import registry
from skin_lesion.registry import Recorded, RegisteredVersion

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FigureChange:
    """One figure of the version before and of the one after.

    Attributes:
        name: As in the tags, such as `macro_f1`.
        before: None where the version before is gone, or recorded none.
        after: None where it recorded none.
    """

    name: str
    before: float | None
    after: float | None


@dataclass(frozen=True)
class LastChange:
    """The change by which a version came into production.

    Attributes:
        recorded: Who, when and why.
        before: The version that it took the place of; None where there was none, or it is gone.
        after: The version.
        same_test: Whether both were tested on the same images.
    """

    recorded: Recorded
    before: RegisteredVersion | None
    after: RegisteredVersion
    same_test: bool

    @property
    def figures(self) -> tuple[FigureChange, ...]:
        """The figures that are recorded with each version."""
        return tuple(
            FigureChange(
                name,
                figure(self.before, name) if self.before else None,
                figure(self.after, name),
            )
            for name in registry.TAGGED_FIGURES
        )


def last_change(version: RegisteredVersion) -> LastChange | None:
    """How a version came into production last; None where no record says.

    Args:
        version: In production.

    Raises:
        OutOfReachError: The registry does not answer.
    """
    try:
        into = [
            one
            for one in registry.history(version.name)
            if one.state == "done" and one.change.after == version.version
        ]
        if not into:
            return None
        recorded = into[-1]
        before = _find(recorded.change.before, version.name)
    # Each registry has errors of its own.
    except Exception as error:
        log.warning("the history of production cannot be read: %s", error)
        raise OutOfReachError("the model registry cannot be reached") from error
    return LastChange(recorded, before, version, before is not None and _same_test(before, version))


def _find(number: int | None, name: str) -> RegisteredVersion | None:
    if number is None:
        return None
    try:
        return registry.find_version(number, name)
    except LookupError:  # it was deleted
        return None


def _same_test(one: RegisteredVersion, other: RegisteredVersion) -> bool:
    names = ("data_fingerprint", "split_hash")
    return all(
        one.tags.get(name) is not None and one.tags.get(name) == other.tags.get(name)
        for name in names
    )
