"""A disk that is full is told in words, and nothing half-written is left on it."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from skin_lesion.disk import DiskFullError, new_array, room_for

ROOT = Path(__file__).parents[2]
# In a namespace of its own anybody may mount a file system of 2 MiB; where that is not allowed, the
# test is skipped.
TINY = ["unshare", "--user", "--map-root-user", "--mount"]


def write(error: BaseException, folder: Path) -> None:
    with room_for("the file", folder, 3 * 2**20):
        raise error


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EDQUOT, "the quota on it is used up"),
        (errno.EFBIG, "ulimit -f"),
    ],
)
def test_what_lacks_room_says_what_is_free_and_what_is_needed(
    code: int, told: str, tmp_path: Path
) -> None:
    wanted = (
        rf"the file cannot be written to {tmp_path}.*{told}.* 3.0 MiB are needed, .* MiB are free"
    )
    with pytest.raises(DiskFullError, match=wanted):
        write(OSError(code, os.strerror(code)), tmp_path / "not" / "made")
    with pytest.raises(DiskFullError, match=told):
        write(shutil.Error([("a", "b", f"[Errno {code}] {os.strerror(code)}")]), tmp_path)


def test_what_a_lack_of_room_led_to_is_told_as_one(tmp_path: Path) -> None:
    def close_after_it() -> None:
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError as error:
            raise RuntimeError("the file cannot be closed") from error

    with pytest.raises(DiskFullError, match="the disk is full"), room_for("it", tmp_path, 1):
        close_after_it()


@pytest.mark.parametrize("error", [OSError(errno.EACCES, "denied"), KeyError("x"), MemoryError()])
def test_another_error_stays_what_it_is(error: BaseException, tmp_path: Path) -> None:
    with pytest.raises(type(error)) as raised:
        write(error, tmp_path)
    assert raised.value is error


def test_a_new_array_has_its_shape_and_all_its_blocks(tmp_path: Path) -> None:
    rows = new_array(tmp_path / "a.npy", (5, 100, 100, 3))
    rows[:] = 7
    rows.flush()
    assert (np.load(tmp_path / "a.npy") == 7).all()
    new_array(tmp_path / "b.npy", (5, 100, 100, 3))
    assert os.stat(tmp_path / "b.npy").st_blocks * 512 >= 5 * 100 * 100 * 3


PROGRAM = """
import errno, os, sys
from pathlib import Path
import numpy as np
from skin_lesion.data.image_array import ImageArray
from skin_lesion.data.resizing import resized
from skin_lesion.disk import DiskFullError

folder = Path(sys.argv[1])
pixels = np.full((200, 96, 96, 3), 100, np.uint8)
np.save(folder.parent / "images.npy", pixels)
images = ImageArray(folder.parent / "images.npy", pixels.shape, "a" * 64)
def left():
    return [path.name for path in folder.rglob("*") if path.is_file()]
for _ in range(2):
    try:
        resized(images, (64, 64), folder)
    except DiskFullError as error:
        print(error)
        print("left", left(), os.statvfs(folder).f_bfree * os.statvfs(folder).f_frsize >= 2**20)
assert (resized(images, (32, 32), folder).open() == 100).all()
"""


def test_a_copy_of_the_pictures_that_a_tiny_disk_cannot_hold_is_refused_and_not_the_end_of_the_process(
    tmp_path: Path,
) -> None:
    """Written to a mapped file, it would be: the system kills whoever touches such a page."""
    if shutil.which("unshare") is None or subprocess.run([*TINY, "true"], check=False).returncode:
        pytest.skip("no file system can be mounted here")
    (tmp_path / "disk").mkdir()
    script = f'mount -t tmpfs -o size=2m tmpfs "{tmp_path}/disk" && exec "$@"'
    command = [*TINY, "bash", "-c", script, "bash", sys.executable, "-c", PROGRAM]
    done = subprocess.run(
        [*command, str(tmp_path / "disk")], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    lines = done.stdout.splitlines()
    assert [line for line in lines if line.startswith("left")] == ["left [] True"] * 2
    assert "copy of the pictures at 64 x 64" in lines[0]
    assert "the disk is full: about 2.3 MiB are needed, 2.0 MiB are free" in lines[0]
