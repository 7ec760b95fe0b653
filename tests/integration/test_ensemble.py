"""The pipeline of an ensemble on a small drawn data set: one model of several, fold by fold."""

import copy
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
import yaml
from zenml.enums import ExecutionStatus

from pipelines.cli import main
from pipelines.ensemble import ensemble_pipeline
from pipelines.recorded_run import find_run
from pipelines.rerun import RerunRequest, prepare_rerun
from pipelines.rerun_plan import Action
from pipelines.results import describe_last_run
from skin_lesion.registry import MODEL_NAME
from tests.integration.conftest import TINY

pytestmark = pytest.mark.slow

FOLDS = 2
SHARED = {"ingest", "validate", "split", "augment", "ensemble", "evaluate", "register"}
OF_A_FOLD = ("ensemble", "warmup_train", "finetune_train")


def of_fold(fold: int) -> set[str]:
    return {f"{step}_fold_{fold}" for step in OF_A_FOLD}


def learnt(run: Any) -> dict[str, float]:
    """Metrics of a run, but for the memory of the process that trained."""
    return {k: v for k, v in run.data.metrics.items() if not k.startswith(("memory/", "system/"))}


@pytest.fixture(scope="module")
def run(workplace: Any) -> Any:
    """Run the pipeline on the small data set."""
    config = copy.deepcopy(TINY)
    steps = config.pop("steps")
    config["parameters"] |= {
        "image_size": [32, 36],  # other tests' pictures would come from the cache
        "source": {"kind": "local", "path": str(workplace.data)},
        "ensemble": {"folds": FOLDS},
        "warmup": steps["warmup_train"]["parameters"]["config"],
        "finetune": steps["finetune_train"]["parameters"]["config"],
    }
    file = workplace.folder / "ensemble.yaml"
    file.write_text(yaml.safe_dump(config))
    return lambda: workplace.run_file(file, ensemble_pipeline)


@pytest.fixture(scope="module")
def first(run: Any) -> Iterator[Any]:
    """The first run that comes to its end, after one that broke down in the second fold."""
    from skin_lesion.modeling.train import train_finetune

    trained = []

    def breaks_down(data: Any, warmup: Any, config: Any, context: Any) -> Any:
        trained.append(warmup)
        if len(trained) == 2:
            raise MemoryError("the machine went away")
        return train_finetune(data, warmup, config, context)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("steps.finetune_member.train_finetune", breaks_down)
        with pytest.raises(RuntimeError, match="finetune_train_fold_2"):
            run()
    return run()


@pytest.fixture(scope="module")
def client(workplace: Any, first: Any) -> mlflow.MlflowClient:
    return mlflow.MlflowClient(f"sqlite:///{workplace.folder / '.work/store/mlflow.db'}")


def mlflow_run(client: mlflow.MlflowClient, run: Any) -> Any:
    experiment = client.get_experiment_by_name("ensemble_pipeline")
    (found,) = client.search_runs([experiment.experiment_id], f"tags.mlflow.runName = '{run.name}'")
    return found


def members_of(client: mlflow.MlflowClient, parent: Any) -> dict[str, Any]:
    found = client.search_runs(
        [parent.info.experiment_id], f"tags.mlflow.parentRunId = '{parent.info.run_id}'"
    )
    return {one.info.run_name: one for one in found}


def test_a_run_that_broke_down_goes_on_with_the_fold_that_it_did_not_finish(first: Any) -> None:
    assert first.executed == {"finetune_train_fold_2", "ensemble", "evaluate", "register"}


def test_the_bundle_names_its_members_and_belongs_to_the_outer_split(first: Any) -> None:
    contract = first.outputs["bundle"].load().contract
    split = first.outputs["split"].load()
    assert contract.split_hash == split.split_hash
    assert [member.fold for member in contract.members] == [1, 2]
    hashes = {member.split_hash for member in contract.members}
    assert len(hashes | {split.split_hash}) == 3
    assert all(member.training_run_id for member in contract.members)
    summary = first.outputs["evaluation"].load().summary
    assert summary.test.n_images == (split.rows["split"] == "test").sum()


