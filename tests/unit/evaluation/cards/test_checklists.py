import re
from pathlib import Path

import pytest

from skin_lesion.evaluation.cards.answers import STATUSES
from skin_lesion.evaluation.cards.checklists import (
    checklists,
    checklists_html,
    checklists_markdown,
    fill_in,
)
from skin_lesion.evaluation.cards.guides import CLAIM, CLEAR_DERM, TRIPOD_AI
from skin_lesion.evaluation.cards.places import ARTIFACTS, beside

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
    assert f"test {facts.images('test')} images of {facts.lesions('test')} lesion ids" in sizes
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
def test_a_page_by_itself_links_to_nothing_but_its_own_headings(request, which):
    page = checklists_html(request.getfixturevalue(which), ARTIFACTS)
    assert set(re.findall(r'href="([^"]*)"', page)) == {"#clear-derm", "#claim", "#tripodai"}
    assert not re.search(r"src\s*=|@import|url\(|<script|http", page)


def test_whose_the_numbers_are_is_said(facts):
    text = checklists_markdown(facts, ARTIFACTS)
    parts = dict(zip(("clear", "claim", "tripod"), text.split("\n## ")[1:], strict=True))
    assert "order of the items are ours" in parts["clear"]
    assert "ours" not in parts["claim"].split("| No.")[0]
    assert "Numbered as in the paper" in parts["tripod"]


def test_participants_are_followed_from_found_to_used(facts):
    found = len(range(210)) + 105 + 2
    assert facts.data.found == found
    for guide, number in ((CLAIM, 35), (TRIPOD_AI, 20)):
        answer = item(facts, guide, number).answer
        assert f"Found {found} images, put aside 2 (not an image: 2), used {found - 2}" in answer
        assert "test 53 images of 35 lesion ids (34 lesion groups)" in answer
    compared = item(facts, TRIPOD_AI, 20).answer
    share = "/".join(rf" {row.malignant:.0%}"[:-1] + " % " for row in facts.people).strip()
    assert f"malignant {share} of the images" in compared
    assert "Persons cannot be counted" in compared


def test_a_part_of_ham10000_is_called_a_part(facts):
    assert item(facts, CLAIM, 10).status == "partly"
    assert f"{facts.data.found} of the 10,015 images" in item(facts, CLAIM, 10).answer
    whole = facts.data.model_copy(update={"found": 10_015})
    answer = item(facts.model_copy(update={"data": whole}), CLAIM, 10)
    assert (answer.status, "All 10,015 images" in answer.answer) == ("reported", True)


def test_imbalance_is_told_with_what_followed_from_it(facts):
    answer = item(facts, TRIPOD_AI, 13).answer
    sizes = {row.label: row.images for row in facts.splits if row.split == "train"}
    assert f"{max(sizes.values())} images" in answer
    assert facts.training.imbalance in answer
    assert "temperature scaling" in answer
    assert "0.071 (0.040 to 0.098) to 0.032" in answer
    never = item(facts.model_copy(update={"calibration": None}), TRIPOD_AI, 13).answer
    assert "not calibrated" in never
    kept = facts.calibration.model_copy(update={"method": "none"})
    kept = item(facts.model_copy(update={"calibration": kept}), TRIPOD_AI, 13).answer
    assert "own probabilities were kept" in kept


def test_analysis_and_specification_say_what_others_need(facts):
    analysis = item(facts, TRIPOD_AI, 12).answer
    for part in (
        "210 / 52 / 53 images",
        "22 epochs",
        "epoch 19",
        "temperature scaling",
        "2 thresholds",
    ):
        assert part in analysis
    model = item(facts, TRIPOD_AI, 22)
    assert model.status == "reported"
    assert "models:/skin-lesion-classifier/4" in model.answer
    assert facts.data.licence in model.answer
    identity = facts.identity.model_copy(update={"version": None})
    assert item(facts.model_copy(update={"identity": identity}), TRIPOD_AI, 22).status == "partly"


def test_what_is_not_met_stands_out(facts):
    text = checklists_markdown(facts, beside("md"))
    open_items = sum(
        one.status in ("partly", "not reported")
        for filled in checklists(facts)
        for one in filled.items
    )
    assert open_items > 0
    assert text.count("| **partly** |") + text.count("| **not reported** |") == open_items


def test_an_answer_from_outside_is_shown_and_not_obeyed(facts):
    training = facts.training.model_copy(update={"imbalance": "<b>|[x](http://y)"})
    page = checklists_html(facts.model_copy(update={"training": training}), ARTIFACTS)
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
