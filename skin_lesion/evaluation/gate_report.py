"""The verdict of the gates: one check after the other, for people, for tags and for pages."""

from html import escape
from typing import Self

from pydantic import Field, model_validator

from skin_lesion.data.pages import mark, table
from skin_lesion.evaluation.figures import Estimate, Figures
from skin_lesion.evaluation.wording import number, with_interval

SYNTHETIC_NOTICE = (
    "The model has seen only computer-drawn pictures: passing these gates says that the pipeline "
    "works, and nothing about skin."
)


class GateCheck(Figures):
    """One rule and what came of it.

    Attributes:
        name: Name of the rule, as in tags.
        value: Figure that was judged; None where there is none.
        ci_low: Lower end of its 95 % interval.
        ci_high: Upper end.
        minimum: It has to be at least this; None where the rule has no lower limit.
        maximum: It may be at most this; None where the rule has no upper limit.
        passed: Whether the rule holds.
        reason: Why, in one sentence.
    """

    name: str
    value: float | None
    ci_low: float | None = None
    ci_high: float | None = None
    minimum: float | None = None
    maximum: float | None = None
    passed: bool
    reason: str


class GateReport(Figures):
    """The verdict on one model.

    Attributes:
        passed: Whether every check passed.
        checks: All of them, in a fixed order.
        synthetic_only: True where the verdict rests on drawn pictures alone.
        split_hash: Split whose test images were measured.
        bundle_hash: Bundle that was judged.
    """

    passed: bool
    checks: tuple[GateCheck, ...] = Field(min_length=1)
    synthetic_only: bool
    split_hash: str
    bundle_hash: str

    @model_validator(mode="after")
    def _verdict_follows_from_checks(self) -> Self:
        if self.passed != all(check.passed for check in self.checks):
            raise ValueError(
                f"passed is {self.passed}, but the checks say {not self.passed}; it has to be true "
                "exactly where every check passed"
            )
        return self

    @property
    def failed(self) -> tuple[GateCheck, ...]:
        """The checks that did not pass."""
        return tuple(check for check in self.checks if not check.passed)

    def to_tags(self) -> dict[str, str]:
        """Tags for a model version: `gate`, `gate_failed` (names with commas) and `gate_basis`."""
        return {
            "gate": "passed" if self.passed else "failed",
            "gate_failed": ",".join(check.name for check in self.failed),
            "gate_basis": "synthetic" if self.synthetic_only else "real",
        }

    def to_lines(self) -> list[str]:
        """The verdict, then one line for each check, failed ones first; plain text."""
        notice = [SYNTHETIC_NOTICE] if self.synthetic_only else []
        ordered = sorted(self.checks, key=lambda check: check.passed)
        return [
            self._verdict(),
            *notice,
            *(f"{'passed' if c.passed else 'FAILED'}: {c.reason}" for c in ordered),
        ]

    def to_html(self) -> str:
        """The verdict and a table of the checks, to be set into a page."""
        rows = [
            [
                mark("good", "passed") if check.passed else mark("bad", "failed"),
                f"<code>{escape(check.name)}</code>",
                _figure(check),
                _limit(check),
                escape(check.reason),
            ]
            for check in sorted(self.checks, key=lambda check: check.passed)
        ]
        notice = f"<p>{escape(SYNTHETIC_NOTICE)}</p>" if self.synthetic_only else ""
        return f"<p>{mark('good' if self.passed else 'bad', self._verdict())}</p>{notice}" + table(
            ["Result", "Rule", "Figure (95 % interval)", "Limit", "Why"],
            rows,
            widths=(11, 27, 15, 9, 38),
        )

    def _verdict(self) -> str:
        if self.passed:
            return f"Passed: all {len(self.checks)} checks hold"
        return f"Failed: {len(self.failed)} of {len(self.checks)} checks"


def _figure(check: GateCheck) -> str:
    if check.value is None:
        return "none"
    if check.ci_low is None or check.ci_high is None:
        return number(check.value)
    return with_interval(Estimate(value=check.value, ci_low=check.ci_low, ci_high=check.ci_high))


def _limit(check: GateCheck) -> str:
    if check.minimum is not None:
        return f"≥ {check.minimum:.3f}"
    return f"≤ {check.maximum:.3f}" if check.maximum is not None else "none"
