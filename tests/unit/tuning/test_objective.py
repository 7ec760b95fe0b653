"""A trial trains as a pipeline does, goes on from its checkpoints, and leaves none behind."""

import errno
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest

from skin_lesion.data.image_array import ImageArray
from skin_lesion.data.split_table import SplitTable
from skin_lesion.labels import LABELS
from skin_lesion.modeling import checkpoints, learner
from skin_lesion.modeling.train import DiskFullError
from skin_lesion.settings import BackboneConfig, FinetuneConfig, TuneConfig, WarmupConfig
from skin_lesion.tuning.attempts import Attempt, BrokenTrialError, PrunedError, RefusedError
from skin_lesion.tuning.data import LearningData
from skin_lesion.tuning.objective import TrainingObjective
from skin_lesion.tuning.outcomes import Outcome, TrialRow
from skin_lesion.tuning.recipe import Recipe
from skin_lesion.tuning.search import Search
from skin_lesion.tuning.space import check_space
from skin_lesion.tuning.study import Study

RATE = "finetune_train.learning_rate"
BASE = Recipe(
    backbone=BackboneConfig(name="mobilenet", weights="none", feature_layer="conv_pw_2_relu"),
    warmup_train=WarmupConfig(epochs=1, learning_rate=1e-2, batch_size=16),
    finetune_train=FinetuneConfig(epochs=2, learning_rate=1e-3, batch_size=16, unfreeze_epochs=0),
)


@pytest.fixture
def data(tmp_path: Path) -> LearningData:
    labels = np.tile(np.arange(len(LABELS)), 6)
    rng = np.random.default_rng(0)
    colours = rng.uniform(40, 215, (len(LABELS), 1, 1, 3))
    pixels = (colours[labels] + rng.uniform(0, 20, (len(labels), 32, 32, 3))).astype(np.uint8)
    np.save(tmp_path / "images.npy", pixels)
    names = [f"i{i}" for i in range(len(labels))]
    rows = pd.DataFrame(
        {"image_id": names, "lesion_id": names, "group": names, "dx": [LABELS[i] for i in labels]}
    ).assign(split=np.where(np.arange(len(labels)) < 28, "train", "val"))
    return LearningData(
        ImageArray(tmp_path / "images.npy", pixels.shape, "0" * 64), SplitTable(rows, None)
    )


@pytest.fixture
def study_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    experiment = mlflow.create_experiment("search", (tmp_path / "artifacts").as_uri())
    with mlflow.start_run(experiment_id=experiment) as run:
        yield run.info.run_id


@dataclass
class Desk:
    """Reports of a trial.

    Attributes:
        stop_after: Raised in that epoch; none by default.
        epochs: That were reported.
    """

    stop_after: tuple[int, BaseException] | None = None
    epochs: list[int] = field(default_factory=list)

    def __call__(self, epoch: int, score: float) -> None:
        self.epochs.append(epoch)
        if self.stop_after and epoch == self.stop_after[0]:
            raise self.stop_after[1]


def objective(data: LearningData, folder: Path, space: dict[str, Any] | None = None) -> Any:
    written = space or {RATE: {"low": 1e-5, "high": 1e-1, "log": True}}
    return TrainingObjective(data, check_space(written, BASE), 3, folder, "code")


def attempt(desk: Callable[[int, float], None], number: int = 0, **values: Any) -> Attempt:
    return Attempt(number, values or {RATE: 2e-3}, None, desk)


def row(outcome: Outcome, tried: Attempt, reason: str = "") -> TrialRow:
    return TrialRow(tried.number, outcome, 0.5, 1, None, tried.values, reason=reason)


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_a_trial_that_died_goes_on_in_both_phases_and_comes_to_the_same(
    data: LearningData, study_run: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "skin_lesion")
    whole = objective(data, tmp_path / "whole")(attempt(desk := Desk()))
    assert desk.epochs == [0, 1, 2]
    parts = objective(data, tmp_path / "parts")
    with pytest.raises(OSError, match="disk"):
        parts(first := attempt(Desk((1, OSError("disk full")))))
    parts.ended(row(Outcome.DIED, first))
    caplog.clear()
    again = parts(replace(attempt(desk := Desk(), number=1), retry_of=0))
    assert desk.epochs == [0, 1, 2]
    resumed = [r.getMessage() for r in caplog.records if "resuming after epoch" in r.getMessage()]
    assert [line.split()[3] for line in resumed] == ["0", "1"]
    assert again == pytest.approx(whole, abs=1e-6)


