"""Versions of the model, and moving them into production and back, for engineers.

Everything goes through `skin_lesion.registry`, as on the command line. Nothing here raises what the
registry's client raises: a page shows an outcome, and the log has the rest.
"""

import logging
import re
import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pydantic import ValidationError

from app.clinic.users import User
from skin_lesion import registry
from skin_lesion.evaluation.gate_report import GateReport
from skin_lesion.ledger import LedgerError
from skin_lesion.registry import (
    Change,
    ChangedError,
    MirrorRecord,
    RefusedError,
    RegisteredVersion,
    RegistryState,
    Seen,
    UnfinishedError,
    VersionComparison,
)

log = logging.getLogger(__name__)

# `none`: there is nothing yet that a mirror could show; `unknown`: nobody wrote down where it stands.
Kind = Literal["promotion", "rollback"]
MirrorSays = Literal["follows", "lags", "unknown", "none"]
Result = Literal[
    "done", "already", "refused", "broken", "changed", "unfinished", "busy", "gone", "forbidden",
    "no_reason", "words", "unwritten", "unclear",
]  # fmt: skip

# Gates whose names begin like this compare with what is in production.
REGRESSION = "no_regression"
_REMEMBERED = 256
_GATE = re.compile(r"Gate (?P<name>[a-z0-9_]+): (?P<words>.*)", re.DOTALL)


class OutOfReachError(RuntimeError):
    """The registry does not answer."""


class UnwrittenLookError(RuntimeError):
    """A look at the test split could not be written down, so it was not taken."""


@dataclass(frozen=True)
class Models:
    """What stands in the registry.

    Attributes:
        state: Versions, aliases, changes and contradictions.
        registered_at: When each version was made, in UTC, by its number.
        record: What ZenML's mirror was last made to show; None where nobody wrote it down.
    """

    state: RegistryState
    registered_at: dict[int, datetime]
    record: MirrorRecord | None

    def version(self, number: int | None) -> RegisteredVersion | None:
        """The version of that number; None where there is none."""
        return next((one for one in self.state.versions if one.version == number), None)

    @property
    def newest_first(self) -> tuple[RegisteredVersion, ...]:
        """All versions."""
        return self.state.versions[::-1]

    @property
    def mirror(self) -> MirrorSays:
        """Whether ZenML's mirror shows what is in production, as far as MLflow's records tell."""
        champion = self.version(self.state.champion)
        if self.record is not None:
            return "follows" if self.record.shows(champion) else "lags"
        return "none" if champion is None and not self.state.changes else "unknown"

    def seen(self) -> Seen:
        """What a user who looks at this sees in production."""
        return Seen(self.state.champion, self.state.previous)


@dataclass(frozen=True)
class Order:
    """A change of production that a user confirmed.

    Attributes:
        number: Given once; an order that was carried out is never carried out again.
        kind: What.
        target: Version that is to be in production.
        seen: What they saw when they confirmed it.
        reason: Why.
        override: Why in spite of the gates; empty where the gates decide.
    """

    number: str
    kind: Kind
    target: int
    seen: Seen
    reason: str
    override: str = ""


@dataclass(frozen=True)
class Outcome:
    """What came of an order.

    Attributes:
        result: In a word.
        reasons: Why not, in the registry's own words.
        change: As recorded; None where nothing was changed.
    """

    result: Result
    reasons: tuple[str, ...] = ()
    change: Change | None = None

    @property
    def failed(self) -> bool:
        """Whether production is not what was ordered."""
        return self.result not in ("done", "already")


def look() -> Models:
    """Look at everything but the files of the models, which would take seconds.

    Raises:
        OutOfReachError: The registry does not answer.
    """
    try:
        return Models(
            registry.status(look_inside=False), registry.registered_at(), registry.mirror_record()
        )
    # Each registry and file store has errors of its own.
    except Exception as error:
        log.warning("the model registry cannot be reached: %s", error)
        raise OutOfReachError("the model registry cannot be reached") from error


