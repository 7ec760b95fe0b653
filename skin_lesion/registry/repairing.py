"""Making the registry agree with itself again. The alias `champion` is the truth."""

from skin_lesion.registry import changes
from skin_lesion.registry.agreement import alias_numbers, expected_previous, last_done
from skin_lesion.registry.changes import Change, Recorded
from skin_lesion.registry.history_page import write_pages
from skin_lesion.registry.locking import lock_file, production_lock
from skin_lesion.registry.lookup import all_versions
from skin_lesion.registry.promotion import check_words
from skin_lesion.registry.version import DEFAULTS, MODEL_NAME, PREVIOUS_ALIAS, PRODUCTION_ALIAS
from skin_lesion.settings import RegistryConfig

FOUND = "found, set outside"


def repair(*, user: str, name: str = MODEL_NAME, config: RegistryConfig = DEFAULTS) -> list[str]:
    """Finish or take back what was cut off, record what was set outside, and set `previous`.

    What is in production is never touched.

    Args:
        user: Who repairs; stands in the record of a change that was found.
        name: Registered model.
        config: Waiting times.

    Returns:
        What was done, one sentence each; empty where there was nothing to do.

    Raises:
        TimeoutError: Another process on this machine does not come to an end.
        ValueError: Without a user, or with a name that is too long.
    """
    check_words(user, FOUND, None, config)
    with production_lock(config.lock_timeout_s):
        done = _close_unfinished(name, config)
        if any(one.state == "begun" for one in changes.history(name)):
            return done  # what it is about to do is not known yet
        done += _record_outside(name, user)
        done += _set_previous(name)
        last = last_done(changes.history(name))
        if last is not None:
            change = last.change
            write_pages(name, [n for n in (change.before, change.after) if n is not None])
    return done


def _close_unfinished(name: str, config: RegistryConfig) -> list[str]:
    sentences = []
    for record in changes.history(name):
        if record.state != "begun":
            continue
        if (age := _age(record)) < config.settle_s and lock_file() is None:
            # With a lock in our hands nobody can be at work; a server knows no lock.
            sentences.append(
                f"Left alone: {record.change.user} began {age:.0f} s ago and may still be at work; "
                f"after {config.settle_s:.0f} s it counts as cut off."
            )
            continue
        last = last_done(changes.history(name))
        now = alias_numbers(name).get(PRODUCTION_ALIAS)
        if now == record.change.after and (last is None or last.change.after != now):
            changes.finish(record)
            sentences.append(f"Finished what was cut off: {record.change.sentence()}.")
        else:
            changes.give_up(record)
            sentences.append(f"Took back what was cut off: {record.change.sentence()}.")
    return sentences


def _record_outside(name: str, user: str) -> list[str]:
    records = changes.history(name)
    last, aliases = last_done(records), alias_numbers(name)
    now, recorded = aliases.get(PRODUCTION_ALIAS), last.change.after if last else None
    if now == recorded:
        return []
    hashes = {version.version: version.bundle_hash for version in all_versions(name)}
    change = Change(
        number=changes.next_number(records),
        kind="found",
        model=name,
        before=recorded,
        after=now,
        previous=aliases.get(PREVIOUS_ALIAS),
        user=user,
        when=changes.now(),
        reason=FOUND,
        bundle_hash=hashes.get(now, "") if now is not None else "",
    )
    changes.finish(changes.begin(change))
    return [f"Recorded: {change.sentence()}."]


def _set_previous(name: str) -> list[str]:
    import mlflow

    aliases = alias_numbers(name)
    there = {version.version for version in all_versions(name)}
    now = aliases.get(PREVIOUS_ALIAS)
    expected = expected_previous(aliases.get(PRODUCTION_ALIAS), changes.history(name), there)
    if now == expected:
        return []
    client = mlflow.MlflowClient()
    if expected is None:
        client.delete_registered_model_alias(name, PREVIOUS_ALIAS)
        return [f"Removed the alias {PREVIOUS_ALIAS!r}: nothing was in production before."]
    client.set_registered_model_alias(name, PREVIOUS_ALIAS, str(expected))
    return [f"Set the alias {PREVIOUS_ALIAS!r} to version {expected}."]


def _age(record: Recorded) -> float:
    return (changes.now() - record.change.when).total_seconds()
