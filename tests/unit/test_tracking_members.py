"""What ends up in the MLflow runs of an ensemble and of its members."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlflow
import pytest

from skin_lesion import tracking
from skin_lesion.modeling.bundle import EnsembleMember
from skin_lesion.modeling.history import EpochRecord, History
from skin_lesion.tracking_members import adopt_training, fold_figures, member_run
from tests.mlflow_place import mlflow_at


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[mlflow.MlflowClient]:
    folder = tmp_path_factory.mktemp("mlflow")
    with mlflow_at(folder):
        with tracking.continued_run("tests", "first", {}, folder / "files"):
            pass
        yield mlflow.MlflowClient()


def history(phase: str, epochs: range, run_id: str | None, score: float = 0.5) -> History:
    records = tuple(
        EpochRecord(
            epoch=epoch, learning_rate=0.1, seconds=1.0, images_per_second=5.0,
            metrics={"loss": 1.0, "val_macro_f1": score if epoch == epochs[0] else 0.0},
        )
        for epoch in epochs
    )  # fmt: skip
    return History(
        phase=phase, description=phase, records=records, best_epoch=epochs[0],
        trainable_parameters=1, mlflow_run_id=run_id,
    )  # fmt: skip


def contract(made_by: str | None, members: int) -> Any:
    found = tuple(
        EnsembleMember(fold=i, training_run_id="", split_hash="", epoch_kept=1, val_macro_f1=0.5)
        for i in range(1, members + 1)
    )
    return SimpleNamespace(members=found, training_run_id=made_by)


def below(client: mlflow.MlflowClient, run_id: str) -> dict[str, Any]:
    experiment = client.get_run(run_id).info.experiment_id
    found = client.search_runs([experiment], f"tags.mlflow.parentRunId = '{run_id}'")
    return {run.info.run_name: run for run in found}


def test_steps_of_one_run_share_the_run_of_a_member(client: mlflow.MlflowClient) -> None:
    with tracking.continued_run("tests", "shared", {}, None) as whole:
        with member_run(1, {"fold": 1}) as first:
            assert tracking.active_run_id() == first
        assert tracking.active_run_id() == whole
        with member_run(2) as other, pytest.raises(AssertionError):
            assert first == other
    with tracking.continued_run("tests", "shared", {}, None), member_run(1) as again:
        assert again == first
    assert set(below(client, whole)) == {"fold 1", "fold 2"}
    assert client.get_run(first).data.params == {"fold": "1"}
    assert client.get_run(whole).data.params == {}


def test_members_of_another_run_are_other_runs(client: mlflow.MlflowClient) -> None:
    with tracking.continued_run("tests", "one", {}, None), member_run(1) as first:
        pass
    with tracking.continued_run("tests", "another", {}, None), member_run(1) as second:
        pass
    assert first != second


def test_a_member_whose_training_breaks_down_has_failed_and_may_be_gone_on_with(
    client: mlflow.MlflowClient,
) -> None:
    with tracking.continued_run("tests", "broken", {}, None) as whole:
        with pytest.raises(MemoryError), member_run(1) as first:
            raise MemoryError
        assert client.get_run(first).info.status == "FAILED"
        assert tracking.active_run_id() == whole
        with member_run(1) as again:
            assert again == first
    assert client.get_run(first).info.status == "FINISHED"


def test_a_member_needs_the_run_of_the_whole(client: mlflow.MlflowClient) -> None:
    with pytest.raises(RuntimeError, match="no MLflow run is active"), member_run(1):
        pass


def test_an_ensemble_from_the_cache_has_the_curves_of_every_member(
    client: mlflow.MlflowClient, tmp_path: Path
) -> None:
    model = tmp_path / "model.keras"
    model.write_bytes(b"weights")
    phases = []
    with tracking.continued_run("tests", "trained", {}, None) as whole:
        for fold, score in ((1, 0.4), (2, 0.8)):
            with member_run(fold) as run_id:
                phases += [
                    history("warmup", range(2), run_id),
                    history("finetune", range(2, 5), run_id, score),
                ]
                for phase in phases[-2:]:
                    tracking.log_phase(phase, model)
                    tracking.log_epochs(phase.records)
        adopt_training(phases, contract(whole, 2))
    with tracking.continued_run("tests", "cached", {}, None) as cached:
        adopt_training(phases, contract(whole, 2))
    assert "trained_by_run" not in client.get_run(whole).data.tags
    assert client.get_run(cached).data.tags["trained_by_run"] == whole
    assert client.get_run(cached).data.metrics == client.get_run(whole).data.metrics
    before, after = below(client, whole), below(client, cached)
    assert set(before) == set(after) == {"fold 1", "fold 2"}
    for name, run in after.items():
        assert run.data.tags["trained_by_run"] == before[name].info.run_id
        assert run.data.metrics == before[name].data.metrics
        steps = [m.step for m in client.get_metric_history(run.info.run_id, "val_macro_f1")]
        assert sorted(steps) == [0, 1, 2, 3, 4]


def test_one_network_is_adopted_as_ever(client: mlflow.MlflowClient) -> None:
    with tracking.continued_run("tests", "single", {}, None) as run_id:
        adopt_training([history("warmup", range(1), "a"), history("finetune", range(1, 2), "a")],
                       contract("a", 0))  # fmt: skip
    assert client.get_run(run_id).data.tags["trained_by_run"] == "a"
    assert below(client, run_id) == {}


def test_figures_are_those_of_the_epochs_that_were_kept() -> None:
    found = fold_figures([history("finetune", range(3, 6), None, s) for s in (0.4, 0.6, 0.8)])
    assert found == pytest.approx(
        {
            "fold_1.val_macro_f1": 0.4,
            "fold_2.val_macro_f1": 0.6,
            "fold_3.val_macro_f1": 0.8,
            "folds.val_macro_f1.mean": 0.6,
            "folds.val_macro_f1.sd": 0.2,
        }
    )
