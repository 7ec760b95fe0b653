"""What a study and its objective say to each other: a trial at work, and how it may end."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from skin_lesion.tuning.outcomes import TrialRow


class TimeUpError(Exception):
    """The time for the study is over; the trial that is at work goes on when it is taken up again."""


class PrunedError(Exception):
    """A trial that is not worth going on with."""


class RefusedError(ValueError):
    """A trial whose values are impossible together."""


class BrokenTrialError(RuntimeError):
    """A trial whose training came to nothing, such as a loss that is not a number."""


@dataclass(frozen=True)
class Attempt:
    """A trial at work.

    Attributes:
        number: Of the trial, from 0.
        values: What is tried, by dotted name.
        retry_of: The trial that died with these values; None for a new one.
        report: Takes the epoch and its score; raises `PrunedError` or `TimeUpError`, and may be given
            the same epoch again.
    """

    number: int
    values: Mapping[str, Any]
    retry_of: int | None
    report: Callable[[int, float], None]


class Objective(Protocol):
    """What a study maximises."""

    def __call__(self, attempt: Attempt) -> float:
        """Try the values and return their score.

        Raises:
            PrunedError: Passed on from `attempt.report`, like `TimeUpError`.
            RefusedError: The values are impossible together.
            BrokenTrialError: They led to nothing.
        """
        ...

    def ended(self, row: TrialRow) -> None:
        """A trial is over, or its values wait to be tried again.

        Called again for the same trial where the process died before this was written down.
        """
        ...
