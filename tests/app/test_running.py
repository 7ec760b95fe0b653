"""The service as a process of its own: how it is started, how it ends, and a promotion under load."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from skin_lesion.audit import AuditLog
from skin_lesion.inference import Predictor
from skin_lesion.prediction_table import nested
from tests.app.conftest import Registry, sent, wait_for

ROOT = Path(__file__).resolve().parents[2]
REQUESTS_A_SECOND, SECONDS = 20, 10


@contextmanager
def running(
    words: Sequence[str], registry: Registry, tmp_path: Path, **environment: str
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A server on a free port of this machine: its address and its process."""
    log = tmp_path / "log.txt"
    with log.open("wb") as err, (tmp_path / "access.txt").open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", *words],
            cwd=ROOT,
            env=os.environ | {"MLFLOW_TRACKING_URI": registry.uri} | environment,
            stdout=out,
            stderr=err,
        )

    def address() -> str | None:
        assert process.poll() is None, log.read_text()
        found = re.search(r"running on (http://127\.0\.0\.1:\d+)", log.read_text())
        return found and found[1]

    try:
        wait_for(lambda: address() is not None)
        yield str(address()), process
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(60)


def is_ready(address: str) -> bool:
    return httpx.get(f"{address}/ready").status_code == 200


def command(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipelines.cli", "serve", *words],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--host", "0.0.0.0"), "SKIN_LESION_API_KEYS"),
        (("--host", "0.0.0.0", "--mlflow"), "asks nobody who he is"),
        (("--oidc-issuer", "https://issuer.example"), "belong together"),
        (("--api-keys", "/nowhere/keys"), "/nowhere/keys"),
        (("--tls-key", "/nowhere/key"), "both a certificate and its key"),
        (("--audit", "mysql://db/audit"), "mysql"),
        (("--oidc-role", "reader"), "belong together"),
        (("--tls-certificate", "/nowhere/c", "--tls-key", "/nowhere/k"), "/nowhere/c is no file"),
        (("--mlflow", "--api-keys", "keys.txt"), "knows nothing of --api-keys"),
        (("--mlflow", "--audit", "sqlite:///a.db"), "knows nothing of --audit"),
    ],
)
def test_a_mistake_ends_the_command_with_one_message(words: tuple[str, ...], message: str) -> None:
    finished = command(*words)
    assert finished.returncode == 1
    assert message in finished.stderr
    assert "Traceback" not in finished.stderr


def test_mlflows_server_wants_a_model_in_production(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'empty.db'}"
    finished = command("--mlflow", MLFLOW_TRACKING_URI=uri)
    assert finished.returncode == 1
    assert "skin-lesion promote VERSION" in finished.stderr


def test_the_command_makes_a_key_and_serves_whoever_holds_it_until_told_to_stop(
    registry: Registry, tmp_path: Path, pictures: list[bytes]
) -> None:
    key, line = re.findall(r"^  (\S+)$", command("--new-key", "ward-3").stdout, re.MULTILINE)
    keys = tmp_path / "keys"
    keys.write_text(line)
    registry.promote(1)
    audit = f"sqlite:///{tmp_path / 'audit.db'}"
    words = ["pipelines.cli", "serve", "--port", "0", "--api-keys", str(keys), "--audit", audit]
    words += ["--cache", str(tmp_path / "cache")]
    with running(words, registry, tmp_path) as (address, process):
        wait_for(lambda: is_ready(address))
        ask = f"{address}/v1/predict"
        assert httpx.post(ask, files=sent(pictures[0])).status_code == 401
        answer = httpx.post(ask, files=sent(pictures[0]), headers={"X-API-Key": key})
        assert answer.json()["predictions"][0]["status"] == "ok"
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    [row] = AuditLog.open(audit).rows()
    assert (row.user, row.role) == ("ward-3", "api-key")
    lines = [json.loads(each) for each in (tmp_path / "access.txt").read_text().splitlines()]
    assert [(each["status"], each["user"]) for each in lines if each["route"] == "/v1/predict"] == [
        (401, None),
        (200, "ward-3"),
    ]
    assert key not in (tmp_path / "log.txt").read_text() + (tmp_path / "access.txt").read_text()


