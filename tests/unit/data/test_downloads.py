"""Downloads, tried on a Dataverse of our own."""

import hashlib
import json
import logging
import multiprocessing
import random
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from skin_lesion.data.downloads import (
    RemoteFile,
    _alone,
    cache_folder,
    download,
    fetch_dataverse,
    fetch_kaggle,
)
from skin_lesion.data.sources import SourceError, open_source
from skin_lesion.settings import IngestConfig, SourceConfig

DOI = "doi:10.7910/DVN/TEST"


@dataclass
class Dataverse:
    """A server with files, and a record of what it was asked for."""

    files: dict[str, bytes] = field(default_factory=dict)
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    url: str = ""
    break_after: int | None = None  # the next file breaks off after so many bytes
    listing: bytes | None = None  # answered instead of the list of files
    md5: dict[str, str] = field(default_factory=dict)  # told instead of the right one
    ranges: bool = True  # whether parts of a file can be asked for
    hashed: bool = True  # whether checksums are told

    def answer_listing(self) -> bytes:
        data = []
        for number, (name, content) in enumerate(self.files.items()):
            item = {
                "id": number,
                "filename": name,
                "filesize": len(content),
            }
            if self.hashed:
                item["md5"] = self.md5.get(name, hashlib.md5(content).hexdigest())
            if name.endswith(".csv"):  # ingested as a table: shown converted
                item |= {
                    "filename": name.replace(".csv", ".tab"),
                    "originalFileName": name,
                    "originalFileSize": len(content),
                    "filesize": 7 + len(content),
                    "tabularData": True,
                }
            data.append({"label": item["filename"], "dataFile": item})
        return json.dumps({"status": "OK", "data": data}).encode()


class Handler(BaseHTTPRequestHandler):
    world: Dataverse

    def do_GET(self) -> None:
        world, url = self.world, urlsplit(self.path)
        query = parse_qs(url.query)
        world.requests.append((self.path, self.headers.get("Range")))
        if url.path == "/api/datasets/:persistentId/versions/:latest/files":
            found = query.get("persistentId") == [DOI]
            self.respond(200 if found else 404, world.listing or world.answer_listing())
            return
        number = int(url.path.removeprefix("/api/access/datafile/"))
        name, content = list(world.files.items())[number]
        if name.endswith(".csv") and query.get("format") != ["original"]:
            content = content.replace(b",", b"\t")
        wanted = self.headers.get("Range")
        first = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        if wanted and world.ranges and first >= len(content):
            self.respond(416, b"")
        elif wanted and world.ranges:
            self.respond(206, content[first:])
        else:
            self.respond(200, content)

    def respond(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        sent = body
        if self.world.break_after is not None and "datafile" in self.path:
            sent, self.world.break_after = body[: self.world.break_after], None
        self.wfile.write(sent)

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def dataverse(data_set, tmp_path: Path) -> Iterator[Dataverse]:
    pictures = data_set.write_zip(tmp_path / "served.zip").read_bytes()
    world = Dataverse({
        "HAM10000_metadata.csv": data_set.table(),
        "HAM10000_images_part_1.zip": pictures,
        "HAM10000_segmentations_lesion_tschandl.zip": b"not wanted",
        "ISIC2018_Task3_Test_Images.zip": b"not wanted either",
    })  # fmt: skip
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"world": world}))
    world.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield world
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_only_pictures_and_metadata_are_fetched(dataverse: Dataverse, tmp_path: Path) -> None:
    folder = fetch_dataverse(dataverse.url, DOI, tmp_path / "cache")
    names = {path.name for path in folder.iterdir()}
    assert names == {"HAM10000_metadata.csv", "HAM10000_images_part_1.zip", "complete.json"}
    for name in names - {"complete.json"}:
        assert (folder / name).read_bytes() == dataverse.files[name]


def test_a_second_use_asks_the_server_nothing(dataverse: Dataverse, tmp_path: Path) -> None:
    fetch_dataverse(dataverse.url, DOI, tmp_path / "cache")
    asked = len(dataverse.requests)
    fetch_dataverse(dataverse.url, DOI, tmp_path / "cache")
    assert len(dataverse.requests) == asked


