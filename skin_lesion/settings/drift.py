"""When pictures have drifted."""

from typing import Self

from pydantic import Field, model_validator

from skin_lesion.settings.base import MAX_SEED, Settings


class DriftConfig(Settings):
    """When pictures no longer look like those that the model was validated on.

    Attributes:
        min_images: Fewer pictures tell nothing; neither does a feature that fewer of them have.
        watch: Population stability index from which a change is worth watching.
        drift: Population stability index from which it is drift.
        significance: And its corrected p-value has to be below this.
        bins: Equal-mass bins of a number.
        permutations: Of the test of categories.
        seed: Of the permutations.
    """

    min_images: int = Field(default=50, ge=10)
    watch: float = Field(default=0.1, gt=0.0)
    drift: float = Field(default=0.25, gt=0.0)
    significance: float = Field(default=0.01, gt=0.0, lt=1.0)
    bins: int = Field(default=10, ge=2)
    permutations: int = Field(default=4000, ge=1000)
    seed: int = Field(default=17, ge=0, le=MAX_SEED)

    @model_validator(mode="after")
    def _are_in_order(self) -> Self:
        if self.watch > self.drift:
            raise ValueError(f"watch is {self.watch:g}, above drift, {self.drift:g}")
        return self
