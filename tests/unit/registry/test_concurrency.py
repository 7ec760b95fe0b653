"""Several changes of production at once: no two are ever carried out side by side."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import mlflow
import pytest

from skin_lesion.registry import (
    MODEL_NAME,
    UnfinishedError,
    champion,
    changes,
    history,
    locking,
    promote,
    promotion,
    repair,
    repairing,
    status,
)
from skin_lesion.registry.locking import lock_file, production_lock
from skin_lesion.settings import RegistryConfig
from tests.unit.registry.conftest import ALSO_GOOD, FAILED, GOOD, alias

BY = {"user": "Ann", "reason": "a test"}
# Gates, files and answers are held by other tests; here it is the moment that counts.
PROGRAM = """
import sys, time, pathlib
import mlflow
from skin_lesion.registry import locking, promote, promotion
promotion.broken = lambda version, config: []
promotion.refusals = lambda version, now, user: []
if sys.argv[4] == "server":
    locking.lock_file = lambda: None
mlflow.set_tracking_uri(sys.argv[1])
mlflow.MlflowClient().get_registered_model("skin-lesion-classifier")
folder = pathlib.Path(sys.argv[3])
(folder / f"ready {sys.argv[2]}").touch()
while not (folder / "go").exists():
    time.sleep(0.001)
try:
    promote(sys.argv[2], user=f"process {sys.argv[2]}", reason="at once")
except promotion.UnfinishedError as error:
    print("withdrew:", error)
    sys.exit(3)
"""


def at_once(versions: list[int], folder: Path, kind: str) -> list[int]:
    """Promote in as many processes as there are versions; gives their exit codes."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, mlflow.get_tracking_uri(), str(version), str(folder),
             kind],
            stdout=subprocess.DEVNULL,
        )
        for version in versions
    ]  # fmt: skip
    try:
        while not all((folder / f"ready {version}").exists() for version in versions):
            assert all(process.poll() is None for process in processes)
            time.sleep(0.01)
        (folder / "go").touch()
        return [process.wait(timeout=120) for process in processes]
    finally:
        for process in processes:
            process.kill()


def assert_one_chain() -> None:
    """Each change begins where the one before ended, and the last one is what is in production."""
    done = [one.change for one in history(MODEL_NAME) if one.state == "done"]
    assert [one.number for one in done] == list(range(1, len(done) + 1))
    assert [one.before for one in done] == [None, *(one.after for one in done[:-1])][: len(done)]
    now = champion()
    assert (now.version if now else None) == (done[-1].after if done else None)


def test_on_one_machine_two_promotions_follow_each_other(
    registry: mlflow.MlflowClient, tmp_path: Path
) -> None:
    assert at_once([GOOD, ALSO_GOOD], tmp_path, "sqlite") == [0, 0]
    assert_one_chain()
    assert len(history(MODEL_NAME)) == 2
    assert {alias(registry, "champion"), alias(registry, "previous")} == {GOOD, ALSO_GOOD}
    assert status(look_inside=False).disagreements == ()


def test_without_a_lock_no_two_promotions_are_carried_out_side_by_side(
    registry: mlflow.MlflowClient, tmp_path: Path
) -> None:
    codes = at_once([GOOD, ALSO_GOOD, FAILED], tmp_path, "server")
    assert set(codes) <= {0, 3}
    assert 0 in codes
    assert_one_chain()
    states = [one.state for one in history(MODEL_NAME)]
    assert states.count("done") == codes.count(0)
    assert "begun" not in states
    assert status(look_inside=False).disagreements == ()


@pytest.mark.parametrize("first", [True, False], ids=["comes first", "comes second"])
def test_nobody_goes_on_beside_a_change_that_does_not_end(
    registry: mlflow.MlflowClient, monkeypatch: pytest.MonkeyPatch, first: bool
) -> None:
    """The other one comes between the first look and the record."""
    promote(GOOD, **BY)
    real = changes.begin

    def begin(change: changes.Change) -> changes.Recorded:
        other = change.model_copy(update={"user": "Bob", "after": FAILED})
        ids = [real(other).run_id, (mine := real(change)).run_id]
        while (ids[1] < ids[0]) != first:  # ids are drawn; draw until they stand as wanted
            changes.give_up(mine)
            ids[1] = (mine := real(change)).run_id
        return mine

    monkeypatch.setattr(changes, "begin", begin)
    with pytest.raises(UnfinishedError, match="Bob began at"):
        promote(ALSO_GOOD, **BY, config=RegistryConfig(lock_timeout_s=0.5))
    assert alias(registry, "champion") == GOOD
    assert [one.state for one in history(MODEL_NAME)].count("begun") == 1


