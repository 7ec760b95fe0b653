"""What stands on every page: the notice, the banner, the language, and room for all of it."""

import pytest
from playwright.sync_api import expect

from skin_lesion.texts import LANGUAGES, Texts
from tests.app.browser.album import Album
from tests.app.browser.conftest import Enter
from tests.app.browser.visitor import Visitor

PAGES = ("", "batch", "history", "evidence", "registry")
SCREENS = ((1366, 768), (1024, 768), (768, 1024))


@pytest.mark.parametrize(("locale", "language"), [("en-GB", "en"), ("es-MX", "es"), ("de", "en")])
def test_the_browser_decides_the_language_at_first(
    enter: Enter, locale: str, language: str
) -> None:
    person = enter(locale).go()
    expect(person.page.locator(".sl-notice")).to_contain_text(
        Texts(language)("frame.notice.title")  # type: ignore[arg-type]
    )


def test_the_chosen_language_stays_on_every_page_and_after_a_reload(enter: Enter) -> None:
    person = enter("en-GB").go().speak("es")
    person.turn_to("evidence")
    person.sees(Texts("es")("frame.notice.title"))
    person.page.reload()
    person.settle()
    person.sees(Texts("es")("frame.notice.title"))
    expect(person.page.locator("html")).to_have_attribute("lang", "es")


@pytest.mark.parametrize("page", PAGES)
def test_the_notice_is_in_view_wherever_one_scrolls(enter: Enter, page: str) -> None:
    person = enter().go(page)
    person.page.mouse.move(683, 500)
    for _ in range(6):
        person.page.mouse.wheel(0, 4000)
        person.page.wait_for_timeout(60)
    expect(person.page.locator(".sl-notice")).to_be_in_viewport(ratio=0.99)


@pytest.mark.parametrize("page", PAGES)
def test_a_model_of_drawn_pictures_is_announced_on_every_page(enter: Enter, page: str) -> None:
    person = enter().go(page)
    banner = person.page.locator(".sl-synthetic")
    expect(banner).to_be_in_viewport(ratio=0.99)
    expect(banner).to_contain_text(person.texts("frame.synthetic.title"))


@pytest.mark.parametrize("screen", SCREENS, ids=lambda screen: f"{screen[0]}x{screen[1]}")
@pytest.mark.parametrize("language", LANGUAGES)
def test_no_page_is_wider_than_the_screen(
    enter: Enter, album: Album, screen: tuple[int, int], language: str
) -> None:
    viewport = {"width": screen[0], "height": screen[1]}
    person = enter(language, viewport=viewport).go()
    person.give(album.lesion(1))  # which the page of one's own readings then shows, too
    assert beyond_the_right_edge(person) == []
    for page in PAGES:
        person.go(page)
        assert beyond_the_right_edge(person) == []


def beyond_the_right_edge(person: Visitor) -> list[str]:
    """Whatever makes the page scroll sideways; a table may scroll within its own frame."""
    return person.page.evaluate(
        """() => {
          const scroller = document.querySelector('[data-testid="stMain"]');
          const roots = [document.scrollingElement, scroller];
          return roots.filter(r => r && r.scrollWidth > r.clientWidth + 1)
            .map(r => `${r.tagName} ${r.dataset.testid || ''} ${r.scrollWidth} > ${r.clientWidth}`);
        }"""
    )
