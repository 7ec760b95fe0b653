"""Fetched bundles on this machine, each in a folder named by its hash and checked before it is used."""

import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from skin_lesion.modeling.bundle import ModelBundle

_HASH = re.compile(r"[0-9a-f]{64}")
_HALF = ".partial"


class DamagedBundleError(ValueError):
    """A bundle that is not the one that was registered."""


class BundleCache:
    """A folder of bundles; several processes may share it.

    A bundle is fetched beside its place and renamed into it, so that a killed process leaves nothing
    that looks whole. One lock for each bundle keeps two processes from fetching it at a time, and a
    third from removing it before it is loaded. A loaded model needs its files no more.
    """

    def __init__(self, folder: Path | None, keep: int) -> None:
        """Name the folder; it is made on first use.

        Args:
            folder: Where bundles lie; None takes a folder of its own, which `close` removes.
            keep: Most bundles that are left.
        """
        self._own = tempfile.TemporaryDirectory(prefix="skin-lesion-") if folder is None else None
        self.folder = Path(self._own.name) if self._own else Path(folder or "")
        self._keep = keep

    @contextmanager
    def bundle(
        self, bundle_hash: str, fetch: Callable[[Path], ModelBundle]
    ) -> Iterator[ModelBundle]:
        """A bundle whose files are what the hash says, for as long as it takes to load it.

        Args:
            bundle_hash: As recorded when it was registered.
            fetch: Puts the bundle somewhere into the folder it is given.

        Raises:
            DamagedBundleError: No hash was recorded, or what was fetched has another one.
            OSError: The folder cannot be written.
        """
        if not _HASH.fullmatch(bundle_hash):
            raise DamagedBundleError(f"bundle hash {bundle_hash!r}; expected 64 hexadecimal digits")
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._locked(bundle_hash):
            yield self._whole(bundle_hash) or self._fetched(bundle_hash, fetch)

    def sweep(self, serving: str) -> None:
        """Remove all bundles but those used last, never the one that is served, and halves of others.

        Args:
            serving: Its hash.
        """
        used: dict[Path, tuple[bool, float]] = {}
        for place in self.folder.iterdir():
            if _HASH.fullmatch(place.name):
                with suppress(FileNotFoundError):  # another process swept it just now
                    used[place] = (place.name == serving, place.stat().st_mtime)
        spare = sorted(used, key=lambda each: used[each], reverse=True)[self._keep :]
        # What a killed process fetched half of, and nobody may ever want again.
        halves = self.folder.glob(f"*{_HALF}")
        for place in (*spare, *halves):
            bundle_hash = place.name.removesuffix(_HALF)
            # One that another process is fetching or loading just now is left for the next time.
            with suppress(BlockingIOError), self._locked(bundle_hash, wait=False):
                shutil.rmtree(place, ignore_errors=True)

    def close(self) -> None:
        """Remove the folder if it is the cache's own."""
        if self._own:
            self._own.cleanup()

    def _whole(self, bundle_hash: str) -> ModelBundle | None:
        """The bundle in its place; None where there is none that the hash fits, and no longer any."""
        place = self.folder / bundle_hash
        if not place.exists():
            return None
        with suppress(OSError, ValueError):
            found = ModelBundle.open(place)
            if found.bundle_hash == bundle_hash:
                os.utime(place)
                return found
        shutil.rmtree(place)
        return None

    def _fetched(self, bundle_hash: str, fetch: Callable[[Path], ModelBundle]) -> ModelBundle:
        # Under the lock of this bundle: whatever a killed process left of it is nobody's.
        work = self.folder / f"{bundle_hash}{_HALF}"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        try:
            fetched = fetch(work)
            if fetched.bundle_hash != bundle_hash:
                raise DamagedBundleError(
                    f"fetched a bundle of hash {fetched.bundle_hash}; {bundle_hash} was registered"
                )
            place = self.folder / bundle_hash
            fetched.path.replace(place)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        return ModelBundle(place, fetched.contract)

    @contextmanager
    def _locked(self, bundle_hash: str, *, wait: bool = True) -> Iterator[None]:
        # The file of the lock stays: to remove it would let two processes hold a lock each.
        with (self.folder / f"{bundle_hash}.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
