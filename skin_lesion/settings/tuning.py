"""The search for hyper-parameters."""

from typing import Literal

from pydantic import Field

from skin_lesion.settings.base import MAX_SEED, Settings


class TuneConfig(Settings):
    """How a study proposes values, and when it gives a trial up.

    Attributes:
        seed: Base of the sampler's draws. Training keeps the seed of the pipeline's configuration, so
            that trials differ by their values alone.
        random_trials: Trials drawn at random before the estimator (TPE) proposes; the configuration
            that the study starts from counts as one of them.
        pruner: `median` stops a trial whose best score so far is below the median of what finished
            trials had come to by the same epoch; `hyperband` gives few trials many epochs; `none`
            trains every trial to its end.
        unpruned_trials: Trials that have to be finished before the median stops any.
        unpruned_epochs: First epochs of a trial, counted over both phases, in which it is never
            stopped.
        attempts: How many deaths of its process without another epoch between them, such as for want
            of memory, before a trial is given up.
        importance_trials: Finished trials that importances of parameters are stated from.
    """

    seed: int = Field(default=17, ge=0, le=MAX_SEED)
    random_trials: int = Field(default=8, ge=1)
    pruner: Literal["median", "hyperband", "none"] = "median"
    unpruned_trials: int = Field(default=4, ge=1)
    unpruned_epochs: int = Field(default=3, ge=1)
    attempts: int = Field(default=3, ge=1)
    importance_trials: int = Field(default=4, ge=2)
