"""The MLflow run of a training that was resumed tells of all of it."""

from pathlib import Path

import mlflow
import pytest

from skin_lesion import tracking
from skin_lesion.live import watched_training
from skin_lesion.modeling.history import EpochRecord
from skin_lesion.modeling.train import RunContext, train_warmup
from skin_lesion.settings import BackboneConfig, WarmupConfig, WatchConfig

from .conftest import MakeData

TINY = BackboneConfig(name="mobilenet", weights="none", feature_layer="conv_pw_2_relu")
CONFIG = WarmupConfig(epochs=4, learning_rate=1e-3, batch_size=16)


@pytest.mark.slow
def test_the_run_of_a_resumed_training_carries_the_whole_history(
    make_data: MakeData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    data = make_data()

    def train(name: str, killed_after: int | None) -> str:
        with (
            tracking.continued_run("tests", name, {}, tmp_path / "files") as run_id,
            watched_training("warmup", WatchConfig(system_metrics=False)) as log_epoch,
        ):

            def on_epoch(record: EpochRecord) -> None:
                log_epoch(record)
                if record.epoch == killed_after:
                    raise KeyboardInterrupt

            train_warmup(data, TINY, CONFIG, RunContext(tmp_path / "kept", on_epoch=on_epoch))
        return run_id

    with pytest.raises(KeyboardInterrupt):
        train("killed", 1)
    resumed = train("resumed", None)
    client = mlflow.MlflowClient()
    for metric in ("loss", "val_macro_f1", "learning_rate", "images_per_second"):
        assert [point.step for point in client.get_metric_history(resumed, metric)] == [0, 1, 2, 3]
    killed = mlflow.search_runs(
        experiment_names=["tests"],
        filter_string="tags.mlflow.runName = 'killed'",
        output_format="list",
    )[0].info.run_id
    before, after = (client.get_metric_history(run, "loss") for run in (killed, resumed))
    assert [point.value for point in before] == [point.value for point in after[:2]]
    # Memory was used by this process in the epochs that it trained.
    memory = client.get_metric_history(resumed, "memory/host_gib")
    assert [point.step for point in memory] == [2, 3]
