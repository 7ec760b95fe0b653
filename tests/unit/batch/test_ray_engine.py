"""The same on a Ray cluster of two nodes, also when its workers are killed."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from skin_lesion.batch import ray_engine
from skin_lesion.batch import run as batch_run
from skin_lesion.batch.result import BatchResult
from skin_lesion.batch.shard import LocalModel, PackedModel, Task
from skin_lesion.settings import BatchConfig
from tests.unit.batch.conftest import jpeg, rows_of

Score = Callable[..., BatchResult]
MEMORY = 80 * 2**20


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two nodes of one CPU each, on this machine."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": MEMORY, "include_dashboard": False}
    running = Cluster(initialize_head=True, head_node_args=node)
    running.add_node(**node)
    running.wait_for_nodes()
    yield running
    running.shutdown()


@pytest.fixture
def on_cluster(cluster: Any, score: Score) -> Score:
    """Score on the two nodes."""

    def run(source: Path | str, output: str = "out", **changes: Any) -> BatchResult:
        return score(source, output, engine="ray", address=cluster.address, **changes)

    return run


@pytest.fixture
def many(tmp_path: Path) -> Path:
    folder = tmp_path / "many"
    folder.mkdir()
    for i in range(60):
        (folder / f"{i:03}.jpg").write_bytes(jpeg(i) if i % 10 else b"broken")
    return folder


def answers(result: BatchResult) -> list[dict[str, Any]]:
    """The rows, but for the name of the model, which tells the stand-ins below apart."""
    return [{**row, "model_version": None} for row in rows_of(result)]


def scoring_processes() -> list[psutil.Process]:
    """Workers of Ray that have a task of ours in hand."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        title = " ".join(process.info["cmdline"] or ())
        if title.startswith("ray::_score"):
            found.append(process)
    return found


def test_a_packed_model_answers_like_its_folder(small_world: Any) -> None:
    """It is what travels to machines that do not see the folder."""
    bundle = small_world.bundle
    local = LocalModel(bundle.path, bundle.bundle_hash, "3")
    packed = local.pack()
    assert isinstance(packed, PackedModel)
    picture = jpeg(1)
    config = BatchConfig(threads=1)
    assert packed.load(config).predict([picture]) == local.load(config).predict([picture])


def test_a_machine_with_another_version_is_refused() -> None:
    task = Task(0, 0, ())
    with pytest.raises(RuntimeError, match=r"install the same everywhere"):
        ray_engine._score(task, PackedModel({}, "", None), BatchConfig(), "0.0.0")


@pytest.mark.slow
def test_two_nodes_give_what_one_process_gives(many: Path, score: Score, on_cluster: Score) -> None:
    assert rows_of(on_cluster(many, "together")) == rows_of(score(many, "alone"))


