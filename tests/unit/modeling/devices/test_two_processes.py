"""Two processes that meet on the loopback train as one does, and only the first one writes."""

from pathlib import Path

import pytest

from .conftest import PROGRAM, RunPrograms, assert_same, cluster, read, virtual

CASES = ("float32", "dropout")


@pytest.mark.exhaustive  # whole trainings by two processes: test_training.py
def test_two_processes_with_two_devices_each_end_where_one_device_ends(
    run_programs: RunPrograms, tmp_path: Path
) -> None:
    run_programs([str(PROGRAM), str(tmp_path / "one.npz"), "none", *CASES], virtual("jax"))
    # Both write the same file name in folders of their own.
    folders = [tmp_path / "0", tmp_path / "1"]
    for folder in folders:
        folder.mkdir()
    environments = [
        environment | {"OUTPUT_FOLDER": str(folder)}
        for environment, folder in zip(cluster(devices=2), folders, strict=True)
    ]
    run_programs([str(PROGRAM), "together.npz", "2", *CASES], *environments)
    one = read(tmp_path / "one.npz")
    for folder in folders:
        together = read(folder / "together.npz")
        for case in CASES:
            assert_same(one[case], together[case], tolerance=1e-5)