def verdict(version: RegisteredVersion) -> GateReport | None:
    """The verdict of the gates that is recorded with a version; None where none can be read."""
    try:
        return GateReport.model_validate_json(version.tags.get("gate_report", ""))
    except ValidationError:
        return None


def figure(version: RegisteredVersion, name: str) -> float | None:
    """A figure of the test split that is recorded among a version's tags."""
    try:
        return float(version.tags[registry.figure_tag(name)])
    except (KeyError, ValueError):
        return None


class Orders:
    """Carries orders out one after the other, each at most once, however often it is given.

    A browser sends a click again when a page is redrawn under it, and people click twice.
    """

    def __init__(self) -> None:
        """Nothing was ordered yet."""
        self._turn = threading.Lock()
        self._done: OrderedDict[str, Outcome] = OrderedDict()

    def carry_out(self, order: Order, user: User) -> Outcome:
        """Do what was ordered, if this user may, and if all is still as they saw it.

        Args:
            order: What.
            user: Who they are at this moment, and not when the page was drawn.
        """
        if not user.may("engineer"):
            log.warning("%s may not change production", user.name)
            return Outcome("forbidden")
        if not order.reason.strip():
            return Outcome("no_reason")
        with self._turn:
            if order.number in self._done:
                return self._done[order.number]
            outcome = _carry_out(order, user)
            if not outcome.failed:
                self._done[order.number] = outcome
                while len(self._done) > _REMEMBERED:
                    self._done.popitem(last=False)
        return outcome


_ORDERS = Orders()


def carry_out(order: Order, user: User) -> Outcome:
    """Do what was ordered: see `Orders.carry_out`; of all sessions one at a time."""
    return _ORDERS.carry_out(order, user)


def _carry_out(order: Order, user: User) -> Outcome:
    reason, override = order.reason.strip(), order.override.strip()
    try:
        if order.kind == "rollback":
            done = registry.rollback(user=user.name, reason=reason, seen=order.seen)
        else:
            done = registry.promote(
                order.target,
                user=user.name,
                reason=reason,
                override=override or None,
                seen=order.seen,
            )
    except RefusedError as error:
        return Outcome("refused" if error.overridable else "broken", error.reasons)
    except ChangedError:
        return Outcome("changed")
    except UnfinishedError:
        return Outcome("unfinished")
    except TimeoutError:
        return Outcome("busy")
    # The gates look at the test split before anything is changed.
    except LedgerError as error:
        log.warning("%s could not be carried out: %s", order, error)
        return Outcome("unwritten")
    except LookupError as error:
        log.warning("%s could not be carried out: %s", order, error)
        return Outcome("gone")
    except ValueError as error:
        log.warning("%s could not be carried out: %s", order, error)
        return Outcome("words")
    # Whatever a registry raises: whether it was half-way is told by the records.
    except Exception:
        log.exception("%s could not be carried out", order)
        return Outcome("unclear")
    log.info("%s: %s", user.name, done.change.sentence() if done.change else "already there")
    return Outcome("already" if done.change is None else "done", change=done.change)


def gate_of(reason: str) -> tuple[str | None, str]:
    """The gate that one of the registry's reasons names, if it does, and the rest of the words."""
    found = _GATE.match(reason)
    return (found["name"], found["words"]) if found else (None, reason)


def compare(a: int, b: int) -> VersionComparison:
    """Two versions on the same test images, with the interval of each difference; takes seconds.

    Raises:
        LookupError: A version, or what it said of its test images, is not to be had.
        ValueError: They were tested on different images.
        UnwrittenLookError: The ledger of looks at the test split cannot be used.
        OutOfReachError: The registry does not answer.
    """
    try:
        return registry.compare_versions(a, b)
    except (LookupError, ValueError):
        raise
    except LedgerError as error:
        log.warning("versions %s and %s cannot be compared: %s", a, b, error)
        raise UnwrittenLookError("the look could not be written down") from error
    except Exception as error:
        log.warning("versions %s and %s cannot be compared: %s", a, b, error)
        raise OutOfReachError("the model registry cannot be reached") from error
