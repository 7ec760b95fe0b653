"""What stands on every page, drawn by Streamlit."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from app import desk as shared
from app.clinic.users import LOCAL
from app.desk import Desk
from app.gate import content_security_policy
from app.model_store import Refusal, StoreState
from app.widgets import frame
from skin_lesion.audit import AuditError
from skin_lesion.settings import DashboardConfig
from skin_lesion.texts import LANGUAGES, Texts
from tests.app.dashboard.made import made_served

TEXTS = Texts("en")
LOOKED = datetime(2026, 11, 25, tzinfo=UTC)
REFUSAL = Refusal(4, "b" * 64, "it failed its first trial", LOOKED)


class Store:
    """A store that stands where a test wants it."""

    state_now = StoreState()

    def state(self) -> StoreState:
        return self.state_now


@pytest.fixture
def store() -> Store:
    return Store()


Draw = Callable[..., AppTest]


def _script(desk):  # type: ignore[no-untyped-def]
    from app.widgets import frame

    frame.open_page(desk.texts)
    frame.surround(desk)


@pytest.fixture
def draw(store: Store) -> Draw:
    def make(state: StoreState, **config: Any) -> AppTest:
        store.state_now = state
        desk = Desk(DashboardConfig(**config), TEXTS, LOCAL, store, None)  # type: ignore[arg-type]
        return AppTest.from_function(_script, args=(desk,), default_timeout=60).run()

    return make


def said(page: AppTest) -> str:
    assert not page.exception
    alerts = [*page.error, *page.warning, *page.info]
    html = [each.proto.body for each in page.get("html")]  # type: ignore[attr-defined]
    return "\n".join([*(alert.value for alert in alerts), *html])


def test_the_notice_stands_on_every_page(draw: Draw) -> None:
    page = said(draw(StoreState()))
    assert TEXTS("frame.notice.title") in page
    assert TEXTS("frame.notice.text") in page


def test_a_model_of_drawn_pictures_is_announced_and_no_other(draw: Draw) -> None:
    drawn = said(draw(StoreState(made_served(synthetic_only=True), LOOKED)))
    assert TEXTS("frame.synthetic.title") in drawn
    assert TEXTS("frame.synthetic.title") not in said(draw(StoreState(made_served(), LOOKED)))


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (StoreState(), TEXTS("frame.none.asking")),
        (StoreState(looked_at=LOOKED), TEXTS("frame.none.production")),
        (StoreState(looked_at=LOOKED, loading=3), TEXTS("frame.none.loading", version=3)),
        (StoreState(reachable=False), TEXTS("frame.none.unreachable")),
        (StoreState(looked_at=LOOKED, refusal=REFUSAL), TEXTS("frame.none.refused", version=4)),
    ],
)
def test_where_no_model_answers_the_page_says_why_and_what_to_do(
    draw: Draw, state: StoreState, words: str
) -> None:
    assert words in said(draw(state))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"refusal": REFUSAL}, TEXTS("frame.problem.refused", version=4)),
        ({"reachable": False}, TEXTS("frame.problem.unreachable", version=None)),
    ],
)
def test_a_model_that_goes_on_although_something_is_wrong_says_so(
    draw: Draw, changes: dict[str, Any], words: str
) -> None:
    well = StoreState(made_served(), LOOKED)
    assert words not in said(draw(well))
    assert words in said(draw(replace(well, **changes)))


def test_another_model_that_takes_over_is_announced_once_and_for_a_while(
    draw: Draw, store: Store
) -> None:
    page = draw(StoreState(made_served(3), LOOKED))
    words = TEXTS("frame.taken_over", version=4)
    assert not page.toast
    store.state_now = StoreState(made_served(4), LOOKED)
    page.run()
    assert [toast.value for toast in page.toast] == [words]
    assert words in said(page)
    page.run()
    assert not page.toast
    assert words in said(page)
    store.state_now = StoreState(made_served(5), LOOKED)
    assert words not in said(page.run())


def test_an_announcement_ends(draw: Draw, store: Store) -> None:
    page = draw(StoreState(made_served(3), LOOKED), announced_seconds=0.0)
    store.state_now = StoreState(made_served(4), LOOKED)
    page.run()
    assert page.toast
    assert TEXTS("frame.taken_over", version=4) not in said(page)


def test_the_badge_names_the_model_that_answers(draw: Draw) -> None:
    assert "Model version 3" in said(draw(StoreState(made_served(3), LOOKED)))
    assert TEXTS("frame.badge.none") in said(draw(StoreState(looked_at=LOOKED)))
    assert TEXTS("frame.badge.loading") in said(draw(StoreState(looked_at=LOOKED, loading=1)))


def test_the_page_tells_its_language_by_a_script_that_its_policy_knows(draw: Draw) -> None:
    assert 'document.documentElement.lang = "en"' in said(draw(StoreState()))
    assert "'sha256-" in content_security_policy()


def _switch() -> None:
    import streamlit as st

    from app import desk as shared
    from app.widgets import frame
    from skin_lesion.texts import Texts

    frame.open_page(Texts(shared.language()))
    st.write(shared.language())


def language_of(page: AppTest) -> str:
    assert not page.exception
    return str(page.markdown[-1].value)


@pytest.mark.parametrize(
    ("locale", "expected"), [("es-MX", "es"), ("en-GB", "en"), ("de", "en"), (None, "en")]
)
def test_the_browser_chooses_the_language_until_its_user_does(
    monkeypatch: pytest.MonkeyPatch, locale: str | None, expected: str
) -> None:
    monkeypatch.setattr(type(st.context), "locale", property(lambda _: locale))
    page = AppTest.from_function(_switch, default_timeout=60).run()
    assert language_of(page) == expected
    assert "lang" not in page.query_params
    other = next(language for language in LANGUAGES if language != expected)
    page.button_group(key="frame_language").set_value(other).run()
    assert language_of(page) == other
    assert page.query_params["lang"] == other


def test_the_address_keeps_the_language_over_a_reload_and_between_pages() -> None:
    page = AppTest.from_function(_switch, default_timeout=60)
    page.query_params["lang"] = "es"
    assert language_of(page.run()) == "es"
    del page.query_params["lang"]  # as Streamlit does between two pages
    assert language_of(page.run()) == "es"
    assert page.query_params["lang"] == "es"


@pytest.mark.parametrize("said", ["fr", "", "ES", "<script>"])
def test_an_address_with_another_language_changes_nothing(said: str) -> None:
    page = AppTest.from_function(_switch, default_timeout=60)
    page.query_params["lang"] = said
    assert language_of(page.run()) == "en"


def _log() -> None:
    import streamlit as st

    from app.widgets import frame
    from skin_lesion.texts import Texts

    frame.audit_log(Texts("en"))
    st.write("went on")


def test_without_the_audit_log_the_page_ends_with_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> None:
        raise AuditError("the audit log at sqlite:////a/secret/path cannot be read")

    monkeypatch.setattr(shared, "audit_log", fails)
    page = AppTest.from_function(_log, default_timeout=60).run()
    assert [error.value for error in page.error] == [TEXTS("frame.audit.text")]
    assert not page.markdown
    assert not page.exception


def test_every_area_brings_its_sheet_and_the_frames_own_comes_first() -> None:
    style = frame._style()
    sheets = sorted(frame._STATIC.glob("*.css"))
    assert len(sheets) > 1
    assert all(sheet.read_text(encoding="utf-8") in style for sheet in sheets)
    assert style.startswith((frame._STATIC / "dashboard.css").read_text(encoding="utf-8"))
