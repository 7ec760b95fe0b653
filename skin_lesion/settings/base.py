"""What all settings share."""

from pydantic import BaseModel, ConfigDict

# The second training phase seeds with one more, and NumPy and Keras take 32 bits.
MAX_SEED = 2**32 - 2


def check_seed(seed: int) -> None:
    """Refuse a seed that a later stage could not use.

    Raises:
        ValueError: It is negative or above `MAX_SEED`.
    """
    if not 0 <= seed <= MAX_SEED:
        raise ValueError(f"seed is {seed}; expected a whole number from 0 to {MAX_SEED}")


class UnfitError(ValueError):
    """Settings, each allowed by itself, that do not fit each other or the data."""


class Settings(BaseModel):
    """Base of every configuration: immutable, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")