def test_the_first_waits_until_the_other_has_withdrawn(
    registry: mlflow.MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, looks = changes.begin, []
    sleep, promoting = time.sleep, threading.get_ident()

    def begin(change: changes.Change) -> changes.Recorded:
        mine = real(change)
        other = real(change.model_copy(update={"user": "Bob"}))
        while other.run_id < mine.run_id:
            changes.give_up(other)
            other = real(change.model_copy(update={"user": "Bob"}))

        def withdraw(seconds: float) -> None:
            if threading.get_ident() != promoting:  # a thread that an earlier test left behind
                return sleep(seconds)
            looks.append(alias(registry, "champion"))
            changes.give_up(other)

        monkeypatch.setattr(promotion.time, "sleep", withdraw)
        return mine

    monkeypatch.setattr(changes, "begin", begin)
    promote(GOOD, **BY)
    assert looks == [None]
    assert alias(registry, "champion") == GOOD


def test_whoever_is_overtaken_gives_way(
    registry: mlflow.MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    promote(GOOD, **BY)
    real = changes.begin

    def begin(change: changes.Change) -> changes.Recorded:
        registry.set_registered_model_alias(MODEL_NAME, "champion", str(FAILED))
        return real(change)

    monkeypatch.setattr(changes, "begin", begin)
    with pytest.raises(UnfinishedError, match=f"changed to version {FAILED}"):
        promote(ALSO_GOOD, **BY)
    assert alias(registry, "champion") == FAILED


def test_a_change_that_was_taken_back_while_it_slept_does_not_go_on(
    registry: mlflow.MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a server, which knows no lock: a laptop that was shut in the midst of a promotion."""
    for module in (locking, repairing):
        monkeypatch.setattr(module, "lock_file", lambda: None)
    promote(GOOD, **BY)
    real = mlflow.MlflowClient.set_registered_model_alias

    def sleeping(self: mlflow.MlflowClient, name: str, which: str, version: str) -> None:
        real(self, name, which, version)
        monkeypatch.undo()
        for module in (locking, repairing):
            monkeypatch.setattr(module, "lock_file", lambda: None)
        repair(user="Bob", config=RegistryConfig(settle_s=0))
        promote(FAILED, **BY, override="while the other one sleeps")

    monkeypatch.setattr(mlflow.MlflowClient, "set_registered_model_alias", sleeping)
    with pytest.raises(UnfinishedError, match="took it for cut off"):
        promote(ALSO_GOOD, **BY)
    assert (alias(registry, "champion"), alias(registry, "previous")) == (FAILED, GOOD)
    assert [one.state for one in history(MODEL_NAME)].count("given up") == 1
    assert status(look_inside=False).disagreements == ()


def test_whoever_waits_too_long_for_the_lock_says_where_it_is(
    registry: mlflow.MlflowClient,
) -> None:
    with production_lock(0), pytest.raises(TimeoutError, match=r"mlflow\.db\.production-lock"):
        promote(GOOD, **BY, config=RegistryConfig(lock_timeout_s=0))
    promote(GOOD, **BY)


@pytest.mark.parametrize(
    "uri", ["http://127.0.0.1:5000", "postgresql://a:b@127.0.0.1/mlflow", "databricks", "sqlite://"]
)
def test_only_a_sqlite_file_has_a_lock(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlflow, "get_registry_uri", lambda: uri)
    assert lock_file() is None
    with production_lock(0), production_lock(0):
        pass


def test_a_link_to_the_database_leads_to_the_same_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "mlflow.db").touch()
    (tmp_path / "elsewhere" / "link.db").symlink_to(tmp_path / "mlflow.db")
    found = []
    for path in ("mlflow.db", "elsewhere/link.db"):
        monkeypatch.setattr(mlflow, "get_registry_uri", lambda p=path: f"sqlite:///{tmp_path / p}")
        found.append(lock_file())
    assert found[0] == found[1]


def test_a_change_that_has_just_begun_on_a_server_is_left_alone(
    registry: mlflow.MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locking, "lock_file", lambda: None)
    monkeypatch.setattr(repairing, "lock_file", lambda: None)
    begun = changes.Change(
        number=1, kind="promotion", model=MODEL_NAME, before=None, after=GOOD, previous=None,
        user="Bob", when=changes.now(), reason="",
    )  # fmt: skip
    changes.begin(begun)
    (sentence,) = repair(user="Ann")
    assert sentence.startswith("Left alone: Bob began")
    assert [one.code for one in status().disagreements] == ["unfinished"]
    assert repair(user="Ann", config=RegistryConfig(settle_s=0)) == [
        f"Took back what was cut off: promoted version {GOOD} in place of nothing."
    ]
    assert status().disagreements == ()
