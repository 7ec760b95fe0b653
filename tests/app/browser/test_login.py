"""The log-in, with a provider on this machine: who comes in, who sees what, and who stays outside."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, expect

from tests.app.browser.conftest import Enter
from tests.app.browser.serving import Dashboard, Shop, free_port, running
from tests.app.browser.visitor import Visitor
from tests.app.dashboard.oidc_provider import Provider, running_provider


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with running_provider() as started:
        yield started


@pytest.fixture(scope="module")
def dashboard(browser: Browser, shop: Shop, provider: Provider) -> Iterator[Dashboard]:
    """Whoever wants to use it has to log in."""
    port = free_port()
    secrets = shop.folder / "secrets.toml"
    secrets.write_text(provider.secrets(f"http://127.0.0.1:{port}"))
    with running(shop, port=port, options=("--secrets.files", str(secrets))) as started:
        yield started


@pytest.fixture
def stranger(enter: Enter, provider: Provider) -> Visitor:
    """Somebody at the door."""
    person = enter()
    person.known.add(urlsplit(provider.url).netloc)
    return person.go()


def log_in(person: Visitor, user: str, role: str, answer: str = "accept") -> None:
    """Go through the provider's page."""
    page = person.page
    person.at("door_enter_default").get_by_role("button").click()
    page.fill("#user", user)
    page.fill("#role", role)
    page.click(f"#{answer}")
    page.wait_for_url(f"{person.dashboard.address}/**")
    person.settle()


def pages(person: Visitor) -> list[str]:
    """The pages that the side bar offers, once it stands."""
    links = person.page.get_by_test_id("stSidebarNav").get_by_role("link")
    expect(links.first).to_be_visible()
    # Before the name stands the icon, which is a word of its own until its font is there.
    return [text.strip().splitlines()[-1] for text in links.all_inner_texts()]


def test_a_stranger_sees_the_door_and_no_page(stranger: Visitor) -> None:
    expect(stranger.at("door_enter_default")).to_be_visible()
    stranger.sees(stranger.texts("frame.notice.title"))
    expect(stranger.page.get_by_test_id("stSidebarNav")).to_have_count(0)
    expect(stranger.page.locator("input[type=file]")).to_have_count(0)


def test_a_clinician_reads_pictures_and_sees_no_models(stranger: Visitor) -> None:
    log_in(stranger, "dr.perez@example.org", "clinician")
    stranger.sees("dr.perez@example.org")
    assert pages(stranger) == [
        stranger.texts(f"frame.pages.{page}") for page in ("read", "batch", "history", "evidence")
    ]
    stranger.page.goto(f"{stranger.dashboard.address}/registry")
    stranger.settle()
    stranger.sees(stranger.texts("registry.not_engineer"))
    expect(stranger.at("registry_promote")).to_have_count(0)
    assert stranger.texts("frame.pages.registry") not in pages(stranger)


def test_an_engineer_sees_the_models(stranger: Visitor) -> None:
    log_in(stranger, "ing.soto@example.org", "engineer,clinician")
    assert stranger.texts("frame.pages.registry") in pages(stranger)
    stranger.turn_to("registry")


def test_a_log_in_that_was_denied_says_so_and_lets_nobody_in(stranger: Visitor) -> None:
    log_in(stranger, "dr.perez@example.org", "clinician", answer="deny")
    stranger.sees(stranger.texts("door.failed"))
    expect(stranger.at("door_enter_default")).to_be_visible()
    stranger.sees_nothing_of_the_inside()


def test_a_provider_that_breaks_off_lets_nobody_in(
    stranger: Visitor, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider, "breaks_tokens", True)
    log_in(stranger, "dr.perez@example.org", "clinician")
    stranger.sees(stranger.texts("door.failed"))
    stranger.sees_nothing_of_the_inside()
    stranger.dashboard.troubles()  # the server logs what the provider did


def test_who_has_no_role_is_told_so_and_can_leave(stranger: Visitor) -> None:
    log_in(stranger, "nobody@example.org", "")
    stranger.sees(stranger.texts("door.no_role.title"))
    stranger.sees("nobody@example.org")
    expect(stranger.page.get_by_test_id("stSidebarNav")).to_have_count(0)
    stranger.at("door_leave").get_by_role("button").click()
    expect(stranger.at("door_enter_default")).to_be_visible()


def test_who_leaves_is_outside_after_a_reload_too(stranger: Visitor) -> None:
    log_in(stranger, "dr.perez@example.org", "clinician")
    # The page is a stranger's before the browser has given its cookie back.
    with stranger.page.expect_response(lambda answer: "/auth/logout" in answer.url):
        stranger.at("door_leave").get_by_role("button").click()
    stranger.page.wait_for_load_state()
    expect(stranger.at("door_enter_default")).to_be_visible()
    stranger.go("history")
    expect(stranger.at("door_enter_default")).to_be_visible()


def test_the_language_that_was_chosen_at_the_door_is_kept_inside(stranger: Visitor) -> None:
    stranger.speak("es")
    log_in(stranger, "dra.ibáñez@example.org", "clinician")
    stranger.sees(stranger.texts("frame.notice.title"))
    stranger.sees("dra.ibáñez@example.org")


def test_a_log_in_that_names_a_user_with_markup_shows_the_markup(stranger: Visitor) -> None:
    name = '<img src=x onerror="document.title=1">@example.org'
    log_in(stranger, name, "clinician")
    stranger.sees(name)
    expect(stranger.page).not_to_have_title("1")
