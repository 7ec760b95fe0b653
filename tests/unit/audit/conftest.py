"""A log to write to, in every database that it can be kept in."""

import hashlib
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.pool import NullPool

from skin_lesion.audit import AuditLog, Entry
from skin_lesion.labels import LABELS
from skin_lesion.prediction import Prediction, Versions

POSTGRES_VARIABLE = "SKIN_LESION_TEST_POSTGRES"


def make_url_of_a_log(kind: str, folder: Path) -> Iterator[str]:
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'audit.db'}"
        return
    server = os.environ.get(POSTGRES_VARIABLE)
    if not server:
        pytest.skip(f"{POSTGRES_VARIABLE} is not set: URL of a PostgreSQL to make schemas in")
    engine = create_engine(
        make_url(server).set(drivername="postgresql+psycopg"), poolclass=NullPool
    )
    schema = f"audit_{uuid.uuid4().hex}"
    with engine.begin() as connection:
        connection.execute(text(f"CREATE SCHEMA {schema}"))
    url = make_url(server).update_query_dict({"options": f"-csearch_path={schema}"})
    yield url.render_as_string(hide_password=False)
    with engine.begin() as connection:
        connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Of a log that is not there yet."""
    yield from make_url_of_a_log(request.param, tmp_path)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The same in SQLite alone."""
    return f"sqlite:///{tmp_path / 'audit.db'}"


@pytest.fixture
def log(url: str) -> AuditLog:
    return AuditLog.open(url)


@pytest.fixture
def entry() -> Callable[..., Entry]:
    """Makes readings: of the picture `picture`, in which the model sees `label`."""

    def make(
        picture: bytes = b"picture", label: str | None = "nv", user: str = "ada", **more: object
    ) -> Entry:
        seen = label is not None
        answer = {
            "status": "ok" if seen else "cannot_assess",
            "reason": None if seen else "blurred",
            "probabilities": {code: 0.4 if code == label else 0.1 for code in LABELS}
            if seen
            else None,
            "prediction": label,
            "verdicts": {"melanoma 95 %": True, "malignant": False} if seen else None,
            "image_sha256": hashlib.sha256(picture).hexdigest(),
            "versions": Versions("b" * 64, "c" * 64, "3"),
        }
        return Entry(user, "dermatologist", Prediction(**(answer | more)))  # type: ignore[arg-type]

    return make


@pytest.fixture
def meddle(url: str) -> Callable[..., None]:
    """Runs SQL as somebody who may do everything, past the fences unless told to stay before them."""

    def run(*statements: str, past_fences: bool = True) -> None:
        parsed = make_url(url)
        sqlite = parsed.get_backend_name() == "sqlite"
        if not sqlite:
            parsed = parsed.set(drivername="postgresql+psycopg")
        engine = create_engine(parsed, poolclass=NullPool)
        fences: Sequence[tuple[str, str]] = ()
        with engine.begin() as connection:
            if past_fences and sqlite:
                fences = [
                    (name, definition)
                    for name, definition in connection.execute(
                        text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
                    )
                ]
                for name, _ in fences:
                    connection.execute(text(f"DROP TRIGGER {name}"))
            elif past_fences:
                connection.execute(text("ALTER TABLE audit_log DISABLE TRIGGER ALL"))
            for statement in statements:
                connection.execute(text(statement))
            for _, definition in fences:
                connection.exec_driver_sql(definition)
            if past_fences and not sqlite:
                connection.execute(text("ALTER TABLE audit_log ENABLE TRIGGER ALL"))

    return run


@pytest.fixture
def start(root: Path) -> Callable[..., subprocess.Popen[str]]:
    """Starts a process that runs `_WRITER` below."""

    def run(url: str, name: str, count: int) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", _WRITER, url, name, str(count)],
            cwd=root,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return run


# Opens the log once a line comes in, so that all begin together, and says the id of each row as soon
# as it is told that the row is safe.
_WRITER = """
import hashlib, sys
from skin_lesion.audit import AuditLog, Entry
from skin_lesion.prediction import Prediction, Versions
url, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
log = AuditLog.open(url)
for number in range(count):
    digest = hashlib.sha256(f"{name} {number}".encode()).hexdigest()
    answer = Prediction("ok", prediction="nv", probabilities={"nv": 1.0}, image_sha256=digest,
                        versions=Versions("b" * 64, "c" * 64, "3"))
    print(log.record(Entry(name, "test", answer)).id, flush=True)
"""
