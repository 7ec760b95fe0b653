"""Production changes while somebody sits before the page."""

import pytest
from playwright.sync_api import expect

from tests.app.browser.album import Album
from tests.app.browser.visitor import Visitor


@pytest.fixture
def rollback(dashboard: object) -> object:
    """Version 1 is in production again afterwards."""
    yield
    dashboard.shop.promote(1)  # type: ignore[attr-defined]


@pytest.mark.usefixtures("rollback")
def test_the_next_reading_uses_the_new_version_and_says_so(
    clinician: Visitor, album: Album
) -> None:
    texts = clinician.texts
    clinician.give(album.lesion(2))
    clinician.sees(texts("read.versions.by", version=1))
    clinician.dashboard.shop.promote(2)
    # Without a click: the page notices by itself, and the reading on it stays as it is.
    expect(clinician.at("frame_taken_over")).to_contain_text(texts("frame.taken_over", version=2))
    clinician.sees(texts("frame.badge.serves", version=2))
    clinician.sees(texts("read.versions.by", version=1))
    clinician.sees(texts("read.versions.outdated", version=1, current=2))
    clinician.give(album.lesion(4))
    clinician.sees(texts("read.versions.by", version=2))
    clinician.sees(texts("read.versions.took_over", version=2, before=1))
    newest, older = clinician.dashboard.shop.audit().readings(user="local", limit=2)
    assert (newest.row.model_version, older.row.model_version) == ("2", "1")


@pytest.mark.usefixtures("rollback")
def test_a_picture_can_be_read_again_by_the_version_that_took_over(
    clinician: Visitor, album: Album
) -> None:
    clinician.give(album.lesion(2))
    clinician.dashboard.shop.promote(2)
    clinician.at("read_by_current").get_by_role("button").click()
    clinician.sees(clinician.texts("read.versions.by", version=2))
