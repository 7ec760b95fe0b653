"""The ledger of looks at the test split, as text."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from pipelines.exporting import columns
from skin_lesion.chain import Verification
from skin_lesion.ledger import LookRow
from skin_lesion.registry.looking import VersionLook

_SHOWN_OF_HASH = 12
_KINDS = {"pictures": "pictures", "answers": "recorded answers"}
_HEADER = ("row", "time (UTC)", "user", "tool", "looked at", "model", "run", "why")


def describe(rows: Iterable[LookRow], name: str) -> str:
    """Every look, by the test split that it was at.

    Args:
        rows: In the order of writing.
        name: Address of the ledger.
    """
    looks = list(rows)
    head = f"The ledger at {name} holds {_counted(len(looks), 'look')} at the test split."
    first: dict[str, int] = {}
    for look in looks:
        first.setdefault(look.test_hash, look.id)
    ordered = sorted(looks, key=lambda look: (first[look.test_hash], look.id))
    parts = [list(group) for _, group in groupby(ordered, key=lambda look: look.test_hash)]
    return "\n".join([head, *(line for part in parts for line in _split(part))])


def _split(looks: Sequence[LookRow]) -> Iterator[str]:
    last = looks[-1]
    shown = sum(look.kind == "pictures" for look in looks)
    models = len({look.trained_hash for look in looks})
    splits = dict.fromkeys(look.split_hash[:_SHOWN_OF_HASH] for look in looks)
    yield ""
    yield (
        f"Test pictures {last.test_hash[:_SHOWN_OF_HASH]} ({last.images:,} images; split "
        f"{', '.join(splits)}): {_counted(len(looks), 'look')} at "
        f"{_counted(models, 'trained model')}, {shown} of them with pictures shown"
    )
    yield from (f"  {line}" for line in columns([_HEADER, *map(_line, looks)]))


def _line(look: LookRow) -> tuple[str, ...]:
    model = look.model or f"bundle {look.bundle_hash[:_SHOWN_OF_HASH]}"
    if look.against_hash:
        model = f"{model} against {look.against_hash[:_SHOWN_OF_HASH]}"
    return (
        str(look.id),
        f"{look.at:%Y-%m-%d %H:%M:%S}",
        look.user,
        look.tool,
        _KINDS[look.kind],
        model,
        look.run or "",
        look.reason,
    )


def verdict(found: Verification, name: str) -> str:
    """What looking at every row of the chain showed."""
    if found.fault is not None:
        return f"The ledger at {name} is not as it was written.\n{found.fault}"
    lines = [
        f"Every row of the ledger at {name} is as it was written.",
        f"Its head is {found.head}",
    ]
    if found.clock_set_back:
        lines.append(
            f"Rows written at an earlier time than the row before them: {found.clock_set_back}"
        )
    return "\n".join(lines)


def registry_verdict(looks: Sequence[VersionLook]) -> str:
    """What holding the ledger against the registry showed, a line for each version."""
    if not looks:
        return "The registry holds no version that the ledger could be held against."
    return "\n".join(map(_version, looks))


def _version(look: VersionLook) -> str:
    start = f"version {look.version}:"
    if look.fault is not None:
        return f"{start} {look.fault}"
    if look.row is None:
        return f"{start} was measured before a ledger was kept; nothing to hold against it"
    before = "" if look.before is None else f", after {_counted(look.before, 'earlier look')}"
    return (
        f"{start} row {look.row} named this very bundle, thresholds included, before its test figures "
        f"existed{before}"
    )


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
