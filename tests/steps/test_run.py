"""What a step knows of its run."""

from pathlib import Path
from types import SimpleNamespace

import pytest

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
