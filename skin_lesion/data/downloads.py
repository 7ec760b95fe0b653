"""Fetch HAM10000 from Kaggle or from a Dataverse server, once, into a cache that is checked."""

import fcntl
import hashlib
import json
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from skin_lesion.data.archives import SourceError

logger = logging.getLogger(__name__)

_CHUNK_BYTES = 2**16
_TIMEOUT_SECONDS = (10.0, 60.0)
_WANTED = re.compile(r"^ham10000_(metadata|images)", re.IGNORECASE)
_WAY_OUT = (
    "Download the data set by hand on a machine with access, then set source.kind to 'local' and "
    "source.path (or HAM10000_PATH) to the folder or zip."
)


@dataclass(frozen=True)
class RemoteFile:
    """One file of a Dataverse data set.

    Attributes:
        name: File name.
        url: Where it is.
        size: Bytes; 0 where the server tells none.
        md5: Checksum; None where the server tells none.
    """

    name: str
    url: str
    size: int
    md5: str | None


def cache_folder() -> Path:
    """Where downloads are kept: `skin-lesion` in `XDG_CACHE_HOME` or in `~/.cache`."""
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "skin-lesion"


def fetch_kaggle(handle: str) -> Path:
    """Download a Kaggle data set with kagglehub and return its folder.

    Credentials come from the environment (`KAGGLE_API_TOKEN`, or `KAGGLE_USERNAME` and
    `KAGGLE_KEY`) or from kagglehub's own files.

    Raises:
        SourceError: Kaggle cannot be reached, or refuses.
    """
    import kagglehub
    import requests
    from kagglehub import exceptions

    url = f"https://www.kaggle.com/datasets/{handle}"
    try:
        return Path(kagglehub.dataset_download(handle))
    except (
        requests.RequestException,
        exceptions.BackendError,
        exceptions.CredentialError,
        exceptions.DataCorruptionError,
        exceptions.NotFoundError,
        exceptions.UnauthenticatedError,
        OSError,
        ValueError,
    ) as error:
        raise SourceError(
            f"the Kaggle data set {handle!r} could not be downloaded from {url}: {error}. Set "
            "KAGGLE_USERNAME and KAGGLE_KEY (or KAGGLE_API_TOKEN) to your credentials and check "
            f"the connection. {_WAY_OUT}"
        ) from error


