"""What all sessions share, and the language of one."""

import json
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit import config

from app import desk as shared
from app.once import once
from skin_lesion.settings import DashboardConfig


def test_many_sessions_at_once_make_one_thing() -> None:
    made = []
    barrier = threading.Barrier(8)

    @once()
    def thing() -> object:
        made.append(object())
        return made[-1]

    found = []

    def ask() -> None:
        barrier.wait()
        found.append(thing())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert set(found) == set(made)


def test_what_failed_is_tried_again_only_after_a_while() -> None:
    tries = []

    @once(patience=3600)
    def thing() -> str:
        tries.append(1)
        raise RuntimeError("no database")

    for _ in range(3):
        with pytest.raises(RuntimeError, match="no database"):
            thing()
    assert len(tries) == 1
    assert not thing.is_made
    thing.forget()
    with pytest.raises(RuntimeError):
        thing()
    assert len(tries) == 2


def test_what_failed_without_patience_is_tried_at_once() -> None:
    answers = iter([ValueError("not yet"), None])

    @once()
    def thing() -> str:
        if (error := next(answers)) is not None:
            raise error
        return "made"

    with pytest.raises(ValueError, match="not yet"):
        thing()
    assert thing() == "made"


@pytest.fixture
def fresh() -> Iterator[None]:
    shared.configuration.forget()
    yield
    shared.configuration.forget()


@pytest.mark.usefixtures("fresh")
def test_the_environment_configures_the_dashboard(monkeypatch: pytest.MonkeyPatch) -> None:
    said = {"log_in_hours": 2, "store": {"cache": "/somewhere"}}
    monkeypatch.setenv(shared.CONFIG_VARIABLE, json.dumps(said))
    assert shared.configuration() == DashboardConfig.model_validate(said)


@pytest.mark.usefixtures("fresh")
def test_without_a_word_models_are_kept_in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(shared.CONFIG_VARIABLE, raising=False)
    assert shared.configuration().store.cache == str(shared.ROOT / ".work" / "serving")


@pytest.fixture
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only file of secrets there is; it does not exist yet."""
    file = tmp_path / "secrets.toml"
    real = config.get_option

    def get_option(name: str) -> object:
        return [str(file)] if name == "secrets.files" else real(name)

    monkeypatch.setattr(st, "get_option", get_option)
    monkeypatch.setattr(config, "get_option", get_option)
    monkeypatch.setattr(st, "secrets", type(st.secrets)())
    return file


def test_no_secrets_configure_no_log_in(secrets: Path) -> None:
    assert not secrets.exists()
    assert shared._auth_section() is None


def test_secrets_of_other_things_configure_no_log_in(secrets: Path) -> None:
    secrets.write_text('[database]\npassword = "x"\n')
    assert shared._auth_section() is None


def test_the_section_auth_configures_a_log_in(secrets: Path) -> None:
    secrets.write_text('[auth]\nclient_id = "a"\n[auth.client_kwargs]\nscope = "openid"\n')
    assert shared._auth_section() == {"client_id": "a", "client_kwargs": {"scope": "openid"}}


@pytest.mark.parametrize("text", ["[auth\n", 'auth = "yes"\n', "\x00"])
def test_secrets_that_cannot_be_understood_are_not_passed_over(secrets: Path, text: str) -> None:
    secrets.write_text(text)
    assert shared._auth_section() == {}


def test_the_limits_of_the_server_are_those_of_the_configuration() -> None:
    file = Path(shared.__file__).parent / ".streamlit" / "config.toml"
    said = tomllib.loads(file.read_text(encoding="utf-8"))
    assert said["server"]["maxUploadSize"] * 2**20 == DashboardConfig().max_file_bytes
    assert said["server"]["address"] == "127.0.0.1"
    assert said["server"]["enableXsrfProtection"] is True
    assert said["server"]["enableCORS"] is True
    assert said["client"]["showErrorDetails"] == "none"
    assert said["browser"]["gatherUsageStats"] is False
