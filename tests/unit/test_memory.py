"""Use of memory is that of this process, in GiB."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from skin_lesion import memory


def test_what_is_taken_shows_in_the_peak_and_goes_from_what_is_used_now() -> None:
    before = memory.host_memory()
    taken = np.ones(2**25)  # a quarter of a GiB
    during = memory.host_memory()
    del taken
    after = memory.host_memory()
    assert during["host_gib"] - before["host_gib"] == pytest.approx(0.25, abs=0.03)
    assert after["host_gib"] < during["host_gib"] - 0.2
    assert after["host_peak_gib"] > during["host_gib"] - 0.01  # the kernel counts in portions


def test_a_child_does_not_inherit_its_parents_peak() -> None:
    big = np.ones(2**26)  # half a GiB here, none of it there
    program = "from skin_lesion.memory import host_memory; print(host_memory()['host_peak_gib'])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert float(done.stdout) < 0.4
    assert big[0] == 1


def test_where_keras_is_not_loaded_no_accelerator_is_looked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    assert memory.accelerator_memory() == {}


def test_of_several_accelerators_the_fullest_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    def device(stats: dict[str, int] | None) -> SimpleNamespace:
        return SimpleNamespace(memory_stats=lambda: stats)

    found = [device({"peak_bytes_in_use": n * 2**30}) for n in (3, 5)] + [device(None), device({})]
    keras = SimpleNamespace(backend=SimpleNamespace(backend=lambda: "jax"))
    monkeypatch.setitem(sys.modules, "keras", keras)
    monkeypatch.setitem(sys.modules, "jax", SimpleNamespace(local_devices=lambda: found))
    assert memory.accelerator_memory() == {"accelerator_peak_gib": 5.0}


def test_processors_alone_have_no_accelerator_memory() -> None:
    import keras  # noqa: F401

    assert memory.accelerator_memory() == {}


def test_where_linux_does_not_tell_the_figures_come_from_elsewhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told = memory.host_memory()
    monkeypatch.setattr(memory, "_STATUS", tmp_path / "absent")
    asked = memory.host_memory()
    assert asked["host_gib"] == pytest.approx(told["host_gib"], abs=0.05)
    assert asked["host_peak_gib"] >= asked["host_gib"]
