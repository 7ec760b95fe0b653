"""Who may come near, before anybody is asked who they are."""

from typing import Any

import pytest

from app.clinic.access import Entrance, entrance, is_foreign, is_local, providers

AUTH = {
    "redirect_uri": "https://lesions.example.org/oauth2callback",
    "cookie_secret": "c" * 64,
    "client_id": "dashboard",
    "client_secret": "s",
    "server_metadata_url": "https://login.example.org/.well-known/openid-configuration",
}
HERE = {"host": "127.0.0.1:8501"}


def made(
    auth: dict[str, Any] | None = None, address: str | None = "127.0.0.1", **said: bool
) -> Any:
    return entrance(auth, address, **{"insecure": False, "log_in": False} | said)


@pytest.mark.parametrize("host", ["127.0.0.1:8501", "localhost:8501", "[::1]:8501", "LOCALHOST"])
def test_without_a_log_in_this_machine_may_come_in(host: str) -> None:
    assert made().refuses({"host": host}, "127.0.0.1") is None


@pytest.mark.parametrize("peer", ["192.168.1.7", "2001:db8::1", None, "nonsense"])
def test_without_a_log_in_no_other_machine_may(peer: str | None) -> None:
    assert made().refuses(HERE, peer) == "elsewhere"


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "[::1", "0.0.0.0"])
def test_a_name_that_a_stranger_made_point_here_opens_nothing(host: str) -> None:
    assert made().refuses({"host": host}, "127.0.0.1") == "elsewhere"


@pytest.mark.parametrize(
    "header", ["x-forwarded-for", "forwarded", "x-real-ip", "x-forwarded-host", "via"]
)
def test_a_proxy_on_this_machine_lets_nobody_in_without_a_log_in(header: str) -> None:
    assert not is_local({**HERE, header: "127.0.0.1"}, "127.0.0.1")


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.168.1.7", None, "unix:///tmp/s", ""])
def test_listening_beyond_this_machine_without_a_log_in_lets_nobody_in(address: str | None) -> None:
    closed = made(address=address)
    assert closed.refuses(HERE, "127.0.0.1") == "address"
    assert "--insecure" in closed.detail


def test_whoever_says_insecure_opens_it_to_everybody() -> None:
    opened = made(address="0.0.0.0", insecure=True)
    assert opened.fault is None
    assert opened.refuses({"host": "lesions.example"}, "192.168.1.7") is None


def test_with_a_log_in_everybody_may_come_near() -> None:
    opened = made(AUTH, "0.0.0.0")
    assert opened == Entrance(providers=(None,))
    assert opened.refuses({"host": "lesions.example.org", "via": "proxy"}, "10.0.0.1") is None


@pytest.mark.parametrize(
    "changes",
    [
        {"client_secret": ""},
        {"client_id": None},
        {"server_metadata_url": None},
        {"server_metadata_url": "http://login.example.org/"},
        {"redirect_uri": "https://lesions.example.org/"},
        {"redirect_uri": "http://lesions.example.org/oauth2callback"},
        {"redirect_uri": None},
        {"cookie_secret": "short"},
        {"cookie_secret": None},
    ],
)
def test_a_log_in_that_is_configured_wrongly_opens_nothing(changes: dict[str, Any]) -> None:
    auth = {name: value for name, value in (AUTH | changes).items() if value is not None}
    closed = made(auth, "127.0.0.1", insecure=True)
    assert closed.fault == "log_in"
    assert closed.refuses(HERE, "127.0.0.1") == "log_in"
    assert AUTH["cookie_secret"] not in closed.detail


def test_an_empty_section_and_a_missing_one_that_is_asked_for_open_nothing() -> None:
    assert made({}).fault == "log_in"
    assert made(None, insecure=True, log_in=True).fault == "log_in"


def test_several_providers_are_known_by_their_names() -> None:
    shared = {name: AUTH[name] for name in ("redirect_uri", "cookie_secret")}
    one = {name: AUTH[name] for name in ("client_id", "client_secret", "server_metadata_url")}
    assert providers(shared | {"hospital": one, "university": one}) == ("hospital", "university")
    with pytest.raises(ValueError, match=r"auth\.university\.client_id"):
        providers(shared | {"hospital": one, "university": {**one, "client_id": ""}})
    with pytest.raises(ValueError, match="no provider"):
        providers(shared)


def test_how_a_provider_is_asked_is_no_provider() -> None:
    assert providers(AUTH | {"client_kwargs": {"prompt": "login"}}) == (None,)


def test_the_page_of_another_site_is_found_out() -> None:
    own = {"host": "a.example:8501", "origin": "http://A.example:8501"}
    assert not is_foreign(own)
    assert not is_foreign({"host": "a.example"})
    assert is_foreign(own | {"origin": "http://evil.example"})
    assert is_foreign(own | {"origin": "null"})
    assert is_foreign(own | {"origin": "http://[::1"})
    assert not is_foreign(own | {"origin": "http://b.example"}, ["http://b.example"])
