"""Moving a version into production, and back.

The alias `champion` alone says what is in production. A change is written in this order:

1. its record, as begun; 2. the alias `previous`; 3. the alias `champion`; 4. its record, as done;
5. the page about it beside the model card of both versions.

The old model stays in production until 3 and the new one is in production from 3 on, so a crash
anywhere leaves a model in production, and the record of 1 says what was meant:
`status` explains it and `repair` finishes it or takes it back.

Two changes at once: on one machine with a sqlite registry the second waits for the first. On a
server, of several that begin in the same moment one is carried out, and the others withdraw with an
error; never are two carried out side by side. A change that slept until `repair` took it back looks
once more before 3, and withdraws. What MLflow cannot do is to set an alias only if it is unchanged: a
tool that sets it without a record, in the moment between the last look and 3, is overwritten, and
seen by neither.
"""

import time
from dataclasses import dataclass

from skin_lesion.registry import changes
from skin_lesion.registry.changes import Change, Kind, Recorded
from skin_lesion.registry.fitness import broken, refusals
from skin_lesion.registry.history_page import write_pages
from skin_lesion.registry.locking import production_lock
from skin_lesion.registry.lookup import aliased, champion, find_version
from skin_lesion.registry.version import (
    DEFAULTS,
    MODEL_NAME,
    PREVIOUS_ALIAS,
    PRODUCTION_ALIAS,
    RegisteredVersion,
)
from skin_lesion.settings import RegistryConfig

_PAUSE_S = 0.2
_REPAIR = "see `skin-lesion status`, and mend it with `skin-lesion status --repair`"


class RefusedError(RuntimeError):
    """A version that may not go into production.

    Attributes:
        reasons: Why, one sentence each.
        overridable: Whether a reason to do it nonetheless is accepted.
    """

    def __init__(self, message: str, reasons: tuple[str, ...], *, overridable: bool) -> None:
        """Say why."""
        super().__init__(message)
        self.reasons = reasons
        self.overridable = overridable


class UnfinishedError(RuntimeError):
    """Another change of production was begun and not finished."""


class ChangedError(RuntimeError):
    """What is in production is no longer what the caller saw there; nothing was done."""


@dataclass(frozen=True)
class Seen:
    """What somebody saw before they decided: a change that they confirmed is made from there alone.

    Attributes:
        champion: Version in production; None where none was.
        previous: Version that a rollback goes back to; of no interest to a promotion.
    """

    champion: int | None
    previous: int | None = None


@dataclass(frozen=True)
class Promotion:
    """What came of a promotion or rollback.

    Attributes:
        version: In production now.
        change: The record; None where the version was in production already.
    """

    version: RegisteredVersion
    change: Change | None


@dataclass(frozen=True)
class _Wish:
    kind: Kind
    version: RegisteredVersion
    before: RegisteredVersion | None
    user: str
    reason: str
    override: str | None = None
    refused: tuple[str, ...] = ()


def promote(
    version: int | str,
    *,
    user: str,
    reason: str,
    override: str | None = None,
    seen: Seen | None = None,
    name: str = MODEL_NAME,
    config: RegistryConfig = DEFAULTS,
) -> Promotion:
    """Make a version the one in production.

    Args:
        version: Its number, or an alias.
        user: Who wants it.
        reason: Why; may be empty.
        override: Why in spite of the gates; None lets them decide. Nothing overrides a model with
            other files or other answers than those that were registered.
        seen: What the user saw in production; None does not ask.
        name: Registered model.
        config: Waiting time, tolerance and lengths.

    Raises:
        LookupError: There is no such version.
        RefusedError: The gates, the files or the answers of the version keep it out.
        ChangedError: Another version is in production than the user saw there.
        UnfinishedError: Another change is under way, or was cut off.
        TimeoutError: Another process on this machine does not come to an end.
        ValueError: Without a user, or with words that are too long.
    """
    check_words(user, reason, override, config)
    with production_lock(config.lock_timeout_s):
        wanted, now = find_version(version, name), champion(name)
        if now is not None and now.version == wanted.version:
            return Promotion(now, None)
        _as_seen(seen, now)
        _no_other(name)
        _can_be_served(wanted, config)
        refused = tuple(refusals(wanted, now, user))
        if refused and override is None:
            raise RefusedError(
                f"version {wanted.version} is not fit for production:\n"
                + "\n".join(f"  {reason}" for reason in refused)
                + "\nIf it has to be, say why: --override REASON",
                refused,
                overridable=True,
            )
        wish = _Wish("promotion", wanted, now, user, reason, override if refused else None, refused)
        return _carry_out(wish, config)


def rollback(
    *,
    user: str,
    reason: str,
    seen: Seen | None = None,
    name: str = MODEL_NAME,
    config: RegistryConfig = DEFAULTS,
) -> Promotion:
    """Put the version that was in production before back; once more undoes it.

    The gates are not asked: the version has been in production. Its files and answers are tried.

    Args:
        user: Who wants it.
        reason: Why; may be empty.
        seen: What the user saw in production, and before it; None does not ask.
        name: Registered model.
        config: Waiting time, tolerance and lengths.

    Raises:
        LookupError: No version was in production before, or it is gone.
        RefusedError: Its files or answers are not those that were registered.
        ChangedError: Production, or what was there before, is not what the user saw.
        UnfinishedError: Another change is under way, or was cut off.
        TimeoutError: Another process on this machine does not come to an end.
        ValueError: Without a user, or with words that are too long.
    """
    check_words(user, reason, None, config)
    with production_lock(config.lock_timeout_s):
        _no_other(name)
        now, wanted = champion(name), aliased(PREVIOUS_ALIAS, name)
        _as_seen(seen, now)
        if wanted is None:
            raise LookupError(
                f"no version of {name!r} was in production before, so there is nothing to go back "
                "to; promote one by its number: skin-lesion promote VERSION"
            )
        if now is not None and now.version == wanted.version:
            raise LookupError(
                f"the alias {PREVIOUS_ALIAS!r} points to version {now.version}, which is in "
                f"production; {_REPAIR}"
            )
        if seen is not None and seen.previous != wanted.version:
            raise ChangedError(
                f"version {wanted.version} was in production before, and not "
                f"{_named(seen.previous)}; nothing was done: look again"
            )
        _can_be_served(wanted, config)
        return _carry_out(_Wish("rollback", wanted, now, user, reason), config)


