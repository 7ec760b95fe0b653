"""Moving files between this machine and an artifact store, whatever kind of store it is."""

import glob
import hashlib
import io
import os
import platform
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
import psutil
from zenml.artifact_stores import BaseArtifactStore
from zenml.materializers.base_materializer import BaseMaterializer

_CHUNK = 8 * 2**20


class Workspace:
    """A temporary folder that something may come to own.

    Attributes:
        path: The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.owned = False

    def belongs_to(self, owner: object) -> None:
        """Keep the folder as long as `owner` exists, at most until the process ends."""
        weakref.finalize(owner, shutil.rmtree, self.path, ignore_errors=True)
        self.owned = True


@contextmanager
def workspace(beside: Path | None = None) -> Iterator[Workspace]:
    """Make an empty folder; on leaving the block it is deleted unless something owns it by then.

    Handles such as `ImageArray` outlive the step that made them, and what they point at has to
    live exactly as long.

    Args:
        beside: A folder on the file system it should lie on, so that files can be hard-linked from
            there; None takes the system's folder for temporary files.
    """
    parent = beside.parent / "tmp" if beside else None
    if parent:
        parent.mkdir(parents=True, exist_ok=True)
        _remove_orphans(parent)
    prefix = f"{_prefix()}{os.getpid()}-"
    space = Workspace(Path(tempfile.mkdtemp(prefix=prefix, dir=parent)))
    try:
        yield space
    finally:
        if not space.owned:
            shutil.rmtree(space.path, ignore_errors=True)


def _prefix() -> str:
    """What the names of this machine's folders begin with; the process id follows."""
    return f"skin-lesion-{platform.node()}-"


def _remove_orphans(parent: Path) -> None:
    """Remove folders of processes of this machine that were killed before they could tidy up."""
    for path in parent.glob(f"{glob.escape(_prefix())}*"):
        process = path.name.removeprefix(_prefix()).partition("-")[0]
        if process.isdigit() and not psutil.pid_exists(int(process)):
            shutil.rmtree(path, ignore_errors=True)


def frame_hash(frame: pd.DataFrame) -> str:
    """SHA-256 over columns, types and values of a table, in order; the same on every machine."""
    header = "\t".join(f"{name}:{dtype}" for name, dtype in frame.dtypes.items())
    return text_hash(header, frame.to_csv(index=False))


def text_hash(*texts: str) -> str:
    """SHA-256 over texts, in order."""
    digest = hashlib.sha256()
    for text in texts:
        digest.update(hashlib.sha256(text.encode()).digest())
    return digest.hexdigest()


class FileMaterializer(BaseMaterializer):
    """Base of the materializers of this project: named files in the artifact's folder."""

    # It stands for no type of its own.
    SKIP_REGISTRATION: ClassVar[bool] = True

    def write_text(self, name: str, text: str) -> str:
        """Write a UTF-8 file.

        Returns:
            Its address.
        """
        return self.write_bytes(name, text.encode())

    def read_text(self, name: str) -> str:
        """Read a UTF-8 file."""
        return self.read_bytes(name).decode()

    def write_bytes(self, name: str, data: bytes) -> str:
        """Write a file.

        Returns:
            Its address.
        """
        with self.artifact_store.open(self.address(name), "wb") as file:
            file.write(data)
        return self.address(name)

    def read_bytes(self, name: str) -> bytes:
        """Read a file."""
        with self.artifact_store.open(self.address(name), "rb") as file:
            data: bytes = file.read()
        return data

    def write_frame(self, name: str, frame: pd.DataFrame) -> None:
        """Write a table as Parquet."""
        self.write_bytes(name, frame.to_parquet(index=False))

    def read_frame(self, name: str) -> pd.DataFrame:
        """Read a table written by `write_frame`."""
        return pd.read_parquet(io.BytesIO(self.read_bytes(name)))

    def upload(self, source: Path, name: str) -> None:
        """Copy a file of this machine into the artifact's folder, a chunk at a time."""
        address = self.address(name)
        self.artifact_store.makedirs(address.rpartition("/")[0])
        with source.open("rb") as here, self.artifact_store.open(address, "wb") as there:
            shutil.copyfileobj(here, there, _CHUNK)

    def download(self, name: str, target: Path) -> Path:
        """Copy a file of the artifact's folder to this machine, a chunk at a time."""
        target.parent.mkdir(parents=True, exist_ok=True)
        with self.artifact_store.open(self.address(name), "rb") as there, target.open("wb") as here:
            shutil.copyfileobj(there, here, _CHUNK)
        return target

    def address(self, name: str) -> str:
        """Address of a file in the artifact's folder."""
        return f"{self.uri}/{name}"

    @property
    def local_folder(self) -> Path | None:
        """The artifact's folder where the store lies on this machine, else None."""
        return Path(self.uri) if is_local(self.artifact_store) else None


def is_local(store: BaseArtifactStore) -> bool:
    """Whether the files of a store can be opened by their path."""
    config: Any = store.config
    return bool(config.is_local)
