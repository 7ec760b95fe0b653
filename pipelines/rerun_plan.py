"""Which steps a re-run executes, which it reuses, and why. Pure: it knows nothing of ZenML."""

import textwrap
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from steps._run import base_name

# Steps that leave checkpoints; of an ensemble there is one of each for every fold.
TRAINING = frozenset({"warmup_train", "finetune_train"})
_WIDTH = 100
_UNLESS_CACHED = (
    "  runs unless cached: where its code is unchanged and all that it reads comes out equal, the\n"
    "  cache serves it; --no-cache executes it all the same."
)


class Action(StrEnum):
    """What becomes of a step."""

    RUNS = "runs"
    RUNS_UNLESS_CACHED = "runs unless cached"
    REUSED = "reused"


@dataclass(frozen=True)
class PlannedStep:
    """One row of the table.

    Attributes:
        step: Name.
        action: What becomes of it.
        why: In words.
    """

    step: str
    action: Action
    why: str


@dataclass(frozen=True)
class Wiring:
    """What waits for what in the pipeline, and how far a run came.

    Attributes:
        upstream: Every step, in the order of the pipeline, with those that it waits for.
        finished: Steps that the run finished.
        started: Steps that the run began, the finished ones among them.
        uncached: Steps that never come from the cache.
    """

    upstream: Mapping[str, Collection[str]]
    finished: Collection[str]
    started: Collection[str]
    uncached: Collection[str] = ()


@dataclass(frozen=True)
class Wish:
    """What is asked for.

    Attributes:
        step: To be executed again.
        without_cache: Whether the steps that follow run too where their input comes out equal.
        notes: More to be said of a step: what changes in its configuration, or in what it reads.
    """

    step: str
    without_cache: bool = False
    notes: Mapping[str, Sequence[str]] = field(default_factory=dict)


def running_steps(step: str, wiring: Wiring) -> tuple[str, ...]:
    """The named step, whatever the run did not finish, and all that depends on either.

    What is left over has no running step above it, so that it can be reused.
    """
    running: list[str] = []
    for name, upstream in wiring.upstream.items():
        unfinished = name not in wiring.finished
        if name == step or unfinished or not set(running).isdisjoint(upstream):
            running.append(name)
    return tuple(running)


def plan_steps(wish: Wish, wiring: Wiring) -> tuple[PlannedStep, ...]:
    """Decide for every step.

    The named step passes the cache over. A step that follows is left to the cache unless
    `without_cache`: where a re-run comes to equal artifacts, what was computed from them is what
    would be computed again, and training again for it would cost hours.
    """
    running = running_steps(wish.step, wiring)
    return tuple(
        _planned(name, wish, wiring, running)
        if name in running
        else PlannedStep(name, Action.REUSED, _why_reused(name, running, wiring))
        for name in wiring.upstream
    )


def table(rows: Sequence[PlannedStep]) -> str:
    """The plan as text, a step a line."""
    steps = max(len("step"), *(len(row.step) for row in rows))
    actions = max(len(row.action) for row in rows)
    lines = [f"  {'step':<{steps}}  {'':<{actions}}  why"]
    for row in rows:
        start = f"  {row.step:<{steps}}  {row.action:<{actions}}  "
        indent = " " * len(start)
        lines += textwrap.wrap(
            row.why, _WIDTH, initial_indent=start, subsequent_indent=indent,
            break_long_words=False, break_on_hyphens=False,
        )  # fmt: skip
    if any(row.action == Action.RUNS_UNLESS_CACHED for row in rows):
        lines += ["", _UNLESS_CACHED]
    return "\n".join(lines)


def _planned(name: str, wish: Wish, wiring: Wiring, running: Collection[str]) -> PlannedStep:
    above = [step for step in running if step in wiring.upstream[name]]
    reasons: list[str] = []
    if name == wish.step:
        reasons.append("named on the command line")
    elif name not in wiring.started:
        reasons.append("never began in that run")
    elif name not in wiring.finished:
        reasons.append("did not finish in that run")
    elif above:
        reasons.append(f"depends on {_listed(above)}")
    reasons += wish.notes.get(name, ())
    forced = name == wish.step or wish.without_cache
    if name in wiring.uncached:
        reasons.append("never comes from the cache")
    elif forced and base_name(name) in TRAINING:
        reasons.append("trains anew, or goes on where training was interrupted")
    action = Action.RUNS if forced or name in wiring.uncached else Action.RUNS_UNLESS_CACHED
    return PlannedStep(name, action, "; ".join(reasons))


def _why_reused(name: str, running: Collection[str], wiring: Wiring) -> str:
    needed = [step for step in running if name in wiring.upstream[step]]
    return f"an input of {_listed(needed)}" if needed else "depends on nothing that runs"


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
