"""Who gets past the door, drawn by Streamlit."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from app import desk as shared
from app.clinic.access import Entrance
from app.widgets import door
from skin_lesion.settings import DashboardConfig
from skin_lesion.texts import Texts

TEXTS = Texts("en")
LOGIN = Entrance(providers=(None,))


def _script() -> None:
    import streamlit as st

    from app.widgets import door
    from skin_lesion.settings import DashboardConfig
    from skin_lesion.texts import Texts

    user = door.admit(DashboardConfig(), Texts("en"))
    st.write(f"in: {user.name} {user.role} {user.identified}")


class Visitor:
    """What Streamlit knows of who logged in."""

    def __init__(self, claims: Mapping[str, Any]) -> None:
        self._claims = dict(claims)
        self.is_logged_in = bool(claims)

    def to_dict(self) -> dict[str, Any]:
        return self._claims


Visit = Callable[..., AppTest]


@pytest.fixture
def visit(monkeypatch: pytest.MonkeyPatch) -> Visit:
    def make(
        entrance: Entrance,
        headers: Mapping[str, str] | None = None,
        peer: str | None = None,
        query: Mapping[str, str] | None = None,
        **claims: Any,
    ) -> AppTest:
        monkeypatch.setattr(shared, "entrance", lambda: entrance)
        monkeypatch.setattr(st, "user", Visitor(claims))
        context = type(st.context)
        monkeypatch.setattr(context, "headers", property(lambda _: headers or {}))
        monkeypatch.setattr(context, "ip_address", property(lambda _: peer))
        page = AppTest.from_function(_script, default_timeout=60)
        for name, value in (query or {}).items():
            page.query_params[name] = value
        return page.run()

    return make


def said(page: AppTest) -> str:
    assert not page.exception
    return "\n".join(e.value for e in [*page.title, *page.markdown, *page.error])


def test_without_a_log_in_whoever_sits_at_the_machine_has_every_role(visit: Visit) -> None:
    page = visit(Entrance(), {"Host": "localhost:8501"})
    assert said(page) == "in: local clinician+engineer False"


@pytest.mark.parametrize(
    ("headers", "peer"),
    [
        ({"Host": "evil.example"}, None),
        ({"Host": "localhost:8501"}, "192.168.1.7"),
        ({"Host": "localhost:8501", "X-Forwarded-For": "127.0.0.1"}, None),
    ],
)
def test_the_page_itself_turns_away_what_a_gate_would(
    visit: Visit, headers: dict[str, str], peer: str | None
) -> None:
    page = visit(Entrance(), headers, peer)
    assert TEXTS("door.refused.elsewhere") in said(page)
    assert "in:" not in said(page)


def test_a_dashboard_that_nobody_may_use_lets_nobody_in(visit: Visit) -> None:
    for headers in ({}, {"Host": "localhost:8501"}):
        page = visit(Entrance(fault="address"), headers)
        assert TEXTS("door.refused.address") in said(page)
        assert "in:" not in said(page)


def test_who_comes_from_elsewhere_without_a_log_in_reads_and_promotes_nothing(
    visit: Visit,
) -> None:
    page = visit(Entrance(insecure=True), {"Host": "lesions.example"}, "192.168.1.7")
    assert said(page) == "in: anonymous clinician False"


def test_who_did_not_log_in_is_asked_to(visit: Visit) -> None:
    page = visit(LOGIN)
    assert TEXTS("door.ask") in said(page)
    assert "in:" not in said(page)
    assert [button.label for button in page.button] == [TEXTS("door.enter")]


def test_every_provider_has_its_button(visit: Visit) -> None:
    page = visit(Entrance(providers=("hospital", "university")))
    assert [button.label for button in page.button] == [
        "Log in with hospital",
        "Log in with university",
    ]


def test_a_log_in_that_failed_is_said(visit: Visit) -> None:
    page = visit(LOGIN, query={"login": "failed"})
    assert TEXTS("door.failed") in said(page)
    assert "login" not in page.query_params
    assert TEXTS("door.failed") in said(page.run())  # and stays while the page is open
    assert TEXTS("door.failed") not in said(visit(LOGIN))


def test_who_logged_in_comes_in_as_what_they_are(visit: Visit) -> None:
    page = visit(LOGIN, email="a@b", roles=["engineer"], iat=time.time())
    assert said(page) == "in: a@b engineer True"


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ({"email": "a@b", "roles": ["cook"]}, TEXTS("door.no_role.text", user="a@b")),
        ({"email": "a@b"}, TEXTS("door.no_role.text", user="a@b")),
        ({"roles": ["clinician"]}, TEXTS("door.nameless")),
        ({"email": "a\nb", "roles": ["clinician"]}, TEXTS("door.nameless")),
        ({"email": "a@b", "roles": ["clinician"], "iat": None}, TEXTS("door.nameless")),
        ({"email": "a@b", "roles": ["clinician"], "iat": 1000}, TEXTS("door.over.text")),
    ],
)
def test_a_log_in_that_gives_no_right_to_be_here_can_only_be_left(
    visit: Visit, claims: dict[str, Any], words: str
) -> None:
    page = visit(LOGIN, **{"iat": time.time()} | claims)
    assert words in said(page)
    assert "in:" not in said(page)
    assert [button.key for button in page.button] == ["door_leave"]


def test_a_log_in_ends_while_the_page_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    state: dict[str, float] = {}
    monkeypatch.setattr(st, "session_state", state)
    assert not door.is_over()  # nobody logged in
    state["door_until"] = now + DashboardConfig().log_in_hours * 3600
    assert not door.is_over()
    state["door_until"] = now - 1
    assert door.is_over()
