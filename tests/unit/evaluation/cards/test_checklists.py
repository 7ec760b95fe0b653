import re
from pathlib import Path

import pytest

from skin_lesion.evaluation.cards.answers import STATUSES
from skin_lesion.evaluation.cards.checklists import (
    Places,
    checklists,
    checklists_html,
    checklists_markdown,
    fill_in,
)
from skin_lesion.evaluation.cards.data_sheet import data_sheet_html
from skin_lesion.evaluation.cards.guides import CLAIM, CLEAR_DERM, TRIPOD_AI
from skin_lesion.evaluation.cards.model_card import model_card_html
from skin_lesion.evaluation.cards.writing import slug

PLACES = Places(
    model_card="model_card.html", data_sheet="data_sheet.html", report="report.html", readme=None,
    data_notice=None,
)  # fmt: skip
NOWHERE = Places(model_card=None, data_sheet=None, report=None, readme=None, data_notice=None)
WORLDS = ("facts", "bare_facts", "drawn_facts")


def item(facts, guide, number):
    return fill_in(guide, facts).items[number - 1]


@pytest.mark.parametrize("which", WORLDS)
@pytest.mark.parametrize(("guide", "size"), [(CLEAR_DERM, 25), (CLAIM, 44), (TRIPOD_AI, 27)])
def test_every_item_of_a_guide_is_answered(request, which, guide, size):
    filled = fill_in(guide, request.getfixturevalue(which))
    assert [one.number for one in filled.items] == list(range(1, size + 1))
    assert all(one.answer.strip() and "\n" not in one.answer for one in filled.items)
    assert sum(map(filled.count, STATUSES)) == size


def test_what_these_data_cannot_show_is_not_reported(facts):
    assert item(facts, CLEAR_DERM, 8).status == "not reported"  # skin colour
    assert item(facts, CLEAR_DERM, 12).status == "not reported"  # external test set
    assert item(facts, CLAIM, 33).status == "not reported"  # testing on external data
    assert item(facts, CLAIM, 44).status == "not reported"  # funding


@pytest.mark.parametrize(
    ("guide", "number", "field"),
    [
        (CLEAR_DERM, 15, "cannot_assess"),
        (CLEAR_DERM, 21, "test"),
        (CLEAR_DERM, 23, "subgroups"),
        (CLAIM, 26, "training"),
        (CLAIM, 30, "robustness"),
        (CLAIM, 31, "explanations"),
        (CLAIM, 38, "operating_points"),
        (CLAIM, 39, "failures_shown"),
    ],
)
def test_what_was_not_measured_is_not_reported(facts, guide, number, field):
    assert item(facts, guide, number).status in ("reported", "partly")
    lacking = facts.model_copy(update={field: None})
    assert item(lacking, guide, number).status == "not reported"


def test_answers_come_from_the_facts_of_the_run(facts):
    test = facts.test
    assert f"{test['macro_f1'].value:.3f}" in item(facts, CLEAR_DERM, 21).answer
    sizes = item(facts, CLEAR_DERM, 11).answer
    assert f"test {facts.images('test')} images of {facts.lesions('test')} lesions" in sizes
    worst = item(facts, CLAIM, 30).answer
    assert "ink marks" in worst
    assert "0.563" in worst


def test_histopathology_is_partly_reported_where_some_is_missing(facts):
    assert item(facts, CLEAR_DERM, 18).status == "reported"
    data = facts.data.model_copy(update={"malignant_histology_share": 0.9})
    partly = item(facts.model_copy(update={"data": data}), CLEAR_DERM, 18)
    assert partly.status == "partly"
    assert "90.0%" in partly.answer


def test_drawn_pictures_make_questions_about_patients_void(drawn_facts):
    assert item(drawn_facts, CLEAR_DERM, 8).status == "not applicable"
    assert item(drawn_facts, CLEAR_DERM, 5).status == "reported"
    assert all(
        "Vienna" not in one.answer for filled in checklists(drawn_facts) for one in filled.items
    )


@pytest.mark.parametrize("which", WORLDS)
def test_every_link_leads_to_a_heading(request, which, manifest, split):
    facts = request.getfixturevalue(which)
    pages = {
        "model_card.html": model_card_html(facts),
        "data_sheet.html": data_sheet_html(manifest, split),
        "report.html": "",
        "": (page := checklists_html(facts, PLACES)),
    }
    links = re.findall(r'href="([^"#]*)(?:#([^"]*))?"', page)
    assert len(links) > 60
    for address, anchor in links:
        assert address in pages
        assert not anchor or f'id="{anchor}"' in pages[address]


def test_without_addresses_nothing_is_linked_but_within_the_page(facts):
    page = checklists_html(facts, NOWHERE)
    assert set(re.findall(r'href="([^"]*)"', page)) == {
        f"#{slug(name)}" for name in ("CLEAR Derm", "CLAIM", "TRIPOD+AI")
    }
    assert not re.search(r"src\s*=|@import|url\(|<script|http", page)


def test_what_is_not_met_stands_out(facts):
    text = checklists_markdown(facts, PLACES)
    open_items = sum(
        one.status in ("partly", "not reported")
        for filled in checklists(facts)
        for one in filled.items
    )
    assert open_items > 0
    assert text.count("| **partly** |") + text.count("| **not reported** |") == open_items


def test_an_answer_from_outside_is_shown_and_not_obeyed(facts):
    training = facts.training.model_copy(update={"imbalance": "<b>|[x](http://y)"})
    page = checklists_html(facts.model_copy(update={"training": training}), NOWHERE)
    assert "&lt;b&gt;|[x](http://y)" in page
    assert "<b>" not in page


def test_sections_of_the_readme_that_are_named_exist(facts):
    readme = (Path(__file__).parents[4] / "README.md").read_text(encoding="utf-8")
    named = {
        one.evidence.section
        for filled in checklists(facts)
        for one in filled.items
        if one.evidence is not None and one.evidence.place == "readme"
    }
    assert named
    assert named <= set(re.findall(r"^#+ (.+)$", readme, flags=re.MULTILINE))
