"""The benchmark of killed trainings tells where a process died, and passes only what is the same."""

import importlib.util
import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

SAME = {
    "arrays_of_weights": 3,
    "arrays_that_differ": 0,
    "history_is_the_same": True,
    "epoch_kept_is_the_same": True,
    "epochs_in_the_last_mlflow_run": 4,
    "epochs": 4,
    "kills": [
        {"where": "epoch", "half_written": 0},
        {"where": "checkpoint", "half_written": 1, "aimed": True},
    ],
}
# The real store, with files that take a while to write and without Keras, which takes seconds to start.
WRITER = """
import json, sys, time
from pathlib import Path
import numpy as np
from skin_lesion.modeling import checkpoints
from skin_lesion.modeling.checkpoints import CheckpointStore, Progress
from skin_lesion.modeling.history import EpochRecord

class Model:
    def get_weights(self):
        return [np.zeros(1000, np.float32)]

def slowly(*given, **named):
    savez(*given, **named)
    time.sleep(0.3)

savez, np.savez = np.savez, slowly
folder = Path(sys.argv[1]) / sys.argv[2]
events = (folder / "events.jsonl").open("a", buffering=1)
checkpoints.optimizer_state = lambda _: {"momentum": np.zeros(1000, np.float32)}
store = CheckpointStore(folder / "checkpoints" / "key" / "warmup")
last = store.latest()
progress = Progress() if last is None else store.read_progress(last)
for epoch in range(len(progress.records), 3):
    for where in ("epoch", "checkpoint", "between"):
        events.write(json.dumps({"where": where, "at": time.time()}) + chr(10))
        if where == "epoch":
            time.sleep(0.2)
        if where == "checkpoint":
            figures = {"val_macro_f1": epoch / 10}
            record = EpochRecord(epoch=epoch, learning_rate=0.1, seconds=0.2,
                                 images_per_second=1.0, metrics=figures)
            progress = progress.advance(record)
            store.save(Model(), None, progress, Model())
"""


@pytest.fixture(scope="module")
def script(root: Path) -> Iterator[ModuleType]:
    sys.path.insert(0, str(root / "benchmarks"))
    spec = importlib.util.spec_from_file_location("kills", root / "benchmarks" / "kills.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["kills"] = module  # its dataclasses look themselves up
    spec.loader.exec_module(module)
    yield module
    del sys.modules["kills"]
    sys.path.remove(str(root / "benchmarks"))


@pytest.fixture(scope="module")
def killing(script: ModuleType) -> ModuleType:
    return sys.modules["killing"]


def test_a_process_died_at_what_it_noted_last(killing: ModuleType, tmp_path: Path) -> None:
    bench = killing.Bench(tmp_path)
    assert killing.where_killed(bench.events("killed")) == "start"
    (tmp_path / "killed").mkdir()
    lines = [json.dumps({"where": where, "at": 1.0}) for where in ("epoch", "checkpoint")]
    (tmp_path / "killed" / "events.jsonl").write_text("\n".join([*lines, '{"where": "betw']))
    assert killing.where_killed(bench.events("killed")) == "checkpoint"


def test_a_kill_counts_what_is_finished_and_what_is_half_written(
    script: ModuleType, tmp_path: Path
) -> None:
    for name in ("warmup/0", "warmup/1", "finetune/2", "finetune/3.partial"):
        (tmp_path / "killed" / "checkpoints" / "key" / name).mkdir(parents=True)
    kill = script.Bench(tmp_path).killed("killed", 1.234)
    assert (kill.seconds, kill.half_written, kill.epochs) == (1.23, 1, 3)


def test_moments_are_those_of_the_seed_and_lie_within_the_longest_life(killing: ModuleType) -> None:
    events = [killing.Event("epoch", 110.0 + i) for i in range(20)]
    longest = killing.longest_life(events, began=100.0)
    assert longest == pytest.approx(10 + killing.EPOCHS_OF_A_LIFE * 19 / 20)
    one, again, other = (
        list(itertools.islice(killing.moments(seed, longest), 50)) for seed in (0, 0, 1)
    )
    assert one == again != other
    assert 0 <= min(one) < max(one) <= longest


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("arrays_that_differ", 1),
        ("arrays_of_weights", 0),
        ("history_is_the_same", False),
        ("epoch_kept_is_the_same", False),
        ("epochs_in_the_last_mlflow_run", 3),
        ("kills", [{"where": "epoch", "half_written": 0}]),
        ("kills", [{"where": "checkpoint", "half_written": 0}]),
        ("kills", [{"where": "epoch", "half_written": 1}]),
    ],
)
def test_whatever_differs_or_is_missing_fails(script: ModuleType, name: str, value: object) -> None:
    assert script.good(SAME)
    assert not script.good({**SAME, name: value})