@pytest.mark.slow
def test_a_trial_that_is_over_leaves_no_checkpoint_and_the_first_phase_to_the_others(
    data: LearningData, study_run: str, tmp_path: Path
) -> None:
    trials = objective(data, tmp_path / "s")
    with pytest.raises(PrunedError):
        trials(tried := attempt(Desk((1, PrunedError("stop")))))
    assert not [name for name in files(tmp_path / "s") if "partial" in name]
    trials.ended(row(Outcome.PRUNED, tried))
    left = [path.name for path in (tmp_path / "s" / "checkpoints").iterdir()]
    assert left == ["shared"]
    run = mlflow.search_runs(
        search_all_experiments=True, filter_string="tags.trial = '0'", output_format="list"
    )[0]
    assert (run.info.status, run.data.tags["outcome"]) == ("KILLED", "pruned")
    assert run.data.tags["mlflow.parentRunId"] == study_run
    assert run.data.params[RATE] == "0.002"


@pytest.mark.slow
def test_where_the_first_phase_is_searched_each_trial_has_its_own(
    data: LearningData, study_run: str, tmp_path: Path
) -> None:
    trials = objective(data, tmp_path / "s", {"augment.zoom": {"low": 0.0, "high": 0.2}})
    trials(tried := attempt(Desk(), **{"augment.zoom": 0.1}))
    trials.ended(row(Outcome.FINISHED, tried))
    assert files(tmp_path / "s") == set()


def test_values_that_training_cannot_take_are_refused_with_its_reason(
    data: LearningData, study_run: str, tmp_path: Path
) -> None:
    trials = objective(
        data, tmp_path / "s", {"finetune_train.frozen_blocks": {"low": 0, "high": 99}}
    )
    with pytest.raises(RefusedError, match="at least one has to be left to train"):
        trials(attempt(Desk(), **{"finetune_train.frozen_blocks": 99}))


def test_a_loss_that_is_no_number_ends_the_trial_alone(
    data: LearningData, study_run: str, tmp_path: Path
) -> None:
    space = {
        RATE: {"low": 1.0, "high": 1e38, "log": True},
        "finetune_train.gradient_clip_norm": {"choices": [None, 1.0]},
    }
    trials = objective(data, tmp_path / "s", space)
    values = {RATE: 1e38, "finetune_train.gradient_clip_norm": None}
    with pytest.raises(BrokenTrialError, match="lower learning_rate"):
        trials(attempt(Desk(), **values))


def trial_runs(number: int = 0) -> list[Any]:
    return mlflow.search_runs(
        search_all_experiments=True,
        filter_string=f"tags.trial = '{number}'",
        output_format="list",
    )


@pytest.mark.slow
def test_the_run_of_a_trial_has_epochs_memory_and_devices_also_where_it_was_pruned(
    data: LearningData, study_run: str, tmp_path: Path
) -> None:
    trials = objective(data, tmp_path / "s")
    trials(attempt(Desk()))
    with pytest.raises(PrunedError):
        trials(attempt(Desk((1, PrunedError("stop"))), number=1, **{RATE: 1e-3}))
    client = mlflow.MlflowClient()
    for number, epochs in ((0, [0, 1, 2]), (1, [0, 1])):
        (run,) = trial_runs(number)
        points = client.get_metric_history(run.info.run_id, "val_macro_f1")
        assert [point.step for point in points] == epochs
        memory = client.get_metric_history(run.info.run_id, "memory/host_gib")
        # The second trial took the first phase from the first one.
        assert [point.step for point in memory] == (epochs if number == 0 else [1])
        tags = run.data.tags
        assert {tags[f"{phase}.device.platform"] for phase in ("warmup", "finetune")} == {"cpu"}


def test_a_trial_that_needs_too_much_memory_is_broken_and_says_why(
    data: LearningData, study_run: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(*_: object, **__: object) -> None:
        raise MemoryError("Unable to allocate 64. TiB")

    monkeypatch.setattr(learner.Learner, "train", exhausted)
    with pytest.raises(BrokenTrialError, match=r"64\. TiB.*set batch_size to 8 and accum"):
        objective(data, tmp_path / "s")(attempt(Desk()))


def test_a_full_disk_ends_the_study_and_the_trial_is_taken_up_again(
    data: LearningData, study_run: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    trials = objective(data, tmp_path / "s" / "study")
    search = Search(trials.space, TuneConfig())
    with (
        monkeypatch.context() as patch,
        Study.open(tmp_path / "s" / "study", {}, search) as study,
    ):
        patch.setattr(checkpoints.np, "savez", full)
        for _ in range(TuneConfig().attempts + 1):
            with pytest.raises(
                DiskFullError, match=r"--folder; no epoch of the phase was finished"
            ):
                study.run(trials, 1)
        outcomes = [row.outcome for row in study.rows()]
    assert set(outcomes) == {Outcome.SET_DOWN, Outcome.WAITING}
    assert not [name for name in files(tmp_path / "s") if "partial" in name]