def test_the_downloaded_data_set_opens_like_any_other(
    dataverse: Dataverse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    config = SourceConfig(kind="dataverse", dataverse_url=dataverse.url + "/", dataverse_doi=DOI)
    with open_source(config, IngestConfig(), 0) as source:
        assert len(source.metadata) == 28
        assert all(source.read(name) for name in source.metadata["image_id"])
        assert source.kind == "dataverse"
        assert not source.terms.synthetic


def test_a_broken_download_is_resumed(dataverse: Dataverse, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    metadata = dataverse.files.pop("HAM10000_metadata.csv")
    name = "HAM10000_images_part_1.zip"
    dataverse.files[name] = random.Random(0).randbytes(300_000)
    dataverse.files["HAM10000_metadata"] = metadata
    dataverse.break_after = 200_000
    with pytest.raises(SourceError, match="goes on from there"):
        fetch_dataverse(dataverse.url, DOI, folder)
    assert not (folder / "complete.json").exists()
    assert not (folder / name).exists()
    kept = (folder / f"{name}.partial").stat().st_size
    assert 100_000 < kept <= 200_000
    fetch_dataverse(dataverse.url, DOI, folder)
    assert (folder / name).read_bytes() == dataverse.files[name]
    assert f"bytes={kept}-" in {given for _, given in dataverse.requests}
    assert not list(folder.glob("*.partial"))


def test_a_server_that_cannot_resume_starts_again(dataverse: Dataverse, tmp_path: Path) -> None:
    dataverse.ranges = False
    target = tmp_path / "HAM10000_images_part_1.zip"
    content = dataverse.files[target.name]
    Path(f"{target}.partial").write_bytes(content[:500])
    file = RemoteFile(
        target.name, f"{dataverse.url}/api/access/datafile/1", 0, hashlib.md5(content).hexdigest()
    )
    download(file, target)
    assert target.read_bytes() == content


def test_a_complete_partial_file_is_only_checked(dataverse: Dataverse, tmp_path: Path) -> None:
    target = tmp_path / "HAM10000_images_part_1.zip"
    content = dataverse.files[target.name]
    Path(f"{target}.partial").write_bytes(content)
    file = RemoteFile(
        target.name, f"{dataverse.url}/api/access/datafile/1", 0, hashlib.md5(content).hexdigest()
    )
    download(file, target)
    assert target.read_bytes() == content


def test_a_wrong_checksum_leaves_nothing_behind(dataverse: Dataverse, tmp_path: Path) -> None:
    dataverse.md5["HAM10000_images_part_1.zip"] = "0" * 32
    folder = tmp_path / "cache"
    with pytest.raises(SourceError, match=f"expected {'0' * 32}"):
        fetch_dataverse(dataverse.url, DOI, folder)
    assert [path.name for path in folder.iterdir()] == ["HAM10000_metadata.csv"]


def test_a_damaged_cache_is_fetched_again(dataverse: Dataverse, tmp_path: Path) -> None:
    folder = fetch_dataverse(dataverse.url, DOI, tmp_path / "cache")
    (folder / "complete.json").unlink()
    (folder / "HAM10000_metadata.csv").write_bytes(b"damaged")
    fetch_dataverse(dataverse.url, DOI, folder)
    name = "HAM10000_metadata.csv"
    assert (folder / name).read_bytes() == dataverse.files[name]


def remote(world: Dataverse, *, size: int = 0, hashed: bool = False) -> RemoteFile:
    """The zip of pictures, known by its size, its checksum, both or neither."""
    name = "HAM10000_images_part_1.zip"
    md5 = hashlib.md5(world.files[name]).hexdigest() if hashed else None
    return RemoteFile(name, f"{world.url}/api/access/datafile/1", size, md5)


def test_without_checksums_a_data_set_is_known_by_its_sizes(
    dataverse: Dataverse, tmp_path: Path
) -> None:
    dataverse.hashed = False
    folder = fetch_dataverse(dataverse.url, DOI, tmp_path / "cache")
    for name in ("HAM10000_metadata.csv", "HAM10000_images_part_1.zip"):
        assert (folder / name).read_bytes() == dataverse.files[name]


@pytest.mark.parametrize("hashed", [False, True])
def test_a_file_of_the_wrong_size_is_never_published(
    dataverse: Dataverse, tmp_path: Path, hashed: bool
) -> None:
    target = tmp_path / "HAM10000_images_part_1.zip"
    size = len(dataverse.files[target.name])
    with pytest.raises(SourceError, match=f"has {size} bytes; expected {size + 1}"):
        download(remote(dataverse, size=size + 1, hashed=hashed), target)
    assert list(tmp_path.glob("HAM10000*")) == []


def test_without_a_checksum_a_complete_file_is_reused_only_at_its_size(
    dataverse: Dataverse, tmp_path: Path
) -> None:
    target = tmp_path / "HAM10000_images_part_1.zip"
    content = dataverse.files[target.name]
    target.write_bytes(content[:-1])
    download(remote(dataverse, size=len(content)), target)
    assert target.read_bytes() == content
    asked = len(dataverse.requests)
    download(remote(dataverse, size=len(content)), target)
    assert len(dataverse.requests) == asked


@pytest.mark.parametrize("left", [500, 10**6])
def test_without_a_checksum_a_broken_download_starts_again(
    dataverse: Dataverse, tmp_path: Path, left: int
) -> None:
    """What is left may be of another version, or longer than the file (answered with 416)."""
    target = tmp_path / "HAM10000_images_part_1.zip"
    Path(f"{target}.partial").write_bytes(b"?" * left)
    download(remote(dataverse, size=len(dataverse.files[target.name])), target)
    assert target.read_bytes() == dataverse.files[target.name]


def test_what_cannot_be_verified_is_said_and_never_reused(
    dataverse: Dataverse, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    target = tmp_path / "HAM10000_images_part_1.zip"
    target.write_bytes(b"anything")
    with caplog.at_level(logging.WARNING):
        download(remote(dataverse), target)
    assert target.read_bytes() == dataverse.files[target.name]
    assert "not verified" in caplog.text


def test_two_processes_download_a_data_set_once(dataverse: Dataverse, tmp_path: Path) -> None:
    dataverse.files["HAM10000_images_part_1.zip"] = random.Random(0).randbytes(5_000_000)
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=fetch_dataverse, args=(dataverse.url, DOI, tmp_path / "cache"))
        for _ in range(2)
    ]
    with _alone(tmp_path / "cache"):
        for process in processes:
            process.start()
        deadline = time.monotonic() + 30
        while len(dataverse.requests) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.2)
        assert [path for path, _ in dataverse.requests if "datafile" in path] == []
    for process in processes:
        process.join(30)
    assert [process.exitcode for process in processes] == [0, 0]
    fetched = [path for path, _ in dataverse.requests if "datafile" in path]
    assert len(fetched) == len(set(fetched)) == 2