def test_each_member_has_a_run_below_that_of_the_whole(
    client: mlflow.MlflowClient, first: Any
) -> None:
    parent = mlflow_run(client, first)
    members = members_of(client, parent)
    assert set(members) == {"fold 1", "fold 2"}
    assert {one.info.status for one in members.values()} == {"FINISHED"}
    for name, one in members.items():
        epochs = client.get_metric_history(one.info.run_id, "val_macro_f1")
        assert sorted(metric.step for metric in epochs) == [0, 1, 2], name
    assert members["fold 2"].data.params["fold"] == "2"
    # What belongs to one member must not stand among what belongs to all.
    assert not {"val_macro_f1", "loss"} & set(parent.data.metrics)
    assert "fold" not in parent.data.params
    assert parent.data.params["finetune_train.learning_rate"] == "0.001"
    assert parent.data.params["ensemble.folds"] == str(FOLDS)


def test_mean_and_standard_deviation_over_the_folds_are_logged(
    client: mlflow.MlflowClient, first: Any
) -> None:
    metrics = mlflow_run(client, first).data.metrics
    scores = [one.val_macro_f1 for one in first.outputs["bundle"].load().contract.members]
    assert [metrics[f"fold_{i}.val_macro_f1"] for i in (1, 2)] == pytest.approx(scores)
    alone = [one.alone_macro_f1 for one in first.outputs["bundle"].load().contract.members]
    assert [metrics[f"fold_{i}.alone_macro_f1"] for i in (1, 2)] == pytest.approx(alone)
    assert metrics["folds.val_macro_f1.mean"] == pytest.approx(np.mean(scores))
    assert metrics["folds.val_macro_f1.sd"] == pytest.approx(np.std(scores, ddof=1))


def test_an_ensemble_is_registered_and_answers_like_any_model(
    workplace: Any, client: mlflow.MlflowClient, first: Any
) -> None:
    version = first.outputs["registered_version"].load()
    assert version.created
    assert client.get_model_version(MODEL_NAME, str(version.version)).status == "READY"
    assert f"version {version.version}" in describe_last_run("sqlite:///mlflow.db")
    card = first.outputs["model_card"].load()
    assert "Average of the logits of 2 networks" in card


def test_nothing_changed_re_runs_register_alone_and_its_run_is_complete(
    client: mlflow.MlflowClient, first: Any, run: Any
) -> None:
    second = run()
    assert second.executed == {"register"}
    assert not second.outputs["registered_version"].load().created
    mine, original = mlflow_run(client, second), mlflow_run(client, first)
    assert mine.data.tags["trained_by_run"] == original.info.run_id
    assert learnt(mine) == learnt(original)
    members = members_of(client, mine)
    assert set(members) == {"fold 1", "fold 2"}
    for name, one in members.items():
        before = members_of(client, original)[name]
        assert one.data.tags["trained_by_run"] != one.info.run_id
        assert learnt(one) == learnt(before)


