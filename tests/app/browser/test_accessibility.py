"""No view, in neither language, has anything that axe-core calls serious or critical."""

import pytest

from skin_lesion.texts import LANGUAGES, Language
from tests.app.browser.accessibility import AXE, FETCH, grave_findings
from tests.app.browser.conftest import Enter, missing
from tests.app.browser.serving import ROOT

PAGES = ("", "batch", "history", "evidence", "registry")


@pytest.fixture(autouse=True)
def axe() -> None:
    if not AXE.is_file():
        missing(f"axe-core is not there; fetch it with {FETCH.relative_to(ROOT)}")


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_an_empty_page_has_no_grave_finding(enter: Enter, page: str, language: Language) -> None:
    assert grave_findings(enter(language).go(page)) == []
