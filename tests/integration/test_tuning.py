"""`skin-lesion tune`, killed in the middle of a trial and gone on with."""

import csv
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import pytest
import yaml
from zenml.client import Client

from pipelines.cli import main
from pipelines.stacks import set_up_stack
from pipelines.training import training_pipeline
from pipelines.tuning import EXPERIMENT
from tests.integration.conftest import TINY, Workplace, write_data_set
from tests.small_world import QUICK

pytestmark = pytest.mark.slow

TRIALS = 5
# Runs the command until the middle of a trial, and dies there as nothing that could be caught.
KILLED = """
import os, signal, sys
import mlflow
from pipelines.cli import main
from skin_lesion.live.watch import Watch

def told(self, record, tell=Watch.__call__):
    tell(self, record)
    if mlflow.active_run().data.tags["mlflow.runName"] == "trial 2" and record.epoch == 1:
        os.kill(os.getpid(), signal.SIGKILL)

Watch.__call__ = told
sys.exit(main(sys.argv[1:]))
"""


@dataclass(frozen=True)
class Finished:
    """What a process came to."""

    returncode: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Searched:
    """A finished study.

    Attributes:
        place: Where pipelines run.
        words: Of the command.
        first: Outcome of the killed process.
        second: Outcome of the same command after it.
        study: Folder of the study.
    """

    place: Workplace
    words: list[str]
    first: Finished
    second: Finished
    study: Path


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Iterator[Searched]:
    folder = tmp_path_factory.mktemp("tuning")
    before = Client().active_stack_model.name
    description = yaml.safe_load((root / "configs" / "stacks" / "local.yaml").read_text())
    description["stack_name"] = folder.name
    for component in description["components"].values():
        component["name"] = folder.name
    (folder / "stack.yaml").write_text(yaml.safe_dump(description))
    set_up_stack(folder / "stack.yaml", folder)
    place = Workplace(folder, write_data_set(folder / "data"))
    config = yaml.safe_load(yaml.safe_dump(TINY))
    config["parameters"]["source"] = {"kind": "local", "path": str(place.data)}
    config["steps"]["evaluate"] = {"parameters": {"config": QUICK.model_dump()}}
    (folder / "tiny.yaml").write_text(yaml.safe_dump(config))
    (folder / "space.yaml").write_text(
        "space:\n"
        "  finetune_train.learning_rate: {low: 1e-4, high: 1e-2, log: true}\n"
        "  finetune_train.train_batchnorm: {choices: [true, false]}\n"
        "study: {random_trials: 2, unpruned_trials: 1, unpruned_epochs: 2}\n"
    )
    words = [
        "tune", "-c", str(folder / "tiny.yaml"), "--space", str(folder / "space.yaml"),
        "--trials", str(TRIALS), "--folder", str(folder / "studies"),
    ]  # fmt: skip

    def run(name: str, *start: str) -> Finished:
        # Into files: workers that a killed process leaves behind would keep a pipe open for minutes.
        said, told = folder / f"{name}.out", folder / f"{name}.err"
        with said.open("w") as out, told.open("w") as err:
            process = subprocess.run(
                [sys.executable, *start, *words], cwd=root, stdout=out, stderr=err, check=False
            )
        return Finished(process.returncode, said.read_text(), told.read_text())

    first, second = run("first", "-c", KILLED), run("second", "-m", "pipelines.cli")
    yield Searched(place, words, first, second, folder / "studies" / "tiny-space")
    Client().activate_stack(before)


def runs(searched: Searched) -> tuple[Any, list[Any]]:
    """The run of the study, and those of its trials."""
    tracker: Any = Client().active_stack.experiment_tracker
    tracker.configure_mlflow()
    found = mlflow.search_runs(experiment_names=[EXPERIMENT], output_format="list")
    parents = [run for run in found if "mlflow.parentRunId" not in run.data.tags]
    assert len(parents) == 1
    children = [r for r in found if r.data.tags.get("mlflow.parentRunId") == parents[0].info.run_id]
    assert len(children) == len(found) - 1
    return parents[0], sorted(children, key=lambda run: int(run.data.tags["trial"]))