def test_an_ensemble_is_recorded_like_any_run_but_for_drawn_images(
    root: Path, workplace: Any, first: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last check refuses it, so that all the others found it true."""
    monkeypatch.syspath_prepend(str(root / "benchmarks"))
    recording, runs = (importlib.import_module(name) for name in ("recording", "finished_run"))
    config = str(workplace.folder / "ensemble.yaml")
    with pytest.raises(ValueError, match="synthetic images only"):
        recording.record(config, first.name)
    run = runs.find_run(first.name, "ensemble_pipeline")
    trained = [
        sum(record.seconds for record in runs.output(run, f"{step}_fold_{fold}", name).records)
        for step, name in (
            ("warmup_train", "warmup_history"),
            ("finetune_train", "finetune_history"),
        )
        for fold in (1, 2)
    ]
    assert runs.minutes_of_work(run) * 60 >= sum(trained) > 0
    with pytest.raises(ValueError, match=r"is one of ensemble_pipeline, and not of training"):
        runs.find_run(first.name)


@pytest.mark.parametrize(
    ("step", "runs"),
    [
        ("ensemble_fold_1", of_fold(1) | {"ensemble", "evaluate", "register"}),
        ("warmup_train_fold_2", of_fold(2) - {"ensemble_fold_2"} | {"ensemble", "evaluate", "register"}),
        ("augment", of_fold(1) | of_fold(2) | {"augment", "ensemble", "evaluate", "register"}),
        ("ensemble", {"ensemble", "evaluate", "register"}),
    ],
)  # fmt: skip
def test_what_depends_on_a_step_of_one_member_would_run_again_and_the_other_members_not(
    first: Any, step: str, runs: set[str]
) -> None:
    planned = prepare_rerun(RerunRequest(step, first.name))
    assert {*planned.steps(Action.RUNS), *planned.steps(Action.RUNS_UNLESS_CACHED)} == runs
    assert step in planned.steps(Action.RUNS)
    assert set(planned.steps(Action.REUSED)) == (SHARED | of_fold(1) | of_fold(2)) - runs


def test_a_member_is_trained_again_as_was_announced(first: Any) -> None:
    step = "finetune_train_fold_2"
    announced = prepare_rerun(RerunRequest(step, first.name))
    assert "trains anew" in announced.describe()
    assert main(["rerun", step, "--run", first.name, "--yes"]) == 0
    again = find_run(None)
    assert again.status == ExecutionStatus.COMPLETED
    assert again.original_run.name == first.name
    statuses = {name: found.status for name, found in again.steps.items()}
    assert statuses[step] == ExecutionStatus.COMPLETED
    reused = {name for name, status in statuses.items() if status == ExecutionStatus.SKIPPED}
    assert reused == set(announced.steps(Action.REUSED))
    assert set(statuses) == {row.step for row in announced.rows}


@pytest.mark.parametrize(
    ("step", "setting", "error", "message"),
    [
        ("finetune_train_fold_2", "finetune.epochs=1", ValueError,
         "all members of an ensemble share it.*finetune_train_fold_1.*zenml pipeline run"),
        ("finetune_train_fold_2", "finetune_train_fold_2.epochs=1", LookupError,
         "one configuration; name it by 'finetune'"),
        ("ensemble_fold_1", "ensemble.folds=3", ValueError, "all members of an ensemble share it"),
        ("augment", "ensemble.folds=3", ValueError, "another number of members.*new run"),
        ("warmup_train_fold_3", "", LookupError, "there is no step 'warmup_train_fold_3'"),
    ],
)  # fmt: skip
def test_what_would_make_members_of_different_kinds_is_refused(
    first: Any, step: str, setting: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        prepare_rerun(RerunRequest(step, first.name, [setting] if setting else []))


def test_a_value_that_all_members_share_is_set_where_all_of_them_train_again(first: Any) -> None:
    planned = prepare_rerun(RerunRequest("augment", first.name, ["finetune.epochs=1"]))
    notes = {row.step: row.why for row in planned.rows if "epochs: 2 -> 1" in row.why}
    assert set(notes) == {"finetune_train_fold_1", "finetune_train_fold_2"}
    assert planned.parameters["finetune"].epochs == 1
    assert planned.parameters["warmup"].epochs == 1


def test_members_do_not_start_from_different_weights(
    first: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.rerun.weights_fingerprint", lambda _: "changed")
    with pytest.raises(ValueError, match=r"warmup_train_fold_1 would be reused.*same weights"):
        prepare_rerun(RerunRequest("warmup_train_fold_2", first.name))
    assert prepare_rerun(RerunRequest("finetune_train_fold_2", first.name))
    everything = prepare_rerun(RerunRequest("augment", first.name))
    assert everything.describe().count("its weights changed since") == FOLDS
