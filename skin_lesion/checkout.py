"""Which commit of the project runs, and on what."""

import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path

import skin_lesion

UNKNOWN = "unknown"


@dataclass(frozen=True)
class CodeState:
    """The code of a checkout.

    Attributes:
        commit: Its 40 hexadecimal digits; `unknown` outside a checkout or without git.
        dirty: Whether a tracked file differs from that commit; None where that is unknown.
    """

    commit: str = UNKNOWN
    dirty: bool | None = None

    def tags(self) -> dict[str, str]:
        """The same as tags of an MLflow run."""
        dirty = UNKNOWN if self.dirty is None else str(self.dirty).lower()
        return {"git_commit": self.commit, "git_dirty": dirty}


def code_state(root: Path | None = None) -> CodeState:
    """Ask git about a checkout.

    Args:
        root: Its root; None takes the folder that holds the library.
    """
    root = (root or Path(skin_lesion.__file__).parents[1]).resolve()
    try:
        top, commit = _git(root, "rev-parse", "--show-toplevel", "HEAD").splitlines()
        # An installed or unpacked copy may lie in somebody else's checkout.
        if Path(top).resolve() != root:
            return CodeState()
        changes = _git(root, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return CodeState()
    return CodeState(commit, bool(changes))


def processor() -> str:
    """Model and number of cores of this machine's processor."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{os.cpu_count()} × {models[0] if models else platform.machine()}"


def _git(root: Path, *arguments: str) -> str:
    # Reading must not write: `git status` would refresh the index of a checkout in use.
    command = ["git", "--no-optional-locks", "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
