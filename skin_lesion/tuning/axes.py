"""How one value is searched: as it is written, and held against the settings."""

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

Scalar = bool | int | float | str | None


class Dimension(BaseModel):
    """One value to be searched, as it is written: either a range or choices.

    Attributes:
        low: Lowest value of a range.
        high: Highest value of a range.
        log: Whether a range is searched by orders of magnitude.
        step: Distance of the values of a range; None takes any, or every whole number.
        choices: Values to choose from.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    low: float | None = None
    high: float | None = None
    log: bool = False
    step: float | None = Field(default=None, gt=0.0)
    choices: tuple[Any, ...] | None = None

    @model_validator(mode="after")
    def _is_one_or_the_other(self) -> Self:
        if self.choices is None:
            if self.low is None or self.high is None:
                raise ValueError("give `low` and `high`, or `choices`")
            if not (math.isfinite(self.low) and math.isfinite(self.high)):
                raise ValueError(f"low is {self.low:g} and high {self.high:g}; give finite numbers")
            if self.low >= self.high:
                raise ValueError(f"low is {self.low:g} and high {self.high:g}; low has to be lower")
            if self.log and self.low <= 0:
                raise ValueError(f"log wants a low above 0, got {self.low:g}")
            if self.log and self.step is not None:
                raise ValueError("log and step cannot be combined; leave one out")
        elif self.low is not None or self.high is not None or self.log or self.step is not None:
            raise ValueError("choices stand alone; leave low, high, log and step out")
        return self


@dataclass(frozen=True)
class Axis:
    """One value to be searched, held against the settings.

    Attributes:
        name: Dotted, such as `finetune_train.learning_rate`.
        whole: Whether a range is of whole numbers.
        low: Lowest value of a range; None for choices.
        high: Highest value of a range; None for choices.
        log: Whether a range is searched by orders of magnitude.
        step: Distance of the values of a range.
        choices: Values to choose from, as the settings understand them; empty for a range.
    """

    name: str
    whole: bool = False
    low: float | None = None
    high: float | None = None
    log: bool = False
    step: float | None = None
    choices: tuple[Any, ...] = ()

    def draw(self, trial: "BaseTrial") -> Any:
        """Have a trial propose a value."""
        if self.low is None or self.high is None:
            keys = [key_of(choice) for choice in self.choices]
            return self.read(trial.suggest_categorical(self.name, keys))
        if self.whole:
            return trial.suggest_int(
                self.name, int(self.low), int(self.high), step=int(self.step or 1), log=self.log
            )
        return trial.suggest_float(self.name, self.low, self.high, step=self.step, log=self.log)

    def written(self, value: Any) -> Scalar:
        """A value as a trial writes it down."""
        return key_of(value) if self.choices else value

    def read(self, written: Scalar) -> Any:
        """A value from what a trial wrote down."""
        keys = [key_of(choice) for choice in self.choices]
        return self.choices[keys.index(written)] if keys else written

    def holds(self, value: Any) -> bool:
        """Whether a value could be proposed."""
        if self.choices:
            return any(key_of(value) == key_of(c) and type(value) is type(c) for c in self.choices)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        if self.low is None or self.high is None or not self.low <= value <= self.high:
            return False
        step = self.step or (1.0 if self.whole and not self.log else None)
        steps = (value - self.low) / step if step else 0.0
        return math.isclose(steps, round(steps), abs_tol=1e-6)

    def described(self) -> dict[str, Any]:
        """As it would be written in a file."""
        if self.choices:
            return {"choices": [plain(choice) for choice in self.choices]}
        shown = {"low": self.low, "high": self.high, "step": self.step, "log": self.log or None}
        return {key: value for key, value in shown.items() if value is not None}


def plain(value: Any) -> Any:
    """A value as JSON and YAML know it."""
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else value


def key_of(choice: Any) -> Scalar:
    """A choice as Optuna's storage takes it: lists and the like by their JSON."""
    if choice is None or isinstance(choice, bool | int | float | str):
        return choice
    return json.dumps(plain(choice))
