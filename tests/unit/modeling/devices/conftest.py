"""Programs with two virtual devices, or of two processes, each apart: a backend counts but once."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

PROGRAM = Path(__file__).with_name("steps_program.py")
ROOT = Path(__file__).parents[4]
Arrays = dict[str, np.ndarray]
RunPrograms = Callable[..., list[str]]


@pytest.fixture(scope="session")
def run_programs(tmp_path_factory: pytest.TempPathFactory) -> RunPrograms:
    """Run a program once for each environment, all at a time, and give what each printed.

    The programs end with the test, whatever happens.
    """

    def run(
        arguments: Sequence[str], *environments: dict[str, str], timeout: int = 800
    ) -> list[str]:
        base = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
        # Files, not pipes: a program whose pipe nobody reads yet would stop, and the others with it.
        folder = Path(tempfile.mkdtemp(dir=tmp_path_factory.getbasetemp(), prefix="programs-"))
        files = [
            [(folder / f"{number}.{kind}").open("w+") for kind in ("out", "err")]
            for number in range(len(environments))
        ]
        programs = [
            subprocess.Popen(
                [sys.executable, *arguments],
                env=base | environment,
                cwd=ROOT,
                stdout=out,
                stderr=err,
            )
            for environment, (out, err) in zip(environments, files, strict=True)
        ]
        until = time.monotonic() + timeout
        try:
            # One that fails leaves the others waiting for it.
            while any(program.poll() is None for program in programs):
                failed = any(program.returncode for program in programs)
                if failed or time.monotonic() > until:
                    break
                time.sleep(0.1)
        finally:
            for program in programs:
                program.kill()
        codes = [program.wait() for program in programs]
        told = []
        for pair in files:
            for file in pair:
                file.seek(0)
            told.append([file.read() for file in pair])
            for file in pair:
                file.close()
        assert codes == [0] * len(codes), "\n".join(errors[-3000:] for _, errors in told)
        return [output for output, _ in told]

    return run


def virtual(backend: str) -> dict[str, str]:
    """Environment in which a backend sees two devices; the program itself sees to TensorFlow's."""
    flags = "--xla_force_host_platform_device_count=2" if backend == "jax" else ""
    return {"KERAS_BACKEND": backend, "XLA_FLAGS": flags}


def cluster(processes: int = 2, devices: int = 1) -> list[dict[str, str]]:
    """Environments of processes that train together over the loopback."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
    return [
        {
            "KERAS_BACKEND": "jax",
            "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
            "KERAS_DISTRIBUTION_JOB_ADDRESSES": f"127.0.0.1:{port}",
            "KERAS_DISTRIBUTION_NUM_PROCESSES": str(processes),
            "KERAS_DISTRIBUTION_PROCESS_ID": str(process),
        }
        for process in range(processes)
    ]


def read(path: Path) -> dict[str, Arrays]:
    """What the program wrote, by case."""
    cases: dict[str, Arrays] = {}
    with np.load(path) as arrays:
        for name in arrays:
            case, _, rest = name.partition("/")
            cases.setdefault(case, {})[rest] = arrays[name]
    return cases


def assert_same(one: Arrays, several: Arrays, tolerance: float) -> None:
    """Weights, statistics, optimizer, losses and logits agree; only rounding may differ."""
    assert one.keys() == several.keys()
    assert any("moving_variance" in name for name in one)
    assert any("momentum" in name for name in one)
    for name in one.keys() - {"facts"}:
        np.testing.assert_allclose(
            several[name], one[name], rtol=10 * tolerance, atol=tolerance, err_msg=name
        )


def assert_close(one: Arrays, several: Arrays) -> None:
    """What half precision leaves alike: the losses on the way, and the statistics of BatchNorm.

    Adam moves a weight by about the rate whatever the size of its gradient, so that rounding turns
    the step of a weight whose gradient is next to nothing.
    """
    np.testing.assert_allclose(several["loss"], one["loss"], rtol=2e-3)
    for name in one:
        if "/moving_" in name:
            np.testing.assert_allclose(several[name], one[name], rtol=2e-2, atol=5e-3, err_msg=name)
