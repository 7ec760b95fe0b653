import dataclasses
import re

import pytest

from skin_lesion.evaluation.cards import model_card as cards
from skin_lesion.evaluation.cards.facts import CardFacts
from skin_lesion.evaluation.cards.facts_data import DataFacts, count_people, count_splits
from skin_lesion.evaluation.cards.places import ARTIFACTS
from skin_lesion.evaluation.cards.writing import NOT_MEASURED
from skin_lesion.evaluation.figures import Estimate
from skin_lesion.evaluation.wording import QUALITY_NAMES
from skin_lesion.labels import LABELS
from skin_lesion.quality import Quality

# Field of the facts -> heading of its section.
HEADINGS = {
    "training": "Training",
    "test": "Performance",
    "classes": "Each class",
    "operating_points": "Operating points",
    "calibration": "Calibration",
    "confidence": "Confidence",
    "cannot_assess": "Cannot assess",
    "prediction_sets": "Prediction sets",
    "subgroups": "Subgroups",
    "robustness": "Robustness",
    "explanations": "Explanations",
}


def model_card(facts: CardFacts) -> str:
    return cards.model_card(facts, ARTIFACTS)


def model_card_html(facts: CardFacts) -> str:
    return cards.model_card_html(facts, ARTIFACTS)


def section_of(markdown: str, heading: str) -> str:
    return markdown.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]


def estimates_in(value: object) -> list[Estimate]:
    if isinstance(value, Estimate):
        return [value]
    if isinstance(value, dict):
        return [e for v in value.values() for e in estimates_in(v)]
    if isinstance(value, tuple):
        return [e for v in value for e in estimates_in(v)]
    fields = getattr(type(value), "model_fields", {})
    return [e for name in fields for e in estimates_in(getattr(value, name))]


@pytest.mark.parametrize("field", [field for field in HEADINGS if field != "training"])
def test_every_figure_given_stands_in_its_section_with_its_interval(facts, field):
    text = section_of(model_card(facts), HEADINGS[field])
    figures = estimates_in(getattr(facts, field))
    assert figures
    for figure in figures:
        if figure.value is None:
            assert "not defined" in text or "| – |" in text
        elif figure.ci_low is None:
            assert f"{figure.value:.3f} (no interval)" in text
        else:
            assert f"{figure.value:.3f} ({figure.ci_low:.3f} to {figure.ci_high:.3f})" in text


@pytest.mark.parametrize("field", HEADINGS)
def test_a_missing_section_says_so(facts, field):
    assert NOT_MEASURED not in section_of(model_card(facts), HEADINGS[field])
    lacking = facts.model_copy(update={field: None})
    assert NOT_MEASURED in section_of(model_card(lacking), HEADINGS[field])


def test_leaks_and_gates_that_were_not_judged_say_so(bare_facts):
    card = model_card(bare_facts)
    assert "not measured" in section_of(card, "Splits")
    assert "Not judged" in section_of(card, "Gates")
    assert "Nothing had been recorded" in section_of(card, "Change record")


def test_a_section_cannot_be_left_out_by_accident(facts):
    values = facts.model_dump(exclude={"robustness"})
    with pytest.raises(ValueError, match="robustness"):
        CardFacts.model_validate(values)


def test_the_card_names_the_model_and_what_it_came_from(facts):
    text = section_of(model_card(facts), "Model")
    identity = facts.identity
    for value in (
        identity.name, f"| {identity.version} |",
        identity.trained_hash, identity.bundle_hash, identity.split_hash,
        identity.data_fingerprint, identity.run_id, identity.code_version, facts.model.backbone,
        f"{facts.model.input_height} × {facts.model.input_width}",
    ):  # fmt: skip
        assert value in text


def test_splits_are_counted_in_images_and_lesions(facts, split):
    rows = split.rows[(split.rows["split"] == "train") & (split.rows["dx"] == "mel")]
    counted = next(c for c in facts.splits if (c.split, c.label) == ("train", "mel"))
    assert (counted.images, counted.lesions) == (len(rows), rows["lesion_id"].nunique())
    text = section_of(model_card(facts), "Splits")
    assert f"{len(rows)} ({rows['lesion_id'].nunique()})" in text
    assert facts.images("test") == (split.rows["split"] == "test").sum()


def test_lesion_ids_and_lesion_groups_are_told_apart(facts):
    assert (facts.lesions("test"), facts.groups("test")) == (35, 34)
    assert "35 lesion ids in 34 lesion groups" in section_of(model_card(facts), "Performance")
    assert "| **Lesion groups** | **140** | **35** | **34** |" in model_card(facts)


def test_the_two_bundles_are_named_by_what_they_are(facts):
    lines = section_of(model_card(facts), "Model").splitlines()
    trained = next(line for line in lines if facts.identity.trained_hash in line)
    served = next(line for line in lines if facts.identity.bundle_hash in line)
    assert "as trained" in trained
    assert "measured" in trained
    assert "with decisions" in served
    assert "registered and served" in served


def test_measures_of_a_picture_have_plain_names_and_units(facts):
    text = section_of(model_card(facts), "Cannot assess")
    assert (
        "| Sharpness: variance of the Laplacian | decimal logarithm of squared grey levels |"
        in text
    )
    assert "grey levels, 0 to 255 | 40.00 | 235.00 |" in text
    assert "Mahalanobis distance above" in text
    for code_name in ("sharpness", "foreign", "crops", "mahalanobis"):
        assert code_name not in text


def test_every_measure_that_has_a_limit_has_a_name():
    assert set(QUALITY_NAMES) == {field.name for field in dataclasses.fields(Quality)}


