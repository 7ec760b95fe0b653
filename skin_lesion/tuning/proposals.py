"""Which values a study tries next, and which trials it stops early: Optuna's parts, as configured."""

from typing import TYPE_CHECKING

import numpy as np

from skin_lesion.tuning.search import Search

if TYPE_CHECKING:
    import optuna


def sampler(search: Search, counted: int) -> "optuna.samplers.BaseSampler":
    """What proposes the next values.

    A seed for each trial: a study that goes on would draw its first trials again from the seed of the
    study, and a study that died proposes what it would have proposed.

    Args:
        search: What is searched, and how.
        counted: Trials that came to an outcome so far.
    """
    import optuna

    state = np.random.SeedSequence([search.config.seed, counted]).generate_state(1, np.uint32)
    return optuna.samplers.TPESampler(
        seed=int(state[0]), n_startup_trials=search.config.random_trials
    )


def pruner(search: Search) -> "optuna.pruners.BasePruner":
    """What stops a trial that falls behind the others."""
    import optuna

    config = search.config
    if config.pruner == "median":
        return optuna.pruners.MedianPruner(
            n_startup_trials=config.unpruned_trials, n_warmup_steps=config.unpruned_epochs
        )
    if config.pruner == "hyperband":
        return optuna.pruners.HyperbandPruner(min_resource=config.unpruned_epochs)
    return optuna.pruners.NopPruner()
