"""What a step knows of its run."""

import contextlib
from pathlib import Path
from types import SimpleNamespace
from uuid import UUID, uuid4

import pytest
from zenml.enums import ExecutionStatus

from steps import _run


def use_stack(monkeypatch: pytest.MonkeyPatch, **components: object) -> None:
    stack = SimpleNamespace(**components)
    monkeypatch.setattr(_run, "Client", lambda: SimpleNamespace(active_stack=stack))


def store(path: str, *, is_local: bool) -> SimpleNamespace:
    return SimpleNamespace(path=path, config=SimpleNamespace(is_local=is_local))


def test_checkpoints_lie_beside_a_local_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(_run.CHECKPOINTS_VARIABLE, raising=False)
    use_stack(monkeypatch, artifact_store=store("/data/store", is_local=True))
    assert _run.checkpoint_root() == Path("/data/checkpoints")


def test_checkpoints_of_a_remote_store_lie_on_this_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv(_run.CHECKPOINTS_VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    use_stack(monkeypatch, artifact_store=store("s3://bucket", is_local=False))
    assert _run.checkpoint_root() == tmp_path / ".work" / "checkpoints"
    assert _run.local_store() is None


def test_the_environment_decides_where_checkpoints_lie(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(_run.CHECKPOINTS_VARIABLE, "/volume")
    assert _run.checkpoint_root() == Path("/volume")


@pytest.mark.parametrize(
    ("tracker", "named"), [(None, "none"), (SimpleNamespace(flavor="wandb"), "'wandb'")]
)
def test_a_stack_without_mlflow_is_told_what_it_lacks(
    tracker: object, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_stack(monkeypatch, experiment_tracker=tracker)
    with (
        pytest.raises(RuntimeError, match=rf"{named}.*configs/stacks/local\.yaml"),
        _run.mlflow_run(),
    ):
        pass


def test_a_phase_reports_epochs_and_devices_and_says_how_to_move_its_checkpoints(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told: list[object] = []

    class Watched:
        def __call__(self, record: object) -> None:
            told.append(record)

        def on_devices(self, facts: object) -> None:
            told.append(facts)

    monkeypatch.setenv(_run.CHECKPOINTS_VARIABLE, str(tmp_path))
    monkeypatch.setattr(
        _run, "watched_training", lambda phase: contextlib.nullcontext(Watched()) if phase else None
    )
    monkeypatch.setattr(_run.tracking, "active_run_id", lambda: "r")
    step_run = SimpleNamespace(id=uuid4(), config=SimpleNamespace(enable_cache=True))
    monkeypatch.setattr(_run, "get_step_context", lambda: SimpleNamespace(step_run=step_run))
    with _run.run_context("warmup") as context:
        assert context.on_devices is not None
        assert context.on_epoch is not None
        context.on_devices("facts")  # type: ignore[arg-type]
        context.on_epoch("epoch")  # type: ignore[arg-type]
    assert told == ["facts", "epoch"]
    assert context.receiver == str(step_run.id)
    assert context.arrived is _run.is_completed
    assert str(tmp_path) in context.elsewhere
    assert _run.CHECKPOINTS_VARIABLE in context.elsewhere


@pytest.mark.parametrize(
    ("status", "arrived"),
    [
        (ExecutionStatus.COMPLETED, True),
        (ExecutionStatus.RUNNING, False),  # its process is dead, and ZenML was never told
        (ExecutionStatus.FAILED, False),
        (None, False),  # ZenML knows no such run
    ],
)
def test_a_model_has_arrived_once_its_step_run_is_completed(
    status: ExecutionStatus | None, arrived: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[UUID] = []

    def get_run_step(step_run: UUID, **_: object) -> SimpleNamespace:
        asked.append(step_run)
        if status is None:
            raise KeyError(step_run)
        return SimpleNamespace(status=status)

    monkeypatch.setattr(_run, "Client", lambda: SimpleNamespace(get_run_step=get_run_step))
    name = uuid4()
    assert _run.is_completed(str(name)) is arrived
    assert asked == [name]
    assert not _run.is_completed(str(name)[:9]), "half of a note, as after a power cut"
    assert not _run.is_completed("")


def test_what_members_of_an_ensemble_share_is_configured_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And under the names that a single network has, so that runs can be compared."""

    def step(**parameters: object) -> SimpleNamespace:
        return SimpleNamespace(config=SimpleNamespace(parameters=parameters))

    steps = {
        "split": step(seed=3, config={"train": 0.7}),
        **{
            name: step(fold=fold, seed=3, config=config)
            for fold in (1, 2)
            for name, config in (
                (_run.of_fold("ensemble", fold), {"folds": 2}),
                (_run.of_fold("warmup_train", fold), {"epochs": 4}),
            )
        },
        "ensemble": step(),
    }
    context = SimpleNamespace(
        pipeline_run=SimpleNamespace(snapshot=SimpleNamespace(step_configurations=steps))
    )
    monkeypatch.setattr(_run, "get_step_context", lambda: context)
    assert _run.resolved_configuration() == {
        "seed": 3,
        "split": {"train": 0.7},
        "ensemble": {"folds": 2},
        "warmup_train": {"epochs": 4},
    }
