"""The evidence behind the model in production."""

import re

import pytest
from playwright.sync_api import expect

from skin_lesion.texts import LANGUAGES, Language
from tests.app.browser.accessibility import grave_findings
from tests.app.browser.conftest import Enter
from tests.app.browser.test_frame import beyond_the_right_edge
from tests.app.browser.visitor import Visitor


def sections(person: Visitor) -> list[str]:
    """Names of the parts of the page."""
    choice = person.at("evidence_section")
    expect(choice).to_be_visible()
    return [name.strip() for name in choice.get_by_role("radio").all_inner_texts()]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_part_of_the_evidence_stands(enter: Enter, language: Language) -> None:
    person = enter(language).go("evidence")
    names = sections(person)
    assert len(names) >= 6
    for name in names:
        person.at("evidence_section").get_by_role("radio", name=name, exact=True).click()
        person.settle()
        expect(person.page.get_by_role("heading", level=2).first).to_be_visible()
        person.sees_nothing_of_the_inside()
        assert beyond_the_right_edge(person) == [], name
        assert grave_findings(person) == [], name


def test_the_prevalence_decides_what_a_flag_means(enter: Enter) -> None:
    person = enter().go("evidence")
    name = person.texts("evidence.section.points")
    person.at("evidence_section").get_by_role("radio", name=name, exact=True).click()
    person.settle()
    slider = person.at("evidence_prevalence").get_by_role("slider")
    slider.focus()
    values = []
    for key in ("Home", "End"):
        person.page.keyboard.press(key)
        person.settle()
        text = person.page.locator(".sl-ev-figures").inner_text()
        values.append(float(re.findall(r"(\d+(?:\.\d+)?)\s*%", text)[0]))
    rare, common = values
    assert rare < common
