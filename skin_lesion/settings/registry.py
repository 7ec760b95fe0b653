"""How versions of the model are compared and moved."""

from pydantic import Field

from skin_lesion.settings.base import Settings


class RegistryConfig(Settings):
    """How versions are compared, checked and moved into production.

    Attributes:
        lock_timeout_s: How long a change of production waits for another one on this machine.
        settle_s: A change that began less than this long ago may still be at work on another
            machine: repairing leaves it alone.
        resamples: Bootstrap resamples over lesions, for the interval of every difference.
        seed: Of the lesions drawn.
        answer_tolerance: Largest difference between the answer that was recorded and the one that a
            freshly loaded model gives, in probability or in share of a raw output; CPUs round
            differently.
        max_words: Longest reason and name of a user, in characters.
    """

    lock_timeout_s: float = Field(default=60.0, ge=0.0)
    settle_s: float = Field(default=600.0, ge=0.0)
    resamples: int = Field(default=2000, ge=100)
    seed: int = 17
    answer_tolerance: float = Field(default=1e-3, gt=0.0)
    max_words: int = Field(default=1000, ge=1)
