"""The dashboard's server, and those who read pictures on it, for `dashboard.py`."""

import asyncio
import json
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
from streamlit_client import PageError, Seen, Tab
from websockets import ConnectionClosed

ROOT = Path(__file__).resolve().parents[1]
WAIT_SECONDS = 180
EVERY_SECONDS = 5.0


@dataclass(frozen=True)
class Server:
    """A dashboard that runs.

    Attributes:
        address: Where it is found.
        process: Its process.
        began: When the command was given, by `time.perf_counter`.
    """

    address: str
    process: psutil.Process
    began: float


@contextmanager
def dashboard(registry: str, folder: Path) -> Iterator[Server]:
    """A dashboard on a free port, with an audit log and a cache of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = {"store": {"cache": str(folder / "cache")}}
    log = folder / "log.txt"
    began = time.perf_counter()
    with log.open("wb") as written:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "streamlit",
                "run",
                "app/dashboard.py",
                "--server.port",
                str(port),
            ],
            cwd=ROOT,
            env={
                **os.environ,
                "MLFLOW_TRACKING_URI": registry,
                "SKIN_LESION_AUDIT_URL": f"sqlite:///{folder / 'audit.db'}",
                "SKIN_LESION_DASHBOARD": json.dumps(config),
            },
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=subprocess.STDOUT,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(address, process, log)
        yield Server(address, psutil.Process(process.pid), began)
    finally:
        process.terminate()
        process.wait()
    if "Traceback" in (text := log.read_text(errors="replace")):
        raise RuntimeError(f"the dashboard's log has a stack trace:\n{text[-4000:]}")


def wait_for(address: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Until the server listens."""
    end = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            if httpx.get(f"{address}/_stcore/health", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.02)
    raise RuntimeError(f"the dashboard did not start:\n{log.read_text(errors='replace')}")


class Reader:
    """Somebody who drops one picture after the other onto one page."""

    def __init__(self, tab: Tab, picture: bytes) -> None:
        """Take an open tab."""
        self._tab, self._picture, self._round = tab, picture, 0

    async def open(self) -> None:
        """Wait until the page takes pictures."""
        await self._tab.open(lambda seen: b"-read_files_0" in seen.text)

    async def read(self) -> float:
        """Seconds of one reading."""
        name = f"picture {self._round + 1}.jpg".encode()

        def answered(seen: Seen) -> bool:
            wanted = (name, b"sl-risk-", b"sl-verdict", b"sl-confidence", b"skin_lesion_viewer")
            return all(part in seen.text for part in wanted)

        taken = await self._tab.send_picture(f"read_files_{self._round}", self._picture, answered)
        self._round += 1
        return taken


async def from_the_start(server: Server, picture: bytes) -> tuple[float, float]:
    """Seconds from the command to the first page, and to the first answer.

    The first page stands when its first run has ended; a model that is still being loaded is said
    to be so on it, and it goes on by itself.
    """
    async with Tab(server.address) as tab:
        await tab.open(lambda seen: b"sl-notice" in seen.text)
        page = time.perf_counter() - server.began
    async with Tab(server.address) as tab:
        reader = Reader(tab, picture)
        await reader.open()
        await reader.read()
        return page, time.perf_counter() - server.began


async def in_turn(
    server: Server, picture: bytes, forward: Callable[[], float], readings: int
) -> tuple[list[float], list[float]]:
    """Seconds of later readings, and of the forward passes between them."""
    took, bare = [], []
    async with Tab(server.address) as tab:
        reader = Reader(tab, picture)
        await reader.open()
        for _ in range(5):
            await reader.read()  # warms it
        for _ in range(readings):
            bare.append(forward())
            took.append(await reader.read())
    return took, bare


async def regularly(
    server: Server, picture: bytes, clients: int, seconds: float, seed: int = 0
) -> tuple[list[float], list[str]]:
    """Seconds of the readings of some clients, each every few seconds, and what failed."""
    chance = random.Random(seed)
    end = time.monotonic() + seconds
    took: list[float] = []
    failures: list[str] = []

    async def one(delay: float) -> None:
        await asyncio.sleep(delay)
        async with Tab(server.address) as tab:
            reader = Reader(tab, picture)
            await reader.open()
            await reader.read()  # the first of a session is not one of many
            due = time.monotonic() + EVERY_SECONDS * chance.random()
            while due < end:
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                try:
                    took.append(await reader.read())
                except (PageError, httpx.HTTPError, OSError, ConnectionClosed) as error:
                    failures.append(repr(error))
                    return
                due += EVERY_SECONDS

    await asyncio.gather(*(one(EVERY_SECONDS * i / clients) for i in range(clients)))
    return took, failures


async def memory(server: Server, picture: bytes, readings: int) -> list[float]:
    """Megabytes of the server after every fiftieth reading of one page."""
    found = []
    async with Tab(server.address) as tab:
        reader = Reader(tab, picture)
        await reader.open()
        for number in range(1, readings + 1):
            await reader.read()
            if number % 50 == 0:
                found.append(server.process.memory_info().rss / 2**20)
    return found
