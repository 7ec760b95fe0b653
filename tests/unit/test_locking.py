"""What one process works on, no second one does; a process that is gone holds nothing."""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from skin_lesion import locking
from skin_lesion.locking import only_process

HOLDER = """
import sys, time
from pathlib import Path
from skin_lesion.locking import only_process
with only_process(Path(sys.argv[1]), "it"):
    print("held", flush=True)
    time.sleep(600)
"""


@contextmanager
def another_process(path: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def test_a_second_process_is_told_of_the_first_until_that_one_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.write_text("9" * 20)  # a longer name, of one that is gone
    with another_process(path) as process:
        wanted = rf"a study is being worked on by process {process.pid}; wait for its end"
        with pytest.raises(RuntimeError, match=wanted), only_process(path, "a study"):
            raise AssertionError("both have it")
        process.send_signal(signal.SIGKILL)
        process.wait()
        with only_process(path, "a study"):
            assert path.read_text() == str(os.getpid())


def test_what_is_done_is_free_again_and_so_is_what_failed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with pytest.raises(KeyError), only_process(path, "it"):
        raise KeyError
    with only_process(path, "it"):
        pass
    with only_process(path, "it"), pytest.raises(RuntimeError), only_process(path, "it"):
        raise AssertionError("held twice")


@pytest.mark.parametrize(("code", "goes_on"), [(errno.ENOLCK, True), (errno.EIO, False)])
def test_a_file_system_without_locks_is_warned_of_and_nothing_else_is_passed_over(
    code: int,
    goes_on: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def flock(*_: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(locking.fcntl, "flock", flock)
    done: list[bool] = []
    if goes_on:
        with only_process(tmp_path / "lock", "the training"):
            done.append(True)
        assert "let no second process work on the training" in caplog.text
    else:
        with pytest.raises(OSError, match=os.strerror(code)), only_process(tmp_path / "lock", "it"):
            done.append(True)
    assert done == [True] * goes_on
    assert not [name for name in os.listdir("/proc/self/fd") if _leads_to(name, tmp_path)]


def _leads_to(descriptor: str, folder: Path) -> bool:
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}").startswith(str(folder))
    except FileNotFoundError:  # of the listing itself
        return False