def _carry_out(wish: _Wish, config: RegistryConfig) -> Promotion:
    """Write the change in the order that the module describes."""
    import mlflow

    name, after, before = wish.version.name, wish.version.version, wish.before
    previous = aliased(PREVIOUS_ALIAS, name)
    record = changes.begin(
        Change(
            number=changes.next_number(changes.history(name)),
            kind=wish.kind,
            model=name,
            before=before.version if before else None,
            after=after,
            previous=previous.version if previous else None,
            user=wish.user,
            when=changes.now(),
            reason=wish.reason,
            override=wish.override,
            refused=wish.refused,
            bundle_hash=wish.version.bundle_hash,
        )
    )
    _take_turn(record, config)
    client = mlflow.MlflowClient()
    if before is not None:
        client.set_registered_model_alias(name, PREVIOUS_ALIAS, str(before.version))
    # A machine that slept for longer than repairing waits wakes up here and must not go on.
    if not changes.still_begun(record):
        raise UnfinishedError(
            "this change took so long that somebody took it for cut off and repaired what it had "
            "begun; production was left as it is: look at `skin-lesion status` and try again"
        )
    client.set_registered_model_alias(name, PRODUCTION_ALIAS, str(after))
    changes.finish(record)
    write_pages(name, [after, *([before.version] if before else [])])
    now = champion(name)
    if now is None or now.version != after:
        raise RuntimeError(
            f"version {after} was put into production, and something else set the alias to "
            f"{now.version if now else 'nothing'} in the same moment; {_REPAIR}"
        )
    return Promotion(now, record.change)


def _take_turn(record: Recorded, config: RegistryConfig) -> None:
    """The second look, after the record can be seen by others: of several, one goes on.

    Nobody goes on while it sees another change that is not finished. The one whose run has the
    smallest id waits for the others to withdraw; all others do. So of several that begin in the
    same moment one is carried out, whatever their clocks say.

    Raises:
        UnfinishedError: This one withdrew.
    """
    name = record.change.model
    deadline = time.monotonic() + config.lock_timeout_s
    while others := [one for one in unfinished(name) if one.run_id != record.run_id]:
        first = min(others, key=lambda one: one.run_id)
        if first.run_id < record.run_id or time.monotonic() >= deadline:
            changes.give_up(record)
            raise _unfinished(first)
        time.sleep(_PAUSE_S)
    now = champion(name)
    moved = (now.version if now else None) != record.change.before
    # Somebody may have finished between the first look and this one.
    overtaken = any(
        one.state == "done" and one.change.number >= record.change.number
        for one in changes.history(name)
    )
    if moved or overtaken:
        changes.give_up(record)
        raise UnfinishedError(
            f"production was changed to version {now.version if now else 'none'} in this very "
            "moment; nothing was done: look at `skin-lesion status` and try again"
        )


def unfinished(name: str) -> list[Recorded]:
    """Changes that were begun and not finished: under way, or cut off."""
    return [one for one in changes.history(name) if one.state == "begun"]


def _no_other(name: str) -> None:
    for one in unfinished(name):
        raise _unfinished(one)


def _as_seen(seen: Seen | None, now: RegisteredVersion | None) -> None:
    found = now.version if now else None
    if seen is not None and seen.champion != found:
        raise ChangedError(
            f"{_named(found)} is in production by now, and not {_named(seen.champion)}; nothing was "
            "done: look again"
        )


def _named(version: int | None) -> str:
    return "nothing" if version is None else f"version {version}"


def _unfinished(record: Recorded) -> UnfinishedError:
    change = record.change
    return UnfinishedError(
        f"{change.user} began at {change.when:%Y-%m-%d %H:%M:%S} UTC what would be recorded as "
        f"'{change.sentence()}', and it is not finished; nothing was done. If that process is gone, "
        f"{_REPAIR}"
    )


def _can_be_served(version: RegisteredVersion, config: RegistryConfig) -> None:
    """Raises RefusedError where it cannot."""
    found = broken(version, config)
    if found:
        raise RefusedError(
            f"version {version.version} cannot be served, and no override changes that:\n"
            + "\n".join(f"  {reason}" for reason in found),
            tuple(found),
            overridable=False,
        )


def check_words(user: str, reason: str, override: str | None, config: RegistryConfig) -> None:
    """Make sure that words can be recorded.

    Raises:
        ValueError: Without a user, with words that are too long, or that no page can show.
    """
    for what, words, needed in (
        ("user", user, True),
        ("reason", reason, False),
        ("override", override or "", override is not None),
    ):
        if needed and not words.strip():
            raise ValueError(f"the {what} is {words!r}; it goes into the record: say it in words")
        if len(words) > config.max_words:
            raise ValueError(
                f"the {what} has {len(words)} characters; at most {config.max_words} are recorded"
            )
        if not all(character.isprintable() or character == "\n" for character in words):
            raise ValueError(f"the {what} is {words!r}; it may hold printable characters alone")
