"""The dashboard as a process of its own, as its users start it."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from skin_lesion import registry
from skin_lesion.audit import AuditLog
from tests.mlflow_place import mlflow_at

ROOT = Path(__file__).resolve().parents[3]
STREAMLIT = (sys.executable, "-m", "streamlit", "run", "app/dashboard.py")
START_SECONDS, STOP_SECONDS = 90, 20
_TAIL = 60
# What is never set for a server by whoever starts the tests.
_OURS = ("SKIN_LESION_", "STREAMLIT_", "MLFLOW_")


@dataclass
class Shop:
    """What a dashboard works on: a registry and an audit log of its own.

    Attributes:
        folder: Holds all of it.
        database: The registry's.
    """

    folder: Path
    database: Path

    @property
    def uri(self) -> str:
        """The registry's address."""
        return f"sqlite:///{self.database}"

    @property
    def audit_file(self) -> Path:
        """The audit log's database."""
        return self.folder / "audit.db"

    def audit(self) -> AuditLog:
        """The audit log, read beside the dashboard."""
        return AuditLog.open(f"sqlite:///{self.audit_file}")

    def rows(self) -> int:
        """How many rows the audit log has."""
        return sum(1 for _ in self.audit().rows()) if self.audit_file.exists() else 0

    def promote(self, version: int) -> None:
        """As an engineer does on the command line."""
        with mlflow_at(self.uri):
            registry.promote(version, user="test", reason="tried", override="a test wants it")

    def in_production(self) -> int | None:
        """Number of the version that the alias points to."""
        with mlflow_at(self.uri):
            found = registry.champion()
        return None if found is None else found.version

    def environment(self, **said: Any) -> dict[str, str]:
        """What a dashboard is told; `said` are fields of its configuration."""
        cache = {"cache": str(self.folder / "cache"), "poll_seconds": 0.5}
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        return kept | {
            "MLFLOW_TRACKING_URI": self.uri,
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "SKIN_LESION_AUDIT_URL": f"sqlite:///{self.audit_file}",
            "SKIN_LESION_DASHBOARD": json.dumps({"store": cache} | said),
        }


@dataclass
class Dashboard:
    """A dashboard that runs.

    Attributes:
        address: Where browsers find it.
        log: What it has written.
        shop: What it works on.
        process: The server.
    """

    address: str
    log: Path
    shop: Shop
    process: "subprocess.Popen[bytes]"
    _read: int = field(default=0)

    def troubles(self) -> str:
        """Stack traces since the last look, with what stands around them; empty where all is well."""
        text = self.log.read_text(encoding="utf-8", errors="replace")
        new, self._read = text[self._read :], len(text)
        return new[-8000:] if "Traceback" in new else ""


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(
    shop: Shop,
    *,
    command: Sequence[str] = STREAMLIT,
    port_option: str = "--server.port",
    options: Sequence[str] = (),
    port: int | None = None,
    environment: Mapping[str, str] | None = None,
    **said: Any,
) -> Iterator[Dashboard]:
    """A dashboard on this machine, stopped with everything that it started.

    Args:
        shop: What it works on.
        command: Starts it.
        port_option: By which the command is told its port.
        options: Further words of the command.
        port: Where it listens; None takes a free one.
        environment: Beside that of the shop.
        said: Fields of its configuration.
    """
    port = port or free_port()
    log = shop.folder / f"log {port}.txt"
    with log.open("wb") as written:
        process = subprocess.Popen(
            [*command, port_option, str(port), *options],
            cwd=ROOT,
            env=shop.environment(**said) | dict(environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    dashboard = Dashboard(f"http://127.0.0.1:{port}", log, shop, process)
    try:
        _wait_until_healthy(dashboard)
        yield dashboard
    finally:
        _stop(process)


def _wait_until_healthy(dashboard: Dashboard) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and dashboard.process.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            # One that answers nobody says 403, and is up as well.
            if httpx.get(f"{dashboard.address}/_stcore/health", timeout=5).status_code < 500:
                return
        time.sleep(0.1)
    tail = "\n".join(dashboard.log.read_text(errors="replace").splitlines()[-_TAIL:])
    raise RuntimeError(f"the dashboard did not start (exit {dashboard.process.poll()}):\n{tail}")


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """End a server and whatever it started; it leads a process group of its own."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, how)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
            return
