"""Fetch HAM10000 from Kaggle or from a Dataverse server, once, into a cache that is checked."""

import hashlib
import json
import logging
import os
import re
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
        size: Bytes, for the progress bar; 0 where unknown.
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

    A broken download is resumed; a file appears under its name once its checksum is right.

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
    for file in files:
        download(file, folder / file.name)
    partial = complete.with_suffix(".partial")
    partial.write_text(json.dumps({file.name: file.md5 for file in files}, indent=1))
    os.replace(partial, complete)
    return folder


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
    # A table is served converted; its checksum and name are those of the file that was uploaded.
    converted = bool(item.get("tabularData") or item.get("originalFileFormat"))
    name = str((item.get("originalFileName") if converted else None) or label or item["filename"])
    checksum = item.get("checksum")
    md5 = item.get("md5")
    if md5 is None and isinstance(checksum, dict) and checksum.get("type") == "MD5":
        md5 = checksum.get("value")
    size = item.get("filesize")
    if Path(name).name != name or name in {"", ".", ".."}:
        raise ValueError(f"the file name {name!r} leads outside of the data set")
    return RemoteFile(
        name,
        f"{root}/api/access/datafile/{int(str(item['id']))}" + "?format=original" * converted,
        size if isinstance(size, int) else 0,
        str(md5).lower() if md5 else None,
    )


def download(file: RemoteFile, target: Path) -> None:
    """Download a file, resuming where an earlier attempt stopped.

    Raises:
        SourceError: The server cannot be reached, or the checksum is wrong.
    """
    import requests

    partial = target.with_name(target.name + ".partial")
    if target.is_file() and file.md5 in (None, _md5(target)):
        return
    try:
        _append(file, partial)
    except requests.RequestException as error:
        raise SourceError(
            f"{file.url} ({file.name}) cannot be downloaded: {error}. What came is kept and the "
            f"next attempt goes on from there. {_WAY_OUT}"
        ) from error
    received = _md5(partial)
    if file.md5 not in (None, received):
        partial.unlink()
        raise SourceError(
            f"{file.url} ({file.name}) has the MD5 {received}; expected {file.md5}. The broken "
            f"download was removed; run again. {_WAY_OUT}"
        )
    os.replace(partial, target)


def _append(file: RemoteFile, partial: Path) -> None:
    """Fetch the rest of a file behind what is there already."""
    import requests
    from tqdm import tqdm

    present = partial.stat().st_size if partial.exists() else 0
    headers = {"Range": f"bytes={present}-"} if present else {}
    with requests.get(file.url, headers=headers, stream=True, timeout=_TIMEOUT_SECONDS) as response:
        if response.status_code == requests.codes.requested_range_not_satisfiable:
            return  # everything is there: the checksum decides
        response.raise_for_status()
        resumed = response.status_code == requests.codes.partial_content
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