@pytest.mark.slow
def test_workers_killed_half_way_lose_and_double_nothing(
    many: Path, score: Score, on_cluster: Score, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed: list[int] = []
    keep = batch_run._Scoring._keep

    def keep_and_kill(self: Any, *arguments: Any) -> None:
        keep(self, *arguments)
        if len(killed) < 2 and self._done >= 20:
            deadline = time.monotonic() + 20
            while not (found := scoring_processes()) and time.monotonic() < deadline:
                time.sleep(0.005)
            for process in found[:1]:
                process.send_signal(signal.SIGKILL)
                killed.append(process.pid)

    monkeypatch.setattr(batch_run._Scoring, "_keep", keep_and_kill)
    # Slow enough that there is somebody to be killed.
    monkeypatch.setattr(batch_run, "LocalModel", Slow)
    result = on_cluster(many, "killed", shard_size=2)
    assert len(killed) == 2
    monkeypatch.undo()
    assert answers(result) == answers(score(many, "alone", shard_size=2))


@pytest.mark.slow
def test_a_node_that_leaves_half_way_loses_and_doubles_nothing(
    many: Path, score: Score, on_cluster: Score, cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = cluster.add_node(num_cpus=1, object_store_memory=MEMORY, include_dashboard=False)
    cluster.wait_for_nodes()
    monkeypatch.setattr(batch_run, "LocalModel", Slow)
    keep = batch_run._Scoring._keep
    leaving = threading.Event()

    def keep_and_leave(self: Any, *arguments: Any) -> None:
        keep(self, *arguments)
        if self._done >= 20 and not leaving.is_set():
            leaving.set()
            cluster.remove_node(node, allow_graceful=False)

    monkeypatch.setattr(batch_run._Scoring, "_keep", keep_and_leave)
    result = on_cluster(many, "left", shard_size=2)
    assert leaving.is_set()
    monkeypatch.undo()
    assert answers(result) == answers(score(many, "alone", shard_size=2))


@pytest.mark.slow
def test_a_picture_that_kills_its_worker_is_put_aside_alone(
    pictures: Path, on_cluster: Score, monkeypatch: pytest.MonkeyPatch
) -> None:
    (pictures / "0.jpg").write_bytes(b"deadly")
    monkeypatch.setattr(batch_run, "LocalModel", Fragile)
    rows = rows_of(on_cluster(pictures))
    assert [row["file"] for row in rows if row["reason"] == "crashed"] == ["0.jpg"]
    assert len(rows) == 11


@pytest.mark.slow
def test_pictures_that_only_this_machine_sees_are_no_missing_pictures(
    pictures: Path, on_cluster: Score, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a cluster without a shared disk would say of every picture that it is gone."""
    monkeypatch.setattr(batch_run, "LocalModel", Blind)
    with pytest.raises(RuntimeError, match="file system that all machines share"):
        on_cluster(pictures)


@pytest.mark.slow
def test_ray_opens_no_dashboard_and_reports_to_nobody(pictures: Path, score: Score) -> None:
    import ray

    seen: list[Any] = []
    keep = batch_run._Scoring._keep

    def look(self: Any, *arguments: Any) -> None:
        from ray._common.usage.usage_lib import usage_stats_enabled

        seen.append((ray._private.worker.global_worker.node.address_info, usage_stats_enabled()))
        keep(self, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch_run._Scoring, "_keep", look)
        score(pictures, engine="ray")
    assert seen
    for address, reports in seen:
        assert not address.get("webui_url")
        assert not reports
    assert not ray.is_initialized()  # nothing runs on


@pytest.mark.slow
def test_a_cluster_that_is_too_small_is_told_and_left(pictures: Path, score: Score) -> None:
    import ray

    with pytest.raises(RuntimeError, match="offers 999 CPUs; lower `threads`"):
        score(pictures, engine="ray", threads=999)
    assert not ray.is_initialized()  # nothing runs on


class _Changed(PackedModel):
    """A model that does something besides answering; as bytes it can travel."""

    def load(self, config: BatchConfig) -> Any:
        predictor = super().load(config)
        predict = predictor.predict

        def changed(contents: list[bytes], **options: Any) -> Any:
            self.before(contents)
            return predict(contents, **options)

        predictor.predict = changed
        return predictor

    def before(self, contents: list[bytes]) -> None:
        raise NotImplementedError


class _SlowPacked(_Changed):
    def before(self, contents: list[bytes]) -> None:
        time.sleep(0.1)


class _FragilePacked(_Changed):
    def before(self, contents: list[bytes]) -> None:
        if b"deadly" in contents:
            os._exit(9)


class _BlindPacked(_Changed):
    def load(self, config: BatchConfig) -> Any:
        from skin_lesion.batch import reading

        def miss(*_: Any) -> bytes:
            raise FileNotFoundError

        reading._file = miss  # type: ignore[assignment]
        return PackedModel.load(self, config)


class Slow(LocalModel):
    packed: type[PackedModel] = _SlowPacked

    def pack(self) -> PackedModel:
        packed = super().pack()
        return self.packed(packed.files, packed.bundle_hash, type(self).__name__)


class Fragile(Slow):
    packed = _FragilePacked


class Blind(Slow):
    packed = _BlindPacked