def test_the_same_command_goes_on_after_the_process_was_killed(searched: Searched) -> None:
    assert searched.first.returncode == -9
    assert searched.second.returncode == 0, searched.second.stderr
    assert "trial number 2 died with its process" in searched.second.stderr
    assert "resuming after epoch 1" in searched.second.stderr
    assert f"{TRIALS} trials (" in searched.second.stdout


def test_every_trial_is_counted_once(searched: Searched) -> None:
    with (searched.study / "results" / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == TRIALS + 1
    assert [row["outcome"] for row in rows].count("died") == 1
    assert rows[2]["outcome"] == "died"
    assert rows[3]["retry_of"] == "2"
    names = ("finetune_train.learning_rate", "finetune_train.train_batchnorm")
    assert [rows[2][name] for name in names] == [rows[3][name] for name in names]
    assert {row["outcome"] for row in rows} <= {"died", "finished", "pruned"}


def test_every_trial_is_a_run_below_that_of_the_study(searched: Searched) -> None:
    study, trials = runs(searched)
    assert len(trials) == TRIALS + 1
    statuses = {"died": "FAILED", "finished": "FINISHED", "pruned": "KILLED"}
    for run in trials:
        assert run.info.status == statuses[run.data.tags["outcome"]]
        assert "finetune_train.learning_rate" in run.data.params
    assert Counter(run.data.tags["outcome"] for run in trials)["died"] == 1
    # The trial that was taken up again has the epochs from before its death too.
    history = mlflow.MlflowClient().get_metric_history(trials[3].info.run_id, "val_macro_f1")
    assert [metric.step for metric in history] == list(range(len(history)))
    assert len(history) >= 3
    assert study.data.metrics["trials"] == TRIALS
    best = max(r.data.metrics["best_val_macro_f1"] for r in trials if r.info.status == "FINISHED")
    assert study.data.metrics["best_val_macro_f1"] == best
    logged = {f.path for f in mlflow.MlflowClient().list_artifacts(study.info.run_id, "tuning")}
    assert logged >= {f"tuning/{n}" for n in ("best.yaml", "trials.csv", "history.png")}


def test_neither_checkpoints_nor_pictures_are_left_behind(searched: Searched) -> None:
    assert sorted(path.name for path in searched.study.iterdir()) == [
        "results", "study.db", "study.lock",
    ]  # fmt: skip


def test_the_pipeline_takes_the_best_values_as_they_are_written(searched: Searched) -> None:
    _, trials = runs(searched)
    best = max(
        (run for run in trials if run.info.status == "FINISHED"),
        key=lambda run: run.data.metrics["best_val_macro_f1"],
    )
    pipeline = training_pipeline.with_options(
        config_path=str(searched.study / "results" / "best.yaml")
    )
    pipeline.prepare()
    steps = pipeline.create_snapshot(name=searched.place.folder.name).step_configurations
    taken = steps["finetune_train"].config.parameters["config"]
    assert taken["learning_rate"] == float(best.data.params["finetune_train.learning_rate"])
    assert str(taken["train_batchnorm"]) == best.data.params["finetune_train.train_batchnorm"]
    # Of what was not searched, all stays as it was.
    given = TINY["steps"]["finetune_train"]["parameters"]["config"]
    assert taken["epochs"] == given["epochs"]
    assert taken["unfreeze_epochs"] == given["unfreeze_epochs"]


@pytest.mark.exhaustive
def test_a_run_with_the_best_values_takes_what_the_search_prepared_from_the_cache(
    searched: Searched,
) -> None:
    finished = searched.place.run_file(searched.study / "results" / "best.yaml")
    assert {"ingest", "validate", "split"}.isdisjoint(finished.executed)
    assert {"finetune_train", "evaluate", "register"} <= finished.executed


def test_a_finished_study_says_what_it_came_to_without_training(
    searched: Searched, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(searched.words) == 0
    assert "Best on validation: trial" in capsys.readouterr().out
    assert len(runs(searched)[1]) == TRIALS + 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--trials", "0"], "--trials is 0"),
        (["--timeout", "0"], "--timeout is 0 minutes"),
        (["--study", "a/b"], "study is 'a/b'"),
        (["-c", "nowhere.yaml"], "nowhere.yaml"),
        (["-c", "configs/demo_ensemble.yaml"], "there is no parameter of the training pipeline"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_line(
    searched: Searched, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*searched.words, *words]) == 1
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
