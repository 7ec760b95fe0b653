"""What surrounds every request: who is turned away, and headers that browsers obey."""

import base64
import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from app import desk as shared
from app.clinic.access import Entrance
from app.gate import Gate, content_security_policy, language_script
from skin_lesion.settings import DashboardConfig
from skin_lesion.texts import LANGUAGES

LOCAL = "http://127.0.0.1:8501"
SOCKET = "ws://127.0.0.1:8501/_stcore/stream"
OPEN = Entrance()
LOGIN = Entrance(providers=(None,))
USER_COOKIE = "_streamlit_user=signed; HttpOnly; Max-Age=2592000; Path=/; SameSite=lax"

Ask = Callable[..., TestClient]


async def _page(_: Request) -> Response:
    return PlainTextResponse("the page")


async def _login(request: Request) -> Response:
    return PlainTextResponse("Authentication error", 400 if "down" in request.query_params else 200)


async def _callback(request: Request) -> Response:
    answer = RedirectResponse("/", 302)
    if request.query_params.get("code") == "good":
        answer.headers.append("set-cookie", USER_COOKIE)
    elif request.query_params.get("code") == "broken":
        answer.headers.append("set-cookie", '_streamlit_user=""; Max-Age=0; Path=/')
    return answer


async def _socket(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text("in")
    await websocket.close()


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Ask:
    def make(
        entrance: Entrance = OPEN, address: str = LOCAL, peer: str = "127.0.0.1"
    ) -> TestClient:
        monkeypatch.setattr(shared, "entrance", lambda: entrance)
        monkeypatch.setattr(shared, "configuration", lambda: DashboardConfig(log_in_hours=2))
        routes = [
            Route("/", _page),
            Route("/media/x.jpg", _page),
            Route("/auth/login", _login),
            Route("/_stcore/metrics", _page),
            Route("/oauth2callback", _callback),
            WebSocketRoute("/_stcore/stream", _socket),
        ]
        return TestClient(
            Gate(Starlette(routes=routes)),
            base_url=address,
            client=(peer, 50000),
            follow_redirects=False,
        )

    return make


@pytest.mark.parametrize(
    ("entrance", "peer", "words"),
    [
        (OPEN, "192.168.1.7", "answers its own machine alone"),
        (Entrance(fault="address"), "127.0.0.1", "nobody would have to log in"),
        (Entrance(fault="log_in"), "127.0.0.1", "not configured as it should be"),
    ],
)
def test_who_may_not_come_near_reads_why_and_gets_nothing_else(
    ask: Ask, entrance: Entrance, peer: str, words: str
) -> None:
    client = ask(entrance, peer=peer)
    answer = client.get("/")
    assert answer.status_code == 403
    assert words in answer.text
    assert "the page" not in answer.text
    with pytest.raises(WebSocketDisconnect), client.websocket_connect(SOCKET):
        pass


def test_a_refusal_speaks_the_language_of_the_browser(ask: Ask) -> None:
    client = ask(Entrance(fault="address"))
    said = client.get("/", headers={"accept-language": "de, es-MX;q=0.8, en;q=0.5"})
    assert '<html lang="es">' in said.text
    assert '<html lang="en">' in client.get("/", headers={"accept-language": "tlh"}).text


def test_who_may_come_in_gets_page_and_socket(ask: Ask) -> None:
    client = ask()
    assert client.get("/").text == "the page"
    with client.websocket_connect(SOCKET) as socket:
        assert socket.receive_text() == "in"


def test_the_page_of_another_site_opens_no_socket(ask: Ask) -> None:
    client = ask(LOGIN)
    headers = {"origin": "http://evil.example"}
    with (
        pytest.raises(WebSocketDisconnect),
        client.websocket_connect(SOCKET, headers=headers),
    ):
        pass
    assert client.get("/", headers=headers).status_code == 403


def test_every_answer_bears_the_headers_refusals_too(ask: Ask) -> None:
    for client in (ask(), ask(Entrance(fault="address"))):
        headers = client.get("/").headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["content-security-policy"] == content_security_policy()
        assert "strict-transport-security" not in headers


def test_pages_may_load_nothing_from_elsewhere_and_run_no_script_that_is_unknown() -> None:
    rules: dict[str, list[str]] = {}
    for rule in content_security_policy().split("; "):
        name, *sources = rule.split(" ")
        rules[name] = sources
    assert rules["default-src"] == ["'none'"]
    assert not [source for sources in rules.values() for source in sources if "." in source]
    assert not {"'unsafe-inline'", "'unsafe-eval'", "data:"} & set(rules["script-src"])
    for language in LANGUAGES:
        digest = hashlib.sha256(language_script(language).encode()).digest()
        assert f"'sha256-{base64.b64encode(digest).decode()}'" in rules["script-src"]


def test_the_policy_knows_every_script_that_stands_in_streamlits_own_page() -> None:
    index = (Path(st.__file__).parent / "static" / "index.html").read_text(encoding="utf-8")
    scripts = re.findall(r"<script([^>]*)>(.*?)</script>", index, re.DOTALL)
    assert scripts
    for attributes, script in scripts:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert "src=" in attributes or f"'sha256-{digest}'" in content_security_policy()


def test_pictures_stay_in_no_cache(ask: Ask) -> None:
    assert ask().get("/media/x.jpg").headers["cache-control"] == "no-store"
    assert "cache-control" not in ask().get("/").headers


def test_behind_tls_browsers_are_told_to_stay_there_and_cookies_travel_there_alone(
    ask: Ask,
) -> None:
    client = ask(LOGIN, "https://lesions.example")
    assert "max-age" in client.get("/").headers["strict-transport-security"]
    cookies = client.get("/oauth2callback?code=good").headers.get_list("set-cookie")
    assert all("; Secure" in cookie for cookie in cookies)
    plain = ask(LOGIN).get("/oauth2callback?code=good").headers["set-cookie"]
    assert "Secure" not in plain


def test_the_cookie_of_a_log_in_lasts_no_longer_than_the_log_in(ask: Ask) -> None:
    cookie = ask(LOGIN).get("/oauth2callback?code=good").headers["set-cookie"]
    assert cookie == USER_COOKIE.replace("2592000", "7200")


@pytest.mark.parametrize("query", ["error=access_denied", "code=broken", "code=replayed&state=x"])
def test_a_log_in_that_came_to_nothing_is_told_to_the_page(ask: Ask, query: str) -> None:
    assert ask(LOGIN).get(f"/oauth2callback?{query}").headers["location"] == "/?login=failed"


def test_a_log_in_that_succeeded_and_a_log_out_are_no_failures(ask: Ask) -> None:
    client = ask(LOGIN)
    assert client.get("/oauth2callback?code=good").headers["location"] == "/"
    assert client.get("/oauth2callback").headers["location"] == "/"


def test_the_language_of_the_page_survives_a_log_in(ask: Ask) -> None:
    client = ask(LOGIN)
    client.get("/auth/login", headers={"referer": f"{LOCAL}/history?lang=es"})
    assert client.get("/oauth2callback?code=good").headers["location"] == "/?lang=es"
    failed = client.get("/oauth2callback?error=denied").headers["location"]
    assert failed == "/?lang=es&login=failed"


@pytest.mark.parametrize("language", ["fr", "es%0d%0aSet-Cookie: a=b", "", "es&lang=en"])
def test_only_a_language_of_ours_is_remembered(ask: Ask, language: str) -> None:
    answer: Any = ask(LOGIN).get("/auth/login", headers={"referer": f"{LOCAL}/?lang={language}"})
    cookies = answer.headers.get_list("set-cookie")
    assert not cookies or (language.startswith("es&") and "sl_language=es;" in cookies[0])


@pytest.mark.parametrize("name", ["a/b", "a(b)", "{x}", ""])
def test_cookies_of_others_on_this_host_disturb_no_log_in(ask: Ask, name: str) -> None:
    headers = {"cookie": f"{name}=1; sl_language=es; a[b]=2"}
    answer = ask(LOGIN).get("/oauth2callback?code=good", headers=headers)
    assert answer.headers["location"] == "/?lang=es"


@pytest.mark.parametrize("header", ["referer", "origin", "cookie"])
def test_headers_that_are_nonsense_break_nothing(ask: Ask, header: str) -> None:
    for path in ("/", "/auth/login", "/oauth2callback?code=good"):
        answer = ask(LOGIN).get(path, headers={header: "http://[::1"})
        assert answer.status_code in (200, 302, 403)


def test_a_provider_that_does_not_answer_leaves_nobody_before_a_bare_error(ask: Ask) -> None:
    client = ask(LOGIN)
    answer = client.get("/auth/login?down", headers={"referer": f"{LOCAL}/history?lang=es"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/?lang=es&login=failed")
    assert client.get("/auth/login?down").headers["location"] == "/?login=failed"
    assert client.get("/auth/login").status_code == 200


def test_how_many_people_are_in_is_told_to_this_machine_alone(ask: Ask) -> None:
    assert ask(LOGIN).get("/_stcore/metrics").status_code == 200
    for client, headers in (
        (ask(LOGIN, "https://lesions.example", "10.0.0.7"), {}),
        (ask(LOGIN), {"x-forwarded-for": "10.0.0.7"}),
    ):
        assert client.get("/_stcore/metrics", headers=headers).status_code == 404
        assert client.get("/", headers=headers).status_code == 200
