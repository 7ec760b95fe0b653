"""A trial: both training phases with the values that are tried, judged on validation."""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from skin_lesion import tracking, tracking_trials
from skin_lesion.data.augment import make_plan
from skin_lesion.modeling.ensemble import kept_metrics
from skin_lesion.modeling.history import EpochRecord
from skin_lesion.modeling.train import (
    RunContext,
    TrainingData,
    TrainingDivergedError,
    WarmupModel,
    train_finetune,
    train_warmup,
)
from skin_lesion.tuning.attempts import Attempt, BrokenTrialError, RefusedError
from skin_lesion.tuning.data import LearningData
from skin_lesion.tuning.outcomes import Outcome, TrialRow
from skin_lesion.tuning.recipe import Recipe
from skin_lesion.tuning.space import SearchSpace

SCORE = "val_macro_f1"
CHECKPOINTS = "checkpoints"
# Parts of the recipe that the first phase reads.
_OF_WARMUP = ("backbone", "augment", "warmup_train")
_SHARED = "shared"


@dataclass(frozen=True)
class TrainingObjective:
    """Trains a classifier for every trial, in an MLflow run below the active one.

    Attributes:
        data: Training and validation alone.
        space: Turns values into a recipe.
        seed: Of every training.
        folder: Of the study; checkpoints lie in it.
        code_version: Identifies the training code.
    """

    data: LearningData
    space: SearchSpace
    seed: int
    folder: Path
    code_version: str

    def __call__(self, attempt: Attempt) -> float:
        """Train with these values.

        Returns:
            Validation macro F1 at the epoch whose weights were kept.

        Raises:
            RefusedError: The values are impossible together.
            BrokenTrialError: The loss stopped being a number.
        """
        with tracking_trials.trial_run(attempt.number, attempt.retry_of) as run_id:
            try:
                recipe = self.space.recipe(attempt.values)
                tracking.log_configuration({**recipe.model_dump(mode="json"), "seed": self.seed})
                return self._train(recipe, attempt, run_id)
            except TrainingDivergedError as error:
                raise BrokenTrialError(str(error)) from error
            except ValueError as error:
                raise RefusedError(str(error)) from error

    def ended(self, row: TrialRow) -> None:
        """Close the trial's MLflow run, and drop its checkpoints unless it is to be gone on with."""
        tracking_trials.close_trial(row)
        if row.values is not None and row.outcome not in (Outcome.DIED, Outcome.SET_DOWN):
            shutil.rmtree(self._checkpoints(row.values), ignore_errors=True)

    def _train(self, recipe: Recipe, attempt: Attempt, run_id: str) -> float:
        import keras

        # The names of layers count up in a process, and a model of the trial before would stay.
        keras.utils.clear_session()

        def on_epoch(record: EpochRecord) -> None:
            tracking.log_epochs([record])
            attempt.report(record.epoch, record.metrics[SCORE])

        def context(root: Path) -> RunContext:
            return RunContext(root, self.code_version, run_id, on_epoch)

        own = self._checkpoints(attempt.values)
        # Where nothing is searched that the first phase reads, all trials begin with the same one.
        shared = not self.space.varies(*_OF_WARMUP)
        first = self.folder / CHECKPOINTS / _SHARED if shared else own
        plan = make_plan(self.data.split, recipe.augment, self.seed)
        data = TrainingData(self.data.images, self.data.split, plan)
        warm = train_warmup(data, recipe.backbone, recipe.warmup_train, context(first))
        start = _kept(warm.model, first, self.code_version)
        tuned = train_finetune(data, start, recipe.finetune_train, context(own))
        return kept_metrics(tuned.history)[SCORE]

    def _checkpoints(self, values: Mapping[str, Any]) -> Path:
        """By its values, so that the next attempt at them finds what the one before left."""
        written = json.dumps(values, sort_keys=True, default=str)
        name = hashlib.sha256(written.encode()).hexdigest()[:16]
        return self.folder / CHECKPOINTS / name


def _kept(model: WarmupModel, folder: Path, code_version: str) -> WarmupModel:
    """The file that the first phase left when it ended here for the first time.

    A model saved twice makes two files that differ by their date, and the second phase knows its
    checkpoints by the file that it began with. A folder holds one first phase for each version of the
    code and each backend.
    """
    import keras

    made_by = hashlib.sha256(f"{code_version} {keras.backend.backend()}".encode()).hexdigest()
    path = folder / f"warmup-{made_by[:16]}.keras"
    if not path.is_file():
        partial = path.with_suffix(".partial")
        shutil.copyfile(model.path, partial)
        os.replace(partial, path)
    return replace(model, path=path, workspace=None)
