"""A real browser, and the dashboard on a registry with four versions of a small model."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.app.browser.album import Album
from tests.app.browser.serving import Dashboard, Shop, running
from tests.app.browser.visitor import Visitor, visitor
from tests.small_world import SmallWorld
from tests.unit.registry.conftest import Shelf, shelf

__all__ = ["shelf"]

REQUIRED = "SKIN_LESION_REQUIRE_BROWSER"
_NAMES = ("chromium", "chromium-browser", "google-chrome")
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of them need a browser."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.slow)


def required() -> bool:
    """Whether a machine without a browser is a failure."""
    return os.environ.get("CI") == "true" or os.environ.get(REQUIRED) == "1"


def missing(what: str) -> None:
    """Skip where something is not there, or fail where it has to be."""
    if required():
        pytest.fail(what)
    pytest.skip(what)


# Ends with each file: while it lasts, no other test of the process could run an event loop.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        missing(f"no browser: none of {', '.join(_NAMES)} is installed (Debian: chromium)")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=found)
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def new_shop(shelf: Shelf, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Shop]:
    """Makes a registry as it was before anything was promoted, and an empty audit log."""

    def make() -> Shop:
        folder = tmp_path_factory.mktemp("shop")
        shutil.copy(shelf.database, folder / "mlflow.db")
        return Shop(folder, folder / "mlflow.db")

    return make


@pytest.fixture(scope="session")
def album(small_world: SmallWorld) -> Album:
    return Album(small_world)


@pytest.fixture(scope="module")
def shop(new_shop: Callable[[], Shop]) -> Shop:
    """Version 1 is in production."""
    made = new_shop()
    made.promote(1)
    return made


@pytest.fixture(scope="module")
def dashboard(browser: Browser, shop: Shop) -> Iterator[Dashboard]:
    """The dashboard of the tests of one file; it has loaded its model."""
    with running(shop) as started:
        yield started


Enter = Callable[..., Visitor]


@pytest.fixture
def enter(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Enter]:
    """Lets a person in: `enter("es-ES", dashboard=other, viewport=…)`; at the end nothing went wrong."""
    worlds, people = [], []

    def make(locale: str = "en-GB", dashboard: Dashboard | None = None, **context: Any) -> Visitor:
        where = dashboard or request.getfixturevalue("dashboard")
        person, world = visitor(browser, where, locale, **context)
        worlds.append(world)
        people.append(person)
        return person

    yield make
    complaints = [said for person in people for said in person.complaints]
    for world in worlds:
        world.close()
    troubles = "\n".join({p.dashboard.address: p.dashboard.troubles() for p in people}.values())
    assert not troubles.strip(), troubles
    assert not complaints


@pytest.fixture
def clinician(enter: Enter) -> Visitor:
    """Somebody who reads English, on the first page."""
    return enter().go()