def fetch_dataverse(server: str, doi: str, folder: Path | None = None) -> Path:
    """Download metadata and pictures of a Dataverse data set and return the folder they are in.

    A broken download is resumed; a file appears under its name once its size and checksum are
    right. Of several processes one downloads and the others wait for it.

    Args:
        server: Root of the server.
        doi: Persistent identifier of the data set.
        folder: Where to; None takes a folder of `cache_folder()`.

    Raises:
        SourceError: The server cannot be reached, or sends something else than promised.
    """
    identity = hashlib.sha256(f"{server}\n{doi}".encode()).hexdigest()[:12]
    folder = folder or cache_folder() / f"dataverse-{identity}"
    complete = folder / "complete.json"
    if complete.is_file():
        return folder
    files = [file for file in _list_files(server, doi) if _WANTED.match(file.name)]
    if not any(file.name.lower().startswith("ham10000_metadata") for file in files):
        raise SourceError(
            f"{server} lists no HAM10000_metadata under {doi}; is the identifier right? {_WAY_OUT}"
        )
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        if not complete.is_file():  # another process may have finished meanwhile
            for file in files:
                download(file, folder / file.name)
            partial = complete.with_suffix(".partial")
            partial.write_text(json.dumps({file.name: file.md5 for file in files}, indent=1))
            os.replace(partial, complete)
    return folder


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other processes out of a folder; the system frees the lock of one that was killed."""
    # A file beside the folder: some network drives lock nothing but files open for writing.
    with folder.with_name(f"{folder.name}.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            logger.info("waiting for another process that downloads to %s", folder)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _list_files(server: str, doi: str) -> list[RemoteFile]:
    import requests

    root = server.rstrip("/")
    url = f"{root}/api/datasets/:persistentId/versions/:latest/files?persistentId={doi}"
    try:
        response = requests.get(url, timeout=_TIMEOUT_SECONDS)
        response.raise_for_status()
        listed = response.json()["data"]
        return [_remote_file(root, item["dataFile"], item.get("label")) for item in listed]
    except requests.RequestException as error:
        raise SourceError(f"{url} cannot be read: {error}. {_WAY_OUT}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise SourceError(
            f"{url} does not answer like a Dataverse ({error!r}). {_WAY_OUT}"
        ) from error


def _remote_file(root: str, item: dict[str, object], label: object) -> RemoteFile:
    # A table is listed converted and fetched as it was uploaded: the checksum is that of the upload,
    # the size that of the conversion.
    converted = bool(item.get("tabularData") or item.get("originalFileFormat"))
    name = str((item.get("originalFileName") if converted else None) or label or item["filename"])
    checksum = item.get("checksum")
    md5 = item.get("md5")
    if md5 is None and isinstance(checksum, dict) and checksum.get("type") == "MD5":
        md5 = checksum.get("value")
    size = item.get("originalFileSize" if converted else "filesize")
    if Path(name).name != name or name in {"", ".", ".."}:
        raise ValueError(f"the file name {name!r} leads outside of the data set")
    return RemoteFile(
        name,
        f"{root}/api/access/datafile/{int(str(item['id']))}" + "?format=original" * converted,
        size if isinstance(size, int) else 0,
        str(md5).lower() if md5 else None,
    )


def download(file: RemoteFile, target: Path) -> None:
    """Download a file, resuming where an earlier attempt stopped if a checksum can tell the result.

    No other process may be downloading the same file.

    Raises:
        SourceError: The server cannot be reached, or the size or checksum is wrong.
    """
    import requests

    partial = target.with_name(target.name + ".partial")
    verifiable = bool(file.size or file.md5)
    if target.is_file() and verifiable and _fault(file, target) is None:
        return
    try:
        _append(file, partial)
    except requests.RequestException as error:
        resumable = (
            "What came is kept and the next attempt goes on from there. " if file.md5 else ""
        )
        raise SourceError(
            f"{file.url} ({file.name}) cannot be downloaded: {error}. {resumable}{_WAY_OUT}"
        ) from error
    fault = _fault(file, partial)
    if fault:
        partial.unlink()
        raise SourceError(
            f"{file.url} ({file.name}) {fault}. The broken download was removed; run again. "
            f"{_WAY_OUT}"
        )
    if not verifiable:
        logger.warning("%s tells neither size nor MD5 of %s: not verified", file.url, file.name)
    os.replace(partial, target)


def _fault(file: RemoteFile, path: Path) -> str | None:
    """How a downloaded file differs from what the server promises; None where it does not."""
    size = path.stat().st_size
    if file.size and size != file.size:
        return f"has {size} bytes; expected {file.size}"
    if file.md5 and (md5 := _md5(path)) != file.md5:
        return f"has the MD5 {md5}; expected {file.md5}"
    return None


def _append(file: RemoteFile, partial: Path) -> None:
    """Fetch the rest of a file behind what is there already."""
    import requests
    from tqdm import tqdm

    # Without a checksum nothing would tell that the two parts are of different versions.
    present = partial.stat().st_size if file.md5 and partial.exists() else 0
    headers = {"Range": f"bytes={present}-"} if present else {}
    with requests.get(file.url, headers=headers, stream=True, timeout=_TIMEOUT_SECONDS) as response:
        if present and response.status_code == requests.codes.requested_range_not_satisfiable:
            return  # everything is there: the checksum decides
        response.raise_for_status()
        resumed = present > 0 and response.status_code == requests.codes.partial_content
        logger.info("downloading %s from %s", file.name, file.url)
        with (
            partial.open("ab" if resumed else "wb") as out,
            tqdm(
                desc=file.name,
                total=file.size or None,
                initial=present if resumed else 0,
                unit="B",
                unit_scale=True,
                disable=None,
            ) as progress,
        ):
            for chunk in response.iter_content(_CHUNK_BYTES):
                out.write(chunk)
                progress.update(len(chunk))


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
