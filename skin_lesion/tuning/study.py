"""A study: trials one after the other, every one written down, resumable after any death.

Optuna's SQLite file is the only memory. A trial that it has as running when the study is opened died
with its process, for a lock lets one process at a time work on a study: its values are proposed once
more, and it counts for nothing, as if it had never been.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skin_lesion.disk import DiskFullError
from skin_lesion.locking import only_process
from skin_lesion.tuning.attempts import (
    Attempt,
    BrokenTrialError,
    Objective,
    PrunedError,
    RefusedError,
    TimeUpError,
)
from skin_lesion.tuning.outcomes import Outcome, TrialRow, read_rows
from skin_lesion.tuning.proposals import pruner, sampler
from skin_lesion.tuning.search import Search
from skin_lesion.tuning.space import SearchSpace
from skin_lesion.tuning.storage import check_identity, check_name, opened_storage

if TYPE_CHECKING:
    import optuna

log = logging.getLogger(__name__)

_TIDIED = "tidied"  # an attribute of the study, for each trial
_RETRY_OF, _DEATHS, _EPOCHS = "retry_of", "deaths", "epochs"  # of a trial that is tried again


@dataclass(frozen=True)
class Study:
    """An open study; use `Study.open`.

    Attributes:
        folder: Its database, and whatever belongs to it.
        search: What is searched, and how.
        study: Optuna's.
    """

    folder: Path
    search: Search
    study: "optuna.Study" = field(repr=False)

    @classmethod
    @contextmanager
    def open(
        cls,
        folder: Path,
        identity: Mapping[str, Any],
        search: Search,
        formerly: Mapping[str, Any] | None = None,
    ) -> "Iterator[Study]":
        """Open a study, or begin it, and keep other processes from it.

        Args:
            folder: Its name is the study's.
            identity: What makes scores comparable, such as the data, as JSON has it. What is searched
                is added to it.
            search: What is searched, and how.
            formerly: Parts of the identity as an earlier version of the library would have written
                them; a study that has them so is accepted.

        Raises:
            ValueError: The name is none, or a study of this name is about something else.
            RuntimeError: Another process works on it, or the database is none of Optuna's.
        """
        import optuna

        check_name(folder.name)
        folder.mkdir(parents=True, exist_ok=True)
        with (
            only_process(folder / "study.lock", f"study {folder.name}"),
            opened_storage(folder) as storage,
        ):
            verbosity = optuna.logging.get_verbosity()
            optuna.logging.set_verbosity(optuna.logging.WARNING)  # this module tells it all
            try:
                study = optuna.create_study(
                    storage=storage,
                    study_name=folder.name,
                    direction="maximize",
                    load_if_exists=True,
                    pruner=pruner(search),
                )
                check_identity(study, identity, search, formerly)
                yield cls(folder, search, study)
            finally:
                optuna.logging.set_verbosity(verbosity)

    @property
    def space(self) -> SearchSpace:
        """What is searched."""
        return self.search.space

    def rows(self) -> tuple[TrialRow, ...]:
        """Every trial, in order."""
        return read_rows(self.study, self.space)

    def counted(self) -> int:
        """Trials that came to an outcome; what died and was tried again is counted once."""
        return sum(row.counts for row in self.rows())

    def run(self, objective: Objective, trials: int, deadline: float | None = None) -> None:
        """Go on until so many trials have come to an outcome, earlier ones included.

        Args:
            objective: To be maximised.
            trials: How many.
            deadline: By `time.monotonic`: no trial is begun after it, and the one at work is laid
                aside at the end of its epoch; None for no end.

        Raises:
            Exception: Whatever the objective raises that is no outcome; its trial is tried again the
                next time.
        """
        self._recover(objective)
        self._start_from_base()
        while (counted := self.counted()) < trials:
            if deadline is not None and time.monotonic() >= deadline:
                break
            self.study.sampler = sampler(self.search, counted)
            if not self._try(objective, counted, trials, deadline):
                break

    def _try(self, objective: Objective, counted: int, trials: int, deadline: float | None) -> bool:
        """One trial; whether there is time for more."""
        import optuna

        trial = self.study.ask()
        values = self.space.draw(trial)
        attempt = Attempt(
            trial.number, values, trial.user_attrs.get(_RETRY_OF), _reporter(trial, deadline)
        )
        log.info("trial %d of %d: %s", counted + 1, trials, shown(values))
        score, outcome, reason = None, Outcome.FINISHED, ""
        try:
            score = objective(attempt)
        except PrunedError:
            outcome = Outcome.PRUNED
        except RefusedError as error:
            outcome, reason = Outcome.REFUSED, str(error)
        except BrokenTrialError as error:
            outcome, reason = Outcome.DIVERGED, str(error)
        except TimeUpError:
            self._lay_aside(trial.number, Outcome.SET_DOWN, objective)
            return False
        except BaseException as error:
            # Of a full disk the trial knows nothing: it did not die of its values.
            interrupted = isinstance(error, KeyboardInterrupt | DiskFullError)
            # What cannot be written now, with the disk full perhaps, the next start sees to.
            with suppress(Exception):
                self._lay_aside(
                    trial.number, Outcome.SET_DOWN if interrupted else Outcome.DIED, objective
                )
            raise
        if outcome != Outcome.FINISHED:
            trial.set_user_attr("outcome", outcome.value)
            trial.set_user_attr("reason", reason)
        # A trial that came to nothing is Optuna's pruned: the sampler then learns to keep away from
        # its values, which it would not from one that failed.
        state = optuna.trial.TrialState.PRUNED if score is None else None
        self.study.tell(trial, score, state=state)
        row = self.rows()[trial.number]
        log.info("trial %d of %d: %s", counted + 1, trials, row.described())
        self._tidy(row, objective)
        return True

    def _recover(self, objective: Objective) -> None:
        """See to trials that died with their process, and to what they left behind."""
        for row in self.rows():
            if row.outcome == Outcome.RUNNING:
                log.info("trial number %d died with its process", row.number)
                self._lay_aside(row.number, Outcome.DIED, objective)
            elif row.outcome != Outcome.WAITING:
                self._tidy(row, objective)  # killed after the last word on it

    def _lay_aside(self, number: int, outcome: Outcome, objective: Objective) -> None:
        """End a trial without an outcome and have its values tried again."""
        import optuna

        trials = self.study.get_trials(deepcopy=False)
        frozen = trials[number]
        epochs, before = len(frozen.intermediate_values), frozen.user_attrs.get(_EPOCHS, 0)
        # Only a death that no new epoch came before counts: a machine may be taken away at any time.
        deaths = frozen.user_attrs.get(_DEATHS, 0) + (outcome == Outcome.DIED)
        deaths = 0 if epochs > before else deaths
        # A trial that waited in the queue has its values before it draws them.
        values = {**frozen.system_attrs.get("fixed_params", {}), **frozen.params}
        known = {axis.name for axis in self.space.axes} <= values.keys()
        tried_again = any(one.user_attrs.get(_RETRY_OF) == number for one in trials)
        trial = optuna.trial.Trial(self.study, frozen._trial_id)
        if deaths >= self.search.config.attempts:
            outcome = Outcome.GIVEN_UP
            trial.set_user_attr("reason", f"died {deaths} times without coming further")
        elif known and not tried_again:
            # Before the trial is ended: killed in between, the next start finds it here.
            self.study.enqueue_trial(
                values,
                user_attrs={_RETRY_OF: number, _DEATHS: deaths, _EPOCHS: max(epochs, before)},
            )
        trial.set_user_attr("outcome", outcome.value)
        self.study.tell(number, state=optuna.trial.TrialState.FAIL)
        self._tidy(self.rows()[number], objective)

    def _tidy(self, row: TrialRow, objective: Objective) -> None:
        """Tell the objective that a trial is over, once."""
        key = f"{_TIDIED}_{row.number}"
        if key not in self.study.user_attrs:
            objective.ended(row)
            self.study.set_user_attr(key, True)

    def _start_from_base(self) -> None:
        """The configuration as it is goes first, so that no study ends below it unawares."""
        if self.study.get_trials(deepcopy=False):
            return
        if (start := self.space.starting_point()) is not None:
            self.study.enqueue_trial(start)
        else:
            log.warning(
                "the configuration as it is will be no trial: %s; all trials may end below it, unless "
                "the search is widened",
                ", and ".join(self.space.left_out()),
            )


def shown(values: Mapping[str, Any]) -> str:
    """Values on one line."""
    return ", ".join(
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in values.items()
    )


def _reporter(trial: "optuna.Trial", deadline: float | None) -> Callable[[int, float], None]:
    seen: set[int] = set()

    def report(epoch: int, score: float) -> None:
        if epoch not in seen:  # Optuna warns of an epoch that it has
            seen.add(epoch)
            trial.report(score, epoch)
        if trial.should_prune():
            raise PrunedError(f"trial {trial.number} was stopped after epoch {epoch + 1}")
        if deadline is not None and time.monotonic() >= deadline:
            raise TimeUpError

    return report
