"""`skin-lesion dashboard`: what it refuses, and what it becomes."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from pipelines import commands
from pipelines.cli import main
from pipelines.commands import dashboard
from skin_lesion.settings import DashboardConfig

AUTH = '[auth]\nclient_id = "a"\n'


class Became(Exception):  # noqa: N818
    """This process would be another one now."""

    def __init__(self, words: list[str], environment: dict[str, str]) -> None:
        super().__init__(words)
        self.words, self.environment = words, environment

    def option(self, name: str) -> str:
        return self.words[self.words.index(f"--{name}") + 1]

    @property
    def config(self) -> dict[str, Any]:
        return dict(json.loads(self.environment["SKIN_LESION_DASHBOARD"]))


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command runs in another folder, and the project has no secrets."""

    def become(_: str, words: list[str], environment: dict[str, str]) -> None:
        raise Became(words, environment)

    monkeypatch.setattr(os, "execve", become)
    monkeypatch.setattr(dashboard, "_SECRETS", tmp_path / ".streamlit" / "secrets.toml")
    monkeypatch.chdir(tmp_path)


def started(*words: str) -> Became:
    with pytest.raises(Became) as found:
        main(["dashboard", *words])
    return found.value


def test_without_a_word_it_listens_on_this_machine_alone() -> None:
    server = started()
    script = commands.ROOT / "app" / "dashboard.py"
    assert server.words[:5] == [sys.executable, "-m", "streamlit", "run", str(script)]
    assert server.option("server.address") == "127.0.0.1"
    assert server.option("server.port") == "8501"
    assert "insecure" not in server.config
    assert "log_in" not in server.config
    assert server.environment["PYTHONPATH"].split(os.pathsep)[0] == str(commands.ROOT)


def test_what_is_said_reaches_the_dashboard(tmp_path: Path) -> None:
    server = started(
        *("--port", "9000", "--audit", "sqlite:////a/b.db", "--keep-pictures", "kept"),
        *("--role-claim", "realm_access.roles", "--clinician-role", "derm"),
        *("--engineer-role", "mlops", "--user-claim", "upn", "--user-claim", "sub"),
        *("--log-in-hours", "8", "--cache", "models"),
    )
    assert server.option("server.port") == "9000"
    config = DashboardConfig.model_validate(server.config)
    assert config.audit == "sqlite:////a/b.db"
    # The dashboard may work in another folder.
    assert config.keep_pictures == str(tmp_path / "kept")
    assert config.store.cache == str(tmp_path / "models")
    assert (config.role_claim, config.clinician_role) == ("realm_access.roles", "derm")
    assert (config.engineer_role, config.log_in_hours) == ("mlops", 8)
    assert config.user_claims == ("upn", "sub")


def test_the_server_takes_uploads_as_large_as_the_dashboard_reads() -> None:
    megabytes = int(started().option("server.maxUploadSize"))
    assert megabytes * 2**20 == DashboardConfig().max_file_bytes


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "lesions.example"])
def test_it_refuses_to_be_reached_from_elsewhere_without_a_log_in(
    host: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["dashboard", "--host", host]) != 0
    said = capsys.readouterr().err
    assert host in said
    assert "--secrets" in said
    assert "--insecure" in said


def test_insecure_has_to_be_said_and_is_passed_on() -> None:
    server = started("--host", "0.0.0.0", "--insecure")
    assert server.option("server.address") == "0.0.0.0"
    assert server.config["insecure"] is True


def test_with_a_log_in_it_may_be_reached_from_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(AUTH)
    server = started("--host", "0.0.0.0", "--secrets", "own.toml")
    assert server.option("secrets.files") == str(tmp_path / "own.toml")
    # Whatever becomes of the file: without a log-in nobody gets in.
    assert server.config["log_in"] is True


def test_the_projects_own_secrets_are_found_from_everywhere() -> None:
    dashboard._SECRETS.parent.mkdir()
    dashboard._SECRETS.write_text(AUTH)
    assert started("--host", "0.0.0.0").config["log_in"] is True
    dashboard._SECRETS.write_text("[database]\n")
    assert "log_in" not in started().config


@pytest.mark.parametrize(
    ("text", "words"), [("[database]\n", "no section [auth]"), ("[auth", "is no TOML")]
)
def test_secrets_that_configure_no_log_in_are_refused(
    tmp_path: Path, text: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own.toml").write_text(text)
    assert main(["dashboard", "--secrets", "own.toml"]) != 0
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--port", "0"], ["--port", "70000"], ["--log-in-hours", "-1"]])
def test_values_that_cannot_be_are_refused(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["dashboard", *words]) != 0
    assert words[1] in capsys.readouterr().err
