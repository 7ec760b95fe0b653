"""Several networks that answer together."""

from pydantic import Field

from skin_lesion.settings.base import Settings


class EnsembleConfig(Settings):
    """An ensemble of the members of a k-fold training.

    Attributes:
        folds: Parts that the training lesions are cut into, and members; each learns from all parts
            but one. More members answer better and cost proportionately more, in training and in
            every answer.
    """

    folds: int = Field(default=5, ge=2, le=20)
