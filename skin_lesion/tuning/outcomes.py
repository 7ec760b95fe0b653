"""What became of the trials of a study."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from skin_lesion.tuning.space import SearchSpace

if TYPE_CHECKING:
    import optuna


class Outcome(StrEnum):
    """What became of a trial."""

    WAITING = "waiting"
    RUNNING = "running"
    FINISHED = "finished"
    PRUNED = "pruned"
    DIVERGED = "diverged"
    REFUSED = "refused"
    DIED = "died"
    SET_DOWN = "set down"
    GIVEN_UP = "given up"


COUNTED = frozenset(
    {Outcome.FINISHED, Outcome.PRUNED, Outcome.DIVERGED, Outcome.REFUSED, Outcome.GIVEN_UP}
)


@dataclass(frozen=True)
class TrialRow:
    """A trial.

    Attributes:
        number: From 0, in the order in which trials began.
        outcome: What became of it.
        score: Of a finished trial, validation macro F1 at the epoch that was kept; of another one
            the best that it came to; None where it came to no epoch.
        epochs: That it trained.
        seconds: That the last process which worked on it took; None where it did not end.
        values: What was tried; None where it died before they were drawn.
        retry_of: The trial that died with these values.
        reason: Why it came to nothing; empty where it did not.
    """

    number: int
    outcome: Outcome
    score: float | None
    epochs: int
    seconds: float | None
    values: Mapping[str, Any] | None
    retry_of: int | None = None
    reason: str = ""

    @property
    def counts(self) -> bool:
        """Whether it is one of the trials that were asked for."""
        return self.outcome in COUNTED

    def described(self) -> str:
        """The outcome in words."""
        score = "" if self.score is None else f", macro F1 {self.score:.4f}"
        why = f": {self.reason}" if self.reason else ""
        return f"{self.outcome} after {self.epochs} epochs{score}{why}"


def read_rows(study: "optuna.Study", space: SearchSpace) -> tuple[TrialRow, ...]:
    """Every trial of a study, in order."""
    return tuple(_row(trial, space) for trial in study.get_trials(deepcopy=False))


def outcome_of(trial: "optuna.trial.FrozenTrial") -> Outcome:
    """What became of a trial; whoever ended it outside this program made it die."""
    from optuna.trial import TrialState

    if trial.state in (TrialState.PRUNED, TrialState.FAIL):
        usual = Outcome.PRUNED if trial.state == TrialState.PRUNED else Outcome.DIED
        return Outcome(trial.user_attrs.get("outcome", usual))
    return {
        TrialState.WAITING: Outcome.WAITING,
        TrialState.RUNNING: Outcome.RUNNING,
        TrialState.COMPLETE: Outcome.FINISHED,
    }[trial.state]


def _row(trial: "optuna.trial.FrozenTrial", space: SearchSpace) -> TrialRow:
    reported = trial.intermediate_values
    drawn = {axis.name for axis in space.axes} <= trial.params.keys()
    return TrialRow(
        number=trial.number,
        outcome=(outcome := outcome_of(trial)),
        score=trial.value if outcome == Outcome.FINISHED else max(reported.values(), default=None),
        epochs=len(reported),
        seconds=trial.duration.total_seconds() if trial.duration else None,
        values=space.values(trial.params) if drawn else None,
        retry_of=trial.user_attrs.get("retry_of"),
        reason=trial.user_attrs.get("reason", ""),
    )