def test_one_bit_makes_an_array_differ(script: ModuleType) -> None:
    class Outcomes:
        def outcome(self, name: str) -> tuple[dict[str, object], list[np.ndarray]]:
            array = np.array([0.0 if name == "whole" else -0.0], np.float32)
            return {"history": [{}], "kept": 0, "logged": 1}, [array, np.ones(2, np.float32)]

    found = script.compare(Outcomes())
    assert (found["arrays_of_weights"], found["arrays_that_differ"]) == (2, 1)
    assert not script.good({**SAME, **found})
    assert script.good({**SAME, **found, "arrays_that_differ": 0})


@pytest.mark.parametrize("kills", [10, 2, 1])
def test_aimed_kills_lie_among_the_random_ones(script: ModuleType, kills: int) -> None:
    planned = script.plan(kills)
    assert planned.count(None) == kills
    assert [files for files in planned if files is not None] == list(script.AIMED_AT_FILES)
    if kills == 10:
        assert [number for number, files in enumerate(planned) if files is not None] == [3, 7]


def test_an_aimed_kill_cuts_a_checkpoint_off_and_is_told_from_what_was_left_before(
    killing: ModuleType, tmp_path: Path
) -> None:
    (tmp_path / "writer.py").write_text(WRITER)
    bench = killing.Bench(tmp_path, tmp_path / "writer.py")
    store = tmp_path / "killed" / "checkpoints" / "key" / "warmup"
    for files in (0, 2):  # the second process finds what the first one left
        assert bench.run_into_a_checkpoint("killed", files)
        kill = bench.killed("killed", bench.lived, aimed=True)
        assert (kill.where, kill.half_written, kill.epochs, kill.aimed) == (
            "checkpoint",
            1,
            0,
            True,
        )
        assert kill.seconds > 0.2, "an epoch went before"
        assert [path.name for path in store.iterdir()] == ["0.partial"]
    assert not bench.run("killed")
    assert sorted(path.name for path in store.iterdir()) == ["2"]
    # Nothing is written any more: there is nothing to be killed at.
    assert not bench.run_into_a_checkpoint("killed")


def test_every_kill_that_is_planned_is_recorded_as_what_it_is(
    script: ModuleType, killing: ModuleType
) -> None:
    class Killer:
        lived = 9.0

        def run(self, name: str, life: float) -> bool:
            return life <= 5.0

        def run_into_a_checkpoint(self, name: str, files: int) -> bool:
            return True

        def killed(self, name: str, life: float, *, aimed: bool) -> object:
            return killing.Kill(life, "checkpoint" if aimed else "epoch", int(aimed), 1, aimed)

    found = script.kill_all(Killer(), 4, 0, 5.0)
    assert [kill.aimed for kill in found] == [False, True, False, True, False, False]
    assert {kill.seconds for kill in found if kill.aimed} == {9.0}
    with pytest.raises(RuntimeError, match=r"ended after \d of 6 kills"):
        script.kill_all(Killer(), 4, 0, 50.0)
