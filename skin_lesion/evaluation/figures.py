"""What every block of measured figures is made of."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

# What a resample draws: groups of lesion ids with near-identical pictures; lesions as they were
# named; pictures, where nobody said which show the same lesion; or lesions and such pictures.
Units = Literal["lesion_group", "lesion", "picture", "lesion_or_picture"]


class Figures(BaseModel):
    """Base of every block of figures: immutable, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Interval(Figures):
    """A 95 % interval from a bootstrap over lesions, or what stands for them.

    Attributes:
        ci_low: Lower end.
        ci_high: Upper end.
    """

    ci_low: float
    ci_high: float


class Estimate(Figures):
    """A figure with its interval.

    Attributes:
        value: The figure; None where it is not defined.
        ci_low: Lower end of the 95 % interval; None where it is not defined.
        ci_high: Upper end.
    """

    value: float | None
    ci_low: float | None = None
    ci_high: float | None = None