def test_the_card_says_what_pictures_it_was_given(facts):
    assert "as they were supplied" in section_of(model_card(facts), "Limits")
    assert "HAM10000 publishes" not in model_card(facts)
    reduced = facts.data.model_copy(update={"source_height": 150, "source_width": 200})
    text = section_of(model_card(facts.model_copy(update={"data": reduced})), "Limits")
    assert "150 × 200" in text
    assert "HAM10000 publishes them at 450 × 600" in text


def test_people_are_counted_where_they_are_known(manifest, split):
    train, _, test = count_people(manifest, split)
    images = manifest.images.assign(split=split.rows["split"])
    part = images[images["split"] == "test"]
    assert test.images == len(part)
    assert test.age[0] == part["age"].median()
    assert test.age_known == part["age"].notna().sum() < len(part)
    known = part[part["sex"] != "unknown"]
    assert test.female == (known["sex"] == "female").mean()
    assert test.sex_known == len(known)
    bare = type(manifest)(
        manifest.images[["image_id", "lesion_id", "dx"]], manifest.quarantine, manifest.provenance
    )
    unknown = count_people(bare, split)[0]
    assert (unknown.images, unknown.age, unknown.female, unknown.histology) == (
        train.images, None, None, None,
    )  # fmt: skip


def test_a_class_absent_from_a_split_counts_as_zero(split):
    rows = split.rows[(split.rows["dx"] != "df") | (split.rows["split"] != "val")]
    counts = count_splits(type(split)(rows, split.leak_report))
    assert len(counts) == 3 * len(LABELS)
    absent = next(c for c in counts if (c.split, c.label) == ("val", "df"))
    assert (absent.images, absent.lesions) == (0, 0)


def test_research_use_stands_on_top_and_drawn_pictures_are_named_there(facts, drawn_facts):
    for card in (model_card(facts), model_card(drawn_facts)):
        assert "not a medical device" in card.split("\n## ", 1)[0]
    assert "Synthetic only" not in model_card(facts)
    assert "Synthetic only" in model_card(drawn_facts).split("\n## ", 1)[0]


def test_nothing_is_claimed_of_data_that_are_not_ham10000(facts, drawn_facts):
    unknown = facts.data.model_copy(
        update={"name": "Unknown data set", "licence": "unknown", "citation": "Unknown"}
    )
    for other in (drawn_facts, facts.model_copy(update={"data": unknown})):
        card = model_card(other)
        assert "Vienna" not in card
        assert "Non-commercial" not in card
    assert "Vienna" in model_card(facts)
    assert "Non-commercial" in section_of(model_card(facts), "Data and licence")


def test_every_kind_of_lesion_that_was_left_out_is_out_of_scope(facts):
    text = section_of(model_card(facts), "Out of scope")
    for kind in ("without pigment", "nails", "eye", "mucosa", "without a dermatoscope"):
        assert kind in text


def test_a_goal_that_was_not_reached_and_a_thin_subgroup_are_marked(facts):
    card = model_card(facts)
    assert section_of(card, "Operating points").count("not reached") == 1
    assert section_of(card, "Subgroups").count("(indicative)") == 1
    assert "too few |" in section_of(card, "Subgroups")


def test_failed_gates_are_named_with_their_reasons(facts):
    text = section_of(model_card(facts), "Gates")
    assert "Failed: 1 of 2" in text
    assert "FAILED: Macro F1 is 0.654" in text


def test_the_share_of_histology_is_counted_from_the_manifest(manifest):
    data = DataFacts.of(manifest)
    assert data.histology_share == (manifest.images["dx_type"] == "histo").mean()
    assert data.malignant_histology_share == 1.0
    bare = type(manifest)(
        manifest.images.drop(columns="dx_type"), manifest.quarantine, manifest.provenance
    )
    assert DataFacts.of(bare).histology_share is None


def test_foreign_text_is_shown_and_not_obeyed(facts):
    name = "a|b <img src=http://x> [c](http://d) *e* `f` &lt;"
    row = facts.subgroups[0].model_copy(update={"name": name})
    html = model_card_html(facts.model_copy(update={"subgroups": (row,)}))
    shown = "a|b &lt;img src=http://x&gt; [c](http://d) *e* `f` &amp;lt;"
    assert f'<td style="overflow-wrap:break-word">sex: {shown}</td>' in html


@pytest.mark.parametrize("which", ["facts", "bare_facts", "drawn_facts"])
def test_the_page_needs_nothing_from_outside(request, which):
    html = model_card_html(request.getfixturevalue(which))
    assert not re.search(r"(?:src|href)\s*=|@import|url\(|<script", html)


def test_page_and_markdown_say_the_same(facts):
    html = re.sub(r"<[^>]+>", " ", model_card_html(facts)).replace("\u00a0", " ")
    for figure in re.findall(r"\d\.\d{3}", model_card(facts)):
        assert figure in html


def test_the_card_tells_how_many_looks_at_the_test_split_came_before(facts: CardFacts) -> None:
    card = model_card(facts)
    assert "had been looked at 8 times before this look, since 2026-02-03" in card
    assert "at 3 other trained models, and 1 time at this one (row 9 of the ledger)" in card
    assert "no ledger was kept" in model_card(facts.model_copy(update={"looks": None}))


def test_options_of_the_network_stand_in_its_section_and_only_where_they_are_in_use(facts):
    assert "Views" not in section_of(model_card(facts), "Model")
    options = {"Views": "the mean over 8 mirror images", "Colour constancy": "shades_of_grey"}
    model = facts.model.model_copy(update={"options": options})
    text = section_of(model_card(facts.model_copy(update={"model": model})), "Model")
    assert "| **Views** | the mean over 8 mirror images |" in text
    assert "| **Colour constancy** | shades\\_of\\_grey |" in text