def test_who_sends_too_slowly_or_leaves_takes_no_place_for_long(
    registry: Registry, tmp_path: Path, pictures: list[bytes]
) -> None:
    registry.promote(1)
    config = {"port": 0, "max_concurrent": 1, "upload_seconds": 1.0}
    with running(["app"], registry, tmp_path, SKIN_LESION_SERVE=json.dumps(config)) as (address, _):
        wait_for(lambda: is_ready(address))
        host, port = address.removeprefix("http://").split(":")
        begun = (
            f"POST /v1/predict HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: 1000\r\n"
            "Content-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\n"
        )
        with socket.create_connection((host, int(port))) as slow:
            slow.sendall(begun.encode())
            assert slow.recv(100).startswith(b"HTTP/1.1 408")
        with socket.create_connection((host, int(port))) as leaving:
            leaving.sendall(begun.encode())

        def is_answered() -> bool:
            answer = httpx.post(f"{address}/v1/predict", files=sent(pictures[0]))
            assert answer.status_code in (200, 503), answer.text
            return answer.status_code == 200

        wait_for(is_answered)
    lines = [json.loads(each) for each in (tmp_path / "access.txt").read_text().splitlines()]
    assert {408, 499, 200} <= {line["status"] for line in lines}
    assert "Traceback" not in (tmp_path / "log.txt").read_text()


@pytest.mark.slow
def test_promotions_under_load_fail_no_request_and_mix_no_answers(
    registry: Registry, tmp_path: Path, pictures: list[bytes]
) -> None:
    said = {
        version: [
            nested(answer)
            for picture in pictures[:4]
            for answer in Predictor(bundle, version=str(version)).predict([picture])
        ]
        for version, bundle in registry.bundles.items()
    }
    assert said[1] != said[2]
    registry.promote(1)
    config = {"port": 0, "max_concurrent": 200, "store": {"poll_seconds": 0.5}}
    environment = {"SKIN_LESION_SERVE": json.dumps(config)}
    with running(["app"], registry, tmp_path, **environment) as (address, _):
        wait_for(lambda: is_ready(address))
        answers = asyncio.run(under_load(address, pictures, registry))
    registry.promote(1)
    assert Counter(status for status, _ in answers) == {200: REQUESTS_A_SECOND * SECONDS}
    counted: Counter[int] = Counter()
    for _, answer in answers:
        version = answer["model"]["version"]
        counted[version] += 1
        got = [strip(each) for each in answer["predictions"]]
        assert got == said[version][: len(got)]
    assert counted.keys() == {1, 2}
    log = (tmp_path / "log.txt").read_text()
    assert log.count("serves, bundle") >= 3  # the first model, and at least two switches
    assert "refused" not in log


async def under_load(
    address: str, pictures: list[bytes], registry: Registry
) -> list[tuple[int | str, dict[str, Any]]]:
    """Send requests at a steady rate, whatever becomes of them, while the alias moves to and fro."""
    async with httpx.AsyncClient(timeout=120, limits=httpx.Limits(max_connections=200)) as client:

        async def ask(number: int) -> tuple[int | str, dict[str, Any]]:
            await asyncio.sleep(number / REQUESTS_A_SECOND)
            files = sent(*pictures[: 1 + number % 4])
            try:
                response = await client.post(f"{address}/v1/predict", files=files)
            except httpx.TransportError as error:
                return repr(error), {}
            return response.status_code, response.json()

        async def promote() -> None:
            for turn in range(4):
                await asyncio.sleep(SECONDS / 5)
                await asyncio.to_thread(registry.promote, 2 - turn % 2)

        promotions = asyncio.create_task(promote())
        answers = await asyncio.gather(*(ask(i) for i in range(REQUESTS_A_SECOND * SECONDS)))
        await promotions
        return list(answers)


def strip(answer: dict[str, Any]) -> dict[str, Any]:
    """What the table of predictions has."""
    return {k: v for k, v in answer.items() if k not in ("heat_map", "audit_id")}
