"""A trial: both training phases with the values that are tried, judged on validation."""

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skin_lesion import tracking, tracking_trials
from skin_lesion.data.augment import make_plan
from skin_lesion.live import watched_training
from skin_lesion.modeling.ensemble import kept_metrics
from skin_lesion.modeling.history import EpochRecord
from skin_lesion.modeling.train import (
    OutOfMemoryError,
    RunContext,
    TrainingData,
    TrainingDivergedError,
    train_finetune,
    train_warmup,
)
from skin_lesion.settings import Phase, UnfitError
from skin_lesion.tuning.attempts import Attempt, BrokenTrialError, PrunedError, RefusedError
from skin_lesion.tuning.data import LearningData
from skin_lesion.tuning.outcomes import Outcome, TrialRow
from skin_lesion.tuning.recipe import Recipe
from skin_lesion.tuning.space import SearchSpace, SpaceError

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
            BrokenTrialError: The loss stopped being a number, or the memory is too small for it.
            DiskFullError: Its checkpoints find no room; the next attempt goes on from them.
            UndeliveredError: MLflow stayed away; the next attempt goes on from the checkpoints.
        """
        with tracking_trials.trial_run(attempt.number, attempt.retry_of) as run_id:
            try:
                recipe = self.space.recipe(attempt.values)
                tracking.log_configuration({**recipe.model_dump(mode="json"), "seed": self.seed})
                return self._train(recipe, attempt, run_id)
            except (TrainingDivergedError, OutOfMemoryError) as error:
                raise BrokenTrialError(str(error)) from error
            except (SpaceError, UnfitError) as error:
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

        own = self._checkpoints(attempt.values)
        # Where nothing is searched that the first phase reads, all trials begin with the same one.
        shared = not self.space.varies(*_OF_WARMUP)
        first = self.folder / CHECKPOINTS / _SHARED if shared else own
        plan = make_plan(self.data.split, recipe.augment, self.seed)
        data = TrainingData(self.data.images, self.data.split, plan)
        with self._context("warmup", first, attempt, run_id) as context:
            warm = train_warmup(data, recipe.backbone, recipe.warmup_train, context)
        with self._context("finetune", own, attempt, run_id) as context:
            tuned = train_finetune(data, warm.model, recipe.finetune_train, context)
        return kept_metrics(tuned.history)[SCORE]

    @contextmanager
    def _context(
        self, phase: Phase, root: Path, attempt: Attempt, run_id: str
    ) -> Iterator[RunContext]:
        """Where a phase reports to: the study at once, MLflow beside the training."""
        pruned = None
        with watched_training(phase) as watched:

            def on_epoch(record: EpochRecord) -> None:
                watched(record)
                attempt.report(record.epoch, record.metrics[SCORE])

            try:
                yield RunContext(
                    checkpoint_root=root,
                    code_version=self.code_version,
                    run_id=run_id,
                    on_epoch=on_epoch,
                    on_devices=watched.on_devices,
                    elsewhere=(
                        f"move {self.folder.parent} to a larger disk and name its new place by --folder"
                    ),
                )
            except PrunedError as error:
                # No failure, after which what MLflow does not get soon is left to the next attempt:
                # there is none.
                pruned = error
        if pruned is not None:
            raise pruned

    def _checkpoints(self, values: Mapping[str, Any]) -> Path:
        """By its values, so that the next attempt at them finds what the one before left."""
        written = json.dumps(values, sort_keys=True, default=str)
        name = hashlib.sha256(written.encode()).hexdigest()[:16]
        return self.folder / CHECKPOINTS / name
