"""Re-running single steps: what ZenML recorded afterwards is what was announced before."""

import errno
import fcntl
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import text
from zenml.client import Client
from zenml.enums import ExecutionStatus

from materializers.model_bundle import ModelBundleMaterializer
from pipelines.cli import main
from pipelines.recorded_run import FINGERPRINTS, RecordedRun, find_run, parameter_kinds
from pipelines.rerun import RerunRequest, prepare_rerun
from pipelines.rerun_plan import Action
from pipelines.stacks import set_up_stack
from skin_lesion.data.archives import SourceError
from skin_lesion.modeling import loop
from skin_lesion.modeling.checkpoints import Progress
from skin_lesion.modeling.phase import Phase
from steps._run import checkpoint_root
from tests.integration.conftest import TINY, Workplace, write_data_set
from tests.small_world import QUICK

STEPS = (
    "ingest", "validate", "split", "augment",
    "warmup_train", "finetune_train", "evaluate", "register",
)  # fmt: skip
RECORDED_AS = {
    Action.RUNS: {ExecutionStatus.COMPLETED},
    Action.RUNS_UNLESS_CACHED: {ExecutionStatus.COMPLETED, ExecutionStatus.CACHED},
    Action.REUSED: {ExecutionStatus.SKIPPED},
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Iterator[Workplace]:
    """A stack of its own: its store is part of every cache key, so no other test is disturbed."""
    folder = tmp_path_factory.mktemp("rerun")
    before = Client().active_stack_model.name
    description = yaml.safe_load((root / "configs" / "stacks" / "local.yaml").read_text())
    description["stack_name"] = folder.name
    for component in description["components"].values():
        component["name"] = folder.name
    (folder / "stack.yaml").write_text(yaml.safe_dump(description))
    set_up_stack(folder / "stack.yaml", folder)
    yield Workplace(folder, write_data_set(folder / "data"))
    Client().activate_stack(before)


def configuration(place: Workplace, **finetune: Any) -> Path:
    """Quick, and told to execute one step in circumstances of its own."""
    config = yaml.safe_load(yaml.safe_dump(TINY))
    config["parameters"]["source"] = {"kind": "local", "path": str(place.data)}
    config["steps"]["finetune_train"]["parameters"]["config"] |= finetune
    config["steps"]["evaluate"] = {
        "parameters": {"config": QUICK.model_dump()},
        "settings": {"resources": {"memory": "1GB"}},
        "environment": {"OMP_NUM_THREADS": "2"},
    }
    file = place.folder / "config.yaml"
    file.write_text(yaml.safe_dump(config))
    return file


@pytest.fixture(scope="module")
def first(place: Workplace) -> Any:
    """A finished run."""
    finished = place.run_file(configuration(place))
    assert finished.executed == set(STEPS)
    return find_run(finished.name)


@pytest.fixture(scope="module")
def failed(place: Workplace, first: Any) -> Any:
    """A run that fine-tuning failed in."""
    with pytest.raises(RuntimeError, match="finetune_train"):
        place.run_file(configuration(place, frozen_blocks=99))
    return find_run(None)


def statuses(run: Any) -> dict[str, ExecutionStatus]:
    return {name: step.status for name, step in run.steps.items()}


def executed(run: Any) -> set[str]:
    return {name for name, status in statuses(run).items() if status == ExecutionStatus.COMPLETED}


def content(artifacts: Mapping[str, Any]) -> dict[str, str]:
    return {name: versions[0].content_hash for name, versions in artifacts.items()}


def outputs(run: Any) -> set[str]:
    return {name for step in run.steps.values() for name in step.outputs}


def linked(run: Any) -> set[str]:
    """Artifacts that ZenML shows at the model version of a run."""
    links = Client().list_model_version_artifact_links(
        model_version_id=run.model_version.id, size=100
    )
    return {link.artifact_version.artifact.name for link in links.items}


def set_status(run: Any, status: ExecutionStatus) -> None:
    """In the database itself: ZenML takes no run that has ended back to running."""
    with Client().zen_store.engine.begin() as connection:
        connection.execute(
            text("UPDATE pipeline_run SET status = :status WHERE name = :name"),
            {"status": status.value, "name": run.name},
        )


def count() -> int:
    return Client().list_pipeline_runs(size=1).total


def rerun(*words: str) -> Any:
    """The new run."""
    before = count()
    assert main(["rerun", *words, "--yes"]) == 0
    assert count() == before + 1
    return find_run(None)


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
def test_what_was_announced_is_what_zenml_recorded(
    step: str, first: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    announced = prepare_rerun(RerunRequest(step, first.name))
    run = rerun(step, "--run", first.name)
    assert announced.describe() in capsys.readouterr().out
    assert run.status == ExecutionStatus.COMPLETED
    assert run.original_run.id == first.id
    assert linked(run) >= outputs(run) == outputs(first)
    found = statuses(run)
    assert set(found) == {row.step for row in announced.rows} == set(STEPS)
    for row in announced.rows:
        assert found[row.step] in RECORDED_AS[row.action], row
        before, after = first.steps[row.step], run.steps[row.step]
        if row.action == Action.RUNS_UNLESS_CACHED:
            equal = content(before.inputs) == content(after.inputs)
            assert (found[row.step] == ExecutionStatus.CACHED) == equal
        if row.action == Action.REUSED:
            ids = {name: [a.id for a in versions] for name, versions in before.outputs.items()}
            assert ids == {n: [a.id for a in versions] for n, versions in after.outputs.items()}


@pytest.mark.slow
def test_without_cache_all_that_follows_is_executed_and_trained_anew(first: Any) -> None:
    run = rerun("warmup_train", "--run", first.name, "--no-cache")
    assert executed(run) == {"warmup_train", "finetune_train", "evaluate", "register"}
    for step, name in (
        ("warmup_train", "warmup_history"),
        ("finetune_train", "finetune_history"),
    ):
        old, new = (r.steps[step].outputs[name][0].load() for r in (first, run))
        assert [record.epoch for record in new.records] == [r.epoch for r in old.records]
        # Epochs out of a checkpoint would have kept the seconds that they took.
        assert {r.seconds for r in new.records}.isdisjoint({r.seconds for r in old.records})


@pytest.mark.slow
def test_a_failed_run_is_gone_on_with(failed: Any) -> None:
    assert failed.status == ExecutionStatus.FAILED
    rows = prepare_rerun(RerunRequest("evaluate", failed.name)).rows
    reasons = {row.step: (row.action, row.why) for row in rows}
    assert reasons["warmup_train"][0] == Action.REUSED
    assert reasons["finetune_train"] == (Action.RUNS_UNLESS_CACHED, "did not finish in that run")
    assert reasons["register"][1].startswith("never began in that run")
    run = rerun("finetune_train", "--set", "finetune_train.frozen_blocks=0", "--run", failed.name)
    assert executed(run) == {"finetune_train", "evaluate", "register"}
    assert run.status == ExecutionStatus.COMPLETED


@pytest.mark.exhaustive  # what it goes on by is tried above, for a run that failed
def test_a_re_run_that_died_in_the_second_phase_is_gone_on_with_by_naming_that_phase(
    first: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[tuple[str, int]] = []
    dying = True

    def told(phase: Phase, progress: Progress) -> str:
        trained.append((phase.name, progress.records[-1].epoch))
        if dying and phase.name == "finetune":
            raise RuntimeError("the machine was taken away")
        return "an epoch"

    monkeypatch.setattr(loop, "progress_line", told)
    assert main(["rerun", "warmup_train", "--run", first.name, "--no-cache", "--yes"]) == 1
    assert trained == [("warmup", 0), ("finetune", 1)]
    trained.clear()
    dying = False
    run = rerun("finetune_train", "--interrupted")
    assert run.steps["warmup_train"].status == ExecutionStatus.SKIPPED
    assert trained == [("finetune", 2)], "neither the first phase nor an epoch that was finished"
    assert run.status == ExecutionStatus.COMPLETED


@pytest.mark.slow
def test_a_training_whose_model_could_not_be_stored_is_not_trained_anew(
    first: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ZenML stores what a step returns when the step has nothing more to say of it."""
    trained: list[tuple[str, int]] = []

    def told(phase: Phase, progress: Progress) -> str:
        trained.append((phase.name, progress.records[-1].epoch))
        return "an epoch"

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(loop, "progress_line", told)
    words = ["finetune_train", "--run", first.name]
    with monkeypatch.context() as patch:
        patch.setattr(ModelBundleMaterializer, "save", full)
        assert main(["rerun", *words, "--yes"]) == 1
    assert trained == [("finetune", 1), ("finetune", 2)], "the run before has its own model"
    trained.clear()
    run = rerun(*words)
    assert trained == []
    assert "finetune_train" in executed(run)


def test_a_run_that_is_not_over_is_refused_unless_its_process_is_said_to_be_dead(
    failed: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["rerun", "finetune_train", "--run", failed.name, "--dry-run"]
    set_status(failed, ExecutionStatus.RUNNING)
    try:
        assert main(words) == 1
        assert "is running; wait for its end, or add --interrupted" in capsys.readouterr().err
        assert main([*words, "--interrupted"]) == 0
    finally:
        set_status(failed, ExecutionStatus.FAILED)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["evaluat"], "no step 'evaluat' (did you mean 'evaluate'?); choose one of ingest"),
        (["evaluate", "--run", "nothing"], "begins with 'nothing'"),
        (["evaluate", "--run", ""], "begins with ''"),
        (["evaluate", "--run", "training_pipeline-"], "may be any of training_pipeline-"),
        (["evaluate", "--set", "evaluate.bins=3"], "evaluate has no 'bins'"),
        (["evaluate", "--set", "evaluate.batch_size=0"], "batch_size: Input should be"),
        (["evaluate", "--set", "nothing.epochs=3"], "no step or parameter 'nothing'"),
        (["evaluate", "--set", "finetune_train.epochs=3"], "re-run finetune_train instead"),
        (["evaluate", "--set", "seed=3"], "ingest, split, augment of that run have used it"),
        (["ingest", "--set", "seed=-1"], "seed is -1"),
        (["ingest", "--set", "image_size=[8, 32]"], "the height is 8"),
        (["ingest", "--set", "source.path=/nowhere"], "/nowhere"),
        (["ingest", "--set", "known_source=x"], "no step or parameter 'known_source'"),
        (["warmup_train", "--set", "backbone.name=vgg"], "unknown backbone 'vgg'"),
        (
            ["warmup_train", "--set", "backbone.weights=path", "--set", "backbone.path=/nowhere"],
            "no weights at /nowhere",
        ),
        (["evaluate"], "nobody to ask; add --yes"),
    ],
)
def test_a_mistake_is_one_line_and_starts_nothing(
    words: list[str], message: str, first: Any, failed: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """`failed` is there for a prefix that several runs share."""
    named = [] if "--run" in words else ["--run", first.name]
    yes = [] if "--yes" in message else ["--yes"]
    before = count()
    assert main(["rerun", *words, *named, *yes]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert count() == before


def test_a_second_re_run_at_once_is_refused(first: Any, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint_root().mkdir(parents=True, exist_ok=True)
    before = count()
    with (checkpoint_root() / "rerun.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write("4711\n")
        file.flush()
        assert main(["rerun", "register", "--run", first.name, "--yes"]) == 1
    assert (
        "another re-run is being worked on by process 4711; wait for its end"
        in capsys.readouterr().err
    )
    assert count() == before


def test_the_pictures_are_needed_by_ingestion_alone(place: Workplace, first: Any) -> None:
    hidden = place.data.with_name("hidden")
    place.data.rename(hidden)
    try:
        assert prepare_rerun(RerunRequest("validate", first.name)).rows
        with pytest.raises(SourceError, match="does not exist"):
            prepare_rerun(RerunRequest("ingest", first.name))
    finally:
        hidden.rename(place.data)


def test_changed_pictures_are_announced(place: Workplace, first: Any) -> None:
    """Keep this test behind those that re-run ingestion: a picture is newer afterwards."""
    next(place.data.rglob("*.jpg")).touch()
    rows = {row.step: row.why for row in prepare_rerun(RerunRequest("ingest", first.name)).rows}
    assert rows["ingest"].endswith("its source changed since")


def test_an_artifact_that_is_gone_is_named(first: Any) -> None:
    bundle = Path(first.steps["finetune_train"].outputs["bundle"][0].uri)
    hidden = bundle.with_name("hidden")
    bundle.rename(hidden)
    try:
        with pytest.raises(RuntimeError, match=r"bundle of finetune_train .*re-run finetune_train"):
            prepare_rerun(RerunRequest("evaluate", first.name))
        assert prepare_rerun(RerunRequest("finetune_train", first.name)).rows
    finally:
        hidden.rename(bundle)


def test_a_run_of_another_store_is_refused(place: Workplace, first: Any) -> None:
    Client().activate_stack("default")
    try:
        with pytest.raises(RuntimeError, match="another artifact store"):
            prepare_rerun(RerunRequest("evaluate", first.name))
    finally:
        Client().activate_stack(place.folder.name)


def test_every_parameter_that_can_be_set_reaches_a_step_under_its_own_name(first: Any) -> None:
    """A parameter without a reader could be set to no effect."""
    recorded = RecordedRun(first)
    assert all(recorded.readers(name) for name in parameter_kinds())
    for parameter in FINGERPRINTS.values():
        (step,) = recorded.readers(parameter)
        assert parameter in recorded.run.steps[step].config.parameters


@pytest.mark.slow
def test_a_changed_value_is_all_that_differs_in_the_record(first: Any) -> None:
    """Memory, environment, fingerprints of files not read again: as in the run that is repeated."""
    run = rerun("register", "--run", str(first.id)[:13], "--set", "register.max_ece=0.5")
    assert executed(run) == {"register"}
    for step in STEPS:
        old, new = (r.snapshot.step_configurations[step].config for r in (first, run))
        changed = {"max_ece": 0.5} if step == "register" else {}
        config = {**old.parameters["config"], **changed}
        assert new.parameters == {**old.parameters, "config": config}
        assert new.settings == old.settings
        assert new.environment == old.environment
    evaluate = run.snapshot.step_configurations["evaluate"].config
    assert evaluate.environment == {"OMP_NUM_THREADS": "2"}
    assert evaluate.settings["resources"].memory == "1GB"
