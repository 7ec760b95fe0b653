"""A service that is down, refuses or is damaged ends a command in one line, and not in a traceback."""

import http.server
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest
import requests

from pipelines import cli
from pipelines.cli import main
from pipelines.failures import explain
from skin_lesion.patience import be_quick
from skin_lesion.registry import open_bundle
from skin_lesion.tracking import without_password
from skin_lesion.tracking_evaluation import logged_predictions

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    before = mlflow.get_tracking_uri()
    yield
    mlflow.set_tracking_uri(before)


@pytest.fixture
def closed() -> str:
    """Address of a port that nobody listens on."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{bound.getsockname()[1]}"


@pytest.fixture
def guarded() -> Iterator[str]:
    """Address of a server that lets nobody in."""

    class Refusing(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(401)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def command(uri: str, *words: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What a command says at its end, whose registry is there."""
    mlflow.set_tracking_uri(uri)
    assert main(words) == 1
    shown = capsys.readouterr()
    assert "Traceback" not in shown.err
    return shown.err.splitlines()[-1]


@pytest.mark.parametrize(
    "words",
    [
        ["promote", "1"],
        ["rollback"],
        ["status", "--quick"],
        ["compare", "1", "2"],
        ["verify", "1"],
        ["predict", "a.png"],
    ],
    ids=lambda words: words[0],
)
def test_a_server_that_is_down_is_named_with_what_to_do(
    closed: str, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    line = command(closed, *words, capsys=capsys)
    assert line.startswith(f"skin-lesion {words[0]}: MLflow at {closed} does not answer: ")
    assert "Connection refused" in line
    assert line.endswith("see that it runs, and that MLFLOW_TRACKING_URI names the right one")


def test_a_server_that_lets_nobody_in_is_named_with_how_to_get_in(
    guarded: str, capsys: pytest.CaptureFixture[str]
) -> None:
    line = command(guarded, "promote", "1", capsys=capsys)
    assert f"MLflow at {guarded} failed: " in line
    assert "401" in line
    assert "MLFLOW_TRACKING_USERNAME" in line


def test_a_file_that_is_no_database_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mlflow.db").write_text("this is no database" * 100)
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    line = command(uri, "promote", "1", capsys=capsys)
    assert uri in line
    assert "file is not a database" in line


def test_an_address_of_no_known_kind_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    line = command("ftp://somewhere", "promote", "1", capsys=capsys)
    assert "MLflow at ftp://somewhere failed: " in line


def test_no_password_is_shown(closed: str, capsys: pytest.CaptureFixture[str]) -> None:
    uri = closed.replace("//", "//ann:secret@")
    assert "secret" not in command(uri, "promote", "1", capsys=capsys)
    assert without_password("postgresql://ann:secret@db/mlflow") == "postgresql://ann:***@db/mlflow"
    for uri in ("databricks", "./mlruns", "sqlite:////a/b.db", "http://127.0.0.1:5000"):
        assert without_password(uri) == uri


def test_a_database_without_its_driver_is_told_in_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    line = command("postgresql://ann:secret@127.0.0.1:1/mlflow", "status", capsys=capsys)
    assert "the driver psycopg2 of a database" in line
    assert "postgresql+psycopg://" in line
    assert "secret" not in line


def test_a_server_that_is_down_is_not_taken_for_a_model_that_is_not_there(
    closed: str, tmp_path: Path
) -> None:
    mlflow.set_tracking_uri(closed)
    for ask in (lambda: open_bundle("1", tmp_path), lambda: logged_predictions("0" * 32)):
        with pytest.raises(mlflow.MlflowException, match="Connection refused"):
            ask()


def test_zenml_that_is_down_is_told_from_any_other_server(
    closed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from zenml.config.global_config import GlobalConfiguration

    class Store:
        url = closed

    monkeypatch.setattr(GlobalConfiguration, "store_configuration", property(lambda _: Store))
    with pytest.raises(requests.ConnectionError) as raised:
        requests.get(f"{closed}/api/v1/info", timeout=5)
    wrapped = RuntimeError(f"Error connecting to URL '{closed}'")
    wrapped.__cause__ = raised.value
    told = explain(wrapped)
    assert told is not None
    assert told.startswith(f"ZenML at {closed} does not answer: [Errno 111]")
    Store.url = "http://another.example"
    assert explain(wrapped) is None


def test_an_error_of_our_own_is_nobody_elses() -> None:
    assert explain(ValueError("a mistake")) is None


def test_a_mistake_in_the_program_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> int:
        raise AssertionError("a mistake")

    module = cli.load("results")
    monkeypatch.setattr(module, "run", broken)
    with pytest.raises(AssertionError, match="a mistake"):
        main(["results"])


def test_whoever_interrupts_a_command_sees_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.load("results"), "run", interrupted)
    assert main(["results"]) == 130
    assert capsys.readouterr().err == ""


def test_a_server_that_is_down_is_found_out_within_seconds_unless_the_user_is_patient() -> None:
    environment = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "5"}
    be_quick(environment)
    assert environment["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "5"
    assert int(environment["MLFLOW_HTTP_REQUEST_TIMEOUT"]) < 120


def test_what_is_not_activated_is_told_the_same_as_what_is() -> None:
    """Without `activate.sh`, MLflow would report how it is used, and unpickle what it is given."""
    environment: dict[str, str] = {}
    cli._use_local_configuration(environment)
    exported = dict(
        re.findall(r"^export (\w+)=\"?([^\"\n]*)\"?$", (ROOT / "activate.sh").read_text(), re.M)
    )
    assert environment.keys() <= exported.keys()
    for name, value in environment.items():
        assert value == exported[name].replace("$SKIN_LESION_ROOT", str(ROOT)), name
    assert {"MLFLOW_DISABLE_TELEMETRY", "MLFLOW_ALLOW_PICKLE_DESERIALIZATION"} <= environment.keys()
