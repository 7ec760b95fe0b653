"""Somebody who sits before a browser, and what a page must never do to them."""

import contextlib
import re
from base64 import b64encode
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

from skin_lesion.texts import Language, Texts, best_language
from tests.app.browser.album import File
from tests.app.browser.serving import Dashboard

SCREEN = {"width": 1366, "height": 768}
PATIENCE_MS = 30_000
_MOMENT_MS = 200
_TRIES, _A_TRY_MS = 4, 5_000
# What a stack trace, or the inside of this software, looks like to a user.
_INSIDE = re.compile(r"Traceback|site-packages|\.py\b|sqlite:/|/(?:tmp|home|root|usr|work|var)/")


@dataclass
class Visitor:
    """One browser window of one person.

    Attributes:
        page: The window.
        dashboard: What it shows.
        texts: The words that the person reads.
        complaints: What the browser complained of, and requests to other machines.
        known: Hosts that may be asked, beside the dashboard's own.
    """

    page: Page
    dashboard: Dashboard
    texts: Texts
    complaints: list[str] = field(default_factory=list)
    known: set[str] = field(default_factory=set)

    def go(self, page: str = "") -> "Visitor":
        """Open a page by its address, and wait until it stands."""
        self.page.goto(f"{self.dashboard.address}/{page}")
        return self.settle()

    def turn_to(self, page: str) -> "Visitor":
        """Go to a page by the side bar, within the same session."""
        name = self.texts(f"frame.pages.{page}")
        link = self.page.get_by_test_id("stSidebarNav").get_by_role("link", name=name, exact=False)
        link.click()
        expect(self.page.get_by_role("heading", level=1, name=name)).to_be_visible()
        return self.settle()

    def settle(self) -> "Visitor":
        """Wait until nothing more is being drawn."""
        # What was just done reaches the server a moment later.
        self.page.wait_for_timeout(_MOMENT_MS)
        self.page.wait_for_selector(
            '[data-testid="stApp"][data-test-script-state="notRunning"]', state="attached"
        )
        expect(self.page.get_by_test_id("stSkeleton")).to_have_count(0)
        # An element that waits for the run to replace it is greyed out.
        expect(self.page.locator('[data-stale="true"]')).to_have_count(0)
        return self

    def speak(self, language: Language) -> "Visitor":
        """Choose a language by the switch."""
        other = Texts(language)
        self.at("frame_language").get_by_role("radio", name=other("frame.language_name")).click()
        expect(self.page.locator(".sl-notice")).to_contain_text(other("frame.notice.title"))
        self.texts = other
        return self.settle()

    def give(self, *files: File) -> "Visitor":
        """Choose files where this page takes them, and wait for the answers."""
        self.page.locator("input[type=file]").set_input_files([file.upload() for file in files])
        return self.settle()

    def drop(self, *files: File) -> "Visitor":
        """Drag files onto the place where this page takes them."""
        said = [{**file.upload(), "buffer": b64encode(file.data).decode()} for file in files]
        transfer = self.page.evaluate_handle(
            """files => {
              const transfer = new DataTransfer();
              for (const file of files) {
                const bytes = Uint8Array.from(atob(file.buffer), c => c.charCodeAt(0));
                transfer.items.add(new File([bytes], file.name, { type: file.mimeType }));
              }
              return transfer;
            }""",
            said,
        )
        zone = self.page.get_by_test_id("stFileUploaderDropzone")
        for event in ("dragenter", "dragover", "drop"):
            zone.dispatch_event(event, {"dataTransfer": transfer})
        return self.settle()

    def choose(self, key: str, option: str | re.Pattern[str]) -> "Visitor":
        """Take an option of a select box."""
        offered = self.page.get_by_role("option", name=option, exact=True)
        for _ in range(_TRIES):
            self.options(key)
            # The page may be drawn anew in this moment, which closes the list again.
            with contextlib.suppress(PlaywrightTimeoutError):
                offered.click(timeout=_A_TRY_MS)
                return self.settle()
        raise AssertionError(f"{key} offers no {option!r}, but {self.options(key)}")

    def options(self, key: str) -> list[str]:
        """Open a select box, and read what it offers."""
        box = self.at(key).get_by_role("combobox")
        offered = self.page.get_by_role("option")
        for _ in range(_TRIES):
            if not offered.count():
                # It closes again where opening it makes the page scroll.
                box.scroll_into_view_if_needed()
                self.page.wait_for_timeout(_MOMENT_MS)
                box.click()
            with contextlib.suppress(AssertionError):
                expect(offered.first).to_be_visible(timeout=_A_TRY_MS)
                # A list that was closed between the two has no names.
                if names := offered.all_inner_texts():
                    return names
        raise AssertionError(f"the select box {key} does not open")

    def at(self, key: str) -> Locator:
        """The element to which the dashboard gave this key."""
        return self.page.locator(f".st-key-{key}")

    def sees(self, text: str) -> None:
        """Somewhere on the page these words can be read."""
        expect(self.page.get_by_text(text).first).to_be_visible()

    def reads(self) -> str:
        """All that can be read on the page; spaces of any kind are spaces."""
        return " ".join(self.page.locator("body").inner_text().split())

    def sees_nothing_of_the_inside(self) -> None:
        """No path, no stack trace, no name of a module."""
        found = _INSIDE.search(self.reads())
        assert found is None, f"a user reads {found[0]!r}" if found else ""


def visitor(
    browser: Browser, dashboard: Dashboard, locale: str = "en-GB", **context: Any
) -> tuple[Visitor, BrowserContext]:
    """A person with a browser in a language, who has been nowhere yet."""
    world = browser.new_context(**{"locale": locale, "viewport": SCREEN} | context)
    # A busy machine is no failure.
    world.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    page = world.new_page()
    person = Visitor(page, dashboard, Texts(best_language(locale)))
    watch(person, page)
    return person, world


def watch(person: Visitor, page: Page) -> None:
    """Write down what a browser complains of."""
    person.known.add(urlsplit(person.dashboard.address).netloc)

    def said(message: Any) -> None:
        # Opened at a page's own address, Streamlit's browser part first looks for its server there.
        looking = re.search(r"/\w+/_stcore/(health|host-config)$", message.location.get("url", ""))
        if message.type == "error" and not looking:
            person.complaints.append(f"{message.text} ({message.location.get('url')})")

    def asked(request: Any) -> None:
        address = urlsplit(request.url)
        if address.scheme in ("http", "https", "ws", "wss") and address.netloc not in person.known:
            person.complaints.append(f"asks another machine: {request.url}")

    page.on("console", said)
    page.on("pageerror", lambda error: person.complaints.append(str(error)))
    page.on("request", asked)
    page.on("websocket", asked)
