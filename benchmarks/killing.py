"""Processes of one training, killed at a moment, and what they were at when they died."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from root import ROOT

# Longest moment: the start of a process, and then about so many epochs. Some are killed before the
# first, and each goes on for a few on average, so that the training does not end before the kills do.
EPOCHS_OF_A_LIFE = 4.0
EVENTS = "events.jsonl"
START, EPOCH, CHECKPOINT, BETWEEN = "start", "epoch", "checkpoint", "between"
_POLL_SECONDS = 0.001  # a checkpoint is written in tens of milliseconds
_PROGRAM = Path(__file__).with_name("killed_training.py")


@dataclass(frozen=True)
class Event:
    """Where a training process stood.

    Attributes:
        where: From here on: within an epoch, within writing a checkpoint, or between.
        at: By the clock of the machine, in seconds.
    """

    where: str
    at: float


@dataclass(frozen=True)
class Kill:
    """A killed process.

    Attributes:
        seconds: That it lived.
        where: What it was at.
        half_written: Checkpoints of which a part was left.
        epochs: In the checkpoints when it died.
        aimed: Whether it was killed because it had begun to write a checkpoint, and not at a random
            moment.
    """

    seconds: float
    where: str
    half_written: int
    epochs: int
    aimed: bool = False


def where_killed(events: Sequence[Event]) -> str:
    """What a process was at when it died: the last thing that it noted, or starting."""
    return events[-1].where if events else START


def longest_life(events: Sequence[Event], began: float) -> float:
    """Seconds within which a process is killed, after those of one that was not.

    Args:
        events: Of the uninterrupted training.
        began: When its process was started.
    """
    first = next(event.at for event in events if event.where == EPOCH)
    epochs = sum(event.where == EPOCH for event in events)
    return first - began + EPOCHS_OF_A_LIFE * (events[-1].at - first) / epochs


def moments(seed: int, longest: float) -> Iterator[float]:
    """Lives in seconds, without end."""
    rng = np.random.default_rng(seed)
    while True:
        yield float(rng.uniform(0.0, longest))


class Bench:
    """Processes of one training.

    Attributes:
        began: When the last one was started, by the clock of the machine.
        lived: Seconds that it lived.

    Args:
        folder: For data, checkpoints and MLflow.
        program: What is run, with the folder and the name of the training as its arguments.
    """

    def __init__(self, folder: Path, program: Path = _PROGRAM) -> None:
        self._folder = folder
        self._program = program
        self.began = 0.0
        self.lived = 0.0

    def run(self, name: str, life: float | None = None) -> bool:
        """Start the command; whether it was killed after so many seconds, rather than ended.

        Raises:
            RuntimeError: It failed by itself.
        """
        return self._run(name, lambda process: _outlives(process, life))

    def run_into_a_checkpoint(self, name: str, files: int = 0) -> bool:
        """Start the command; whether it was killed while it wrote a checkpoint, rather than ended.

        Between the moment that is waited for and the kill lie milliseconds: where the process was by
        then is told by `killed`.

        Args:
            name: Of the training.
            files: That have been begun in the checkpoint's folder; 0 waits for the folder alone.

        Raises:
            RuntimeError: It failed by itself.
        """
        left = self._half_written(name)  # by those that were killed before: it is no sign of life

        def writes(process: "subprocess.Popen[bytes]") -> bool:
            while process.poll() is None:
                now = self._half_written(name)
                if any(seen[1] >= files for path, seen in now.items() if left.get(path) != seen):
                    return True
                time.sleep(_POLL_SECONDS)
            return False

        return self._run(name, writes)

    def events(self, name: str) -> list[Event]:
        """What the last process of a training noted; a line that was cut off was not noted."""
        path = self._folder / name / EVENTS
        found = []
        for line in path.read_text().splitlines() if path.is_file() else ():
            with contextlib.suppress(json.JSONDecodeError):
                found.append(Event(**json.loads(line)))
        return found

    def killed(self, name: str, life: float, *, aimed: bool = False) -> Kill:
        """What became of a training whose process was just killed."""
        checkpoints = self._folder / name / "checkpoints"
        epochs = {
            int(path.name) for path in checkpoints.glob("*/*/*") if path.name.isdigit()
        }  # numbered over both phases
        return Kill(
            seconds=round(life, 2),
            where=where_killed(self.events(name)),
            half_written=len(self._half_written(name)),
            epochs=max(epochs, default=-1) + 1,
            aimed=aimed,
        )

    def outcome(self, name: str) -> tuple[dict[str, Any], list[np.ndarray]]:
        """What a finished training recorded, and the weights that it kept."""
        recorded = json.loads((self._folder / name / "outcome.json").read_text())
        with np.load(self._folder / name / "weights.npz") as kept:
            return recorded, [kept[str(number)] for number in range(len(kept))]

    def _run(self, name: str, kill: "Callable[[subprocess.Popen[bytes]], bool]") -> bool:
        """Start the command; `kill` waits, and says whether it is time to."""
        (self._folder / name).mkdir(exist_ok=True)
        (self._folder / name / EVENTS).unlink(missing_ok=True)
        environment = {**os.environ, "TF_DETERMINISTIC_OPS": "1", "KERAS_BACKEND": "tensorflow"}
        with (self._folder / name / "log.txt").open("a") as log:
            self.began = time.time()
            process = subprocess.Popen(
                [sys.executable, str(self._program), str(self._folder), name],
                env=environment,
                cwd=ROOT,
                stdout=log,
                stderr=log,
            )
            try:
                wanted = kill(process)
            finally:
                process.kill()  # nothing where it has ended
                process.wait()
            self.lived = time.time() - self.began
        if wanted and process.returncode == -signal.SIGKILL:
            return True
        if process.returncode:
            tail = (self._folder / name / "log.txt").read_text(errors="replace")[-3000:]
            raise RuntimeError(f"the training ended with status {process.returncode}: {tail}")
        return False

    def _half_written(self, name: str) -> dict[Path, tuple[int, int]]:
        """Folders of checkpoints that are not finished: when each was last changed, and its files."""
        found = {}
        for path in (self._folder / name / "checkpoints").glob("*/*/*.partial"):
            with contextlib.suppress(OSError):  # finished just now
                found[path] = (path.stat().st_mtime_ns, len(os.listdir(path)))
        return found


def _outlives(process: "subprocess.Popen[bytes]", seconds: float | None) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return True
    return False