def test_an_unknown_data_set_is_an_error_with_a_way_out(
    dataverse: Dataverse, tmp_path: Path
) -> None:
    with pytest.raises(SourceError, match=r"404.*set source\.kind to 'local'"):
        fetch_dataverse(dataverse.url, "doi:10.1/other", tmp_path)


def test_an_offline_machine_gets_the_url_and_a_way_out(tmp_path: Path, closed_port: int) -> None:
    url = f"http://127.0.0.1:{closed_port}"
    with pytest.raises(SourceError, match=rf"{url}/api/datasets.*HAM10000_PATH"):
        fetch_dataverse(url, DOI, tmp_path)


@pytest.mark.parametrize(
    "listing",
    [
        b"<html>maintenance</html>",
        b'{"status": "OK"}',
        b'{"status": "OK", "data": [{"label": "x"}]}',
        b'{"data": [{"label": "../HAM10000_images.zip", "dataFile": {"id": 1, "filename": "x"}}]}',
    ],
)
def test_an_answer_that_is_no_listing_is_an_error(
    dataverse: Dataverse, tmp_path: Path, listing: bytes
) -> None:
    dataverse.listing = listing
    with pytest.raises(SourceError, match="HAM10000_PATH"):
        fetch_dataverse(dataverse.url, DOI, tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_another_data_set_is_not_taken_for_ham10000(dataverse: Dataverse, tmp_path: Path) -> None:
    dataverse.files.pop("HAM10000_metadata.csv")
    with pytest.raises(SourceError, match="lists no HAM10000_metadata"):
        fetch_dataverse(dataverse.url, DOI, tmp_path)


def test_the_cache_lies_where_the_system_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "skin-lesion"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/someone")
    assert cache_folder() == Path("/home/someone/.cache/skin-lesion")


# Kaggle


def test_kaggle_data_open_like_any_other(
    data_set, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kaggle's copy holds the folders of pictures twice, in two spellings."""
    for name, data in list(data_set.files.items()):
        data_set.files[f"copy/{name.lower().replace('isic', 'ISIC')}"] = data
    folder = data_set.write_folder(tmp_path)
    asked = []
    monkeypatch.setattr("kagglehub.dataset_download", lambda h: asked.append(h) or str(folder))
    with open_source(SourceConfig(kind="kaggle"), IngestConfig(), 0) as source:
        assert len(source.metadata) == len(source.entries) == 28
        assert source.kind == "kaggle"
    assert asked == ["kmader/skin-cancer-mnist-ham10000"]


@pytest.mark.parametrize(
    "failure",
    [
        requests.ConnectionError("no route to host"),
        requests.HTTPError("403 Client Error"),
        ValueError("Invalid dataset handle: x"),
    ],
)
def test_a_kaggle_failure_names_credentials_and_a_way_out(
    failure: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: str) -> str:
        raise failure

    monkeypatch.setattr("kagglehub.dataset_download", fail)
    with pytest.raises(SourceError, match=r"www\.kaggle\.com.*KAGGLE_USERNAME.*HAM10000_PATH"):
        fetch_kaggle("x")


def test_kaggle_without_credentials_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from kagglehub.exceptions import UnauthenticatedError

    def fail(_: str) -> str:
        raise UnauthenticatedError

    monkeypatch.setattr("kagglehub.dataset_download", fail)
    with pytest.raises(SourceError, match="not authenticated"):
        fetch_kaggle("someone/something")
