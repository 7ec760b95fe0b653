"""Versions of the model, for engineers: promoting one, going back, and being refused."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from skin_lesion.texts import LANGUAGES, Language
from tests.app.browser.accessibility import grave_findings
from tests.app.browser.conftest import Enter
from tests.app.browser.serving import Dashboard
from tests.app.browser.visitor import Visitor

FAILED = 3  # of the shelf


@pytest.fixture
def engineer(enter: Enter, dashboard: Dashboard) -> Iterator[Visitor]:
    """Somebody on the page of the models; version 1 is in production, before and afterwards."""
    yield enter().go("registry")
    dashboard.shop.promote(1)


def look_at(person: Visitor, version: int) -> None:
    """Choose a version to look at."""
    name = re.escape(person.texts("registry.a_version", version=version))
    person.choose("registry_version", re.compile(rf"^{name}( · |$)"))


def press(person: Visitor, key: str) -> None:
    """Press a button, and wait for what it brings."""
    person.at(key).get_by_role("button").click()
    person.settle()


def confirm(person: Visitor, reason: str) -> None:
    """Say why, and go through with it."""
    box = person.at("registry_reason").get_by_role("textbox")
    box.fill(reason)
    box.press("Tab")
    person.settle()
    press(person, "registry_confirm")


def test_an_engineer_promotes_a_version_and_rolls_back(engineer: Visitor) -> None:
    shop, texts = engineer.dashboard.shop, engineer.texts
    look_at(engineer, 2)
    press(engineer, "registry_promote")
    confirm(engineer, "Mejor en melanoma – prueba ñ")
    expect(engineer.at("registry_outcome_done")).to_contain_text(
        texts("registry.outcome.done", version=2)
    )
    assert shop.in_production() == 2
    engineer.sees(texts("frame.badge.serves", version=2))
    engineer.sees("Mejor en melanoma – prueba ñ")

    press(engineer, "registry_outcome_close")
    press(engineer, "registry_rollback")
    press(engineer, "registry_confirm")
    engineer.sees(texts("registry.outcome.no_reason"))
    assert shop.in_production() == 2
    confirm(engineer, "zurück")
    expect(engineer.at("registry_outcome_done")).to_be_visible()
    assert shop.in_production() == 1
    engineer.sees(texts("frame.badge.serves", version=1))


def test_a_change_that_is_called_off_changes_nothing(engineer: Visitor) -> None:
    look_at(engineer, 2)
    press(engineer, "registry_promote")
    press(engineer, "registry_cancel")
    expect(engineer.page.get_by_role("dialog")).to_have_count(0)
    assert engineer.dashboard.shop.in_production() == 1


def test_a_version_that_fails_a_gate_is_refused_and_its_gates_are_named(engineer: Visitor) -> None:
    look_at(engineer, FAILED)
    press(engineer, "registry_promote")
    confirm(engineer, "in spite of all")
    dialog = engineer.page.get_by_role("dialog")
    expect(dialog).to_contain_text(engineer.texts("registry.outcome.refused"))
    expect(dialog.locator(".sl-rg-reasons li").first).to_be_visible()
    assert engineer.dashboard.shop.in_production() == 1
    engineer.sees_nothing_of_the_inside()


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_and_its_dialog_have_no_grave_finding_of_axe(
    enter: Enter, language: Language
) -> None:
    person = enter(language).go("registry")
    look_at(person, FAILED)
    assert grave_findings(person) == []
    press(person, "registry_promote")
    expect(person.page.get_by_role("dialog")).to_be_visible()
    assert grave_findings(person) == []
