"""The page of an evaluation: its frame, its pictures and its summary."""

import dataclasses
import re
from io import BytesIO

import pytest
from PIL import Image

from skin_lesion.data.pages import anchor, contents, heading, page, table
from skin_lesion.evaluation.figures import Estimate
from skin_lesion.evaluation.html import assemble
from skin_lesion.evaluation.html_pictures import caption, figure
from skin_lesion.evaluation.html_sections import overall
from skin_lesion.evaluation.html_summary import summary, warnings
from skin_lesion.labels import LABELS


def png(width=60, height=40, **options) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (width, height), "white").save(buffer, "PNG", **options)
    return buffer.getvalue()


def changed(model, **values):
    return model.model_copy(update=values)


@pytest.fixture(scope="module")
def evidence(small_report):
    return small_report.summary.evidence


@pytest.fixture(scope="module")
def text(small_report) -> str:
    return small_report.to_html()


def test_the_table_of_contents_leads_to_every_heading(text):
    nav = re.search(r"<nav.*?</nav>", text)[0]
    linked = re.findall(r'href="#([^"]+)"', nav)
    assert linked == re.findall(r'<h2 id="([^"]+)"', text)
    assert {"overall", "operating-points", "cannot-assess", "gallery", "origin"} <= set(linked)
    assert len(set(linked)) == len(linked)


def test_no_anchor_is_given_twice(text):
    ids = re.findall(r' id="([^"]+)"', text)
    assert len(set(ids)) == len(ids)


def test_every_picture_has_its_own_caption_and_alternative_text(small_report, text):
    figures = re.findall(r"<figure.*?</figure>", text)
    assert len(figures) == len(small_report.figures) > 25
    alternatives = [re.search(r'alt="([^"]+)"', one)[1] for one in figures]
    assert len(set(alternatives)) == len(figures)
    for name in small_report.figures:
        assert caption(name).section, name
        assert caption(name).reading, name


def test_every_table_says_its_unit(text):
    # The origin is a list of names and values, without a unit.
    assert text.count("<table>") == text.count("<caption>") + 1 > 10


def test_a_picture_of_no_section_is_shown_and_found_from_the_contents():
    made = assemble("T", [], {"Overall": "<p>x</p>"}, {"new_kind": png(), "forest": png()}, {})
    assert made.index('id="picture-forest"') < made.index('id="further-pictures"')
    assert made.index('id="further-pictures"') < made.index('id="picture-new_kind"')
    assert 'href="#further-pictures"' in made
    assert 'alt="New kind"' in made


def test_pictures_are_shown_as_large_as_they_were_drawn():
    assert 'width="30" height="20"' in figure("forest", png(dpi=(192, 192)))
    assert 'width="60" height="40"' in figure("perturbations", png())


@pytest.mark.parametrize("kind", ["right", "missed"])
@pytest.mark.parametrize("label", LABELS)
def test_galleries_are_named_by_their_class(label, kind):
    said = caption(f"gallery_{label}_{kind}")
    assert said.section == "Gallery"
    assert f"({label})" in said.title


def test_the_summary_tells_ids_from_groups(small_report):
    report = small_report.summary
    unit = report.evidence.discrimination
    fewer = changed(
        report.evidence,
        discrimination=changed(unit, images=changed(unit.images, n_lesions=41)),
    )
    assert "42 lesion ids in 41 lesion groups" in summary(changed(report, evidence=fewer))


def test_the_summary_gives_main_figures_with_their_intervals(small_report):
    made = summary(small_report.summary)
    estimates = small_report.summary.evidence.discrimination.images.estimates
    for name in ("balanced_accuracy", "macro_f1", "melanoma_auc", "malignant_auc", "ece"):
        found = estimates[name]
        assert f"<b>{found.value:.3f}</b>" in made
        assert f"{found.ci_low:.3f} to {found.ci_high:.3f}" in made


def test_the_summary_warns_of_three_things_at_most(small_report):
    assert 1 <= summary(small_report.summary).count("<li>") <= 3


def test_missed_melanomas_come_first_and_none_where_none_is_missed(evidence):
    def with_sensitivity(value):
        points = tuple(
            changed(one, figures=changed(one.figures, sensitivity=Estimate(value=value)))
            for one in evidence.operating_points
        )
        return list(warnings(changed(evidence, operating_points=points), synthetic=True))

    assert "Melanomas are missed" in with_sensitivity(0.85)[0]
    assert "85 %" in with_sensitivity(0.85)[0]
    assert not any("are missed" in one for one in with_sensitivity(1.0))
    assert not any("are missed" in one for one in with_sensitivity(None))


def test_sure_mistakes_on_melanomas_are_counted(evidence):
    def told(share):
        high = changed(
            evidence.confidence.bands[0], n_melanomas=40, melanoma_missed=Estimate(value=share)
        )
        bands = (high, *evidence.confidence.bands[1:])
        figures = changed(evidence.confidence, bands=bands)
        return " ".join(warnings(changed(evidence, confidence=figures), synthetic=True))

    assert "Of 40 melanoma images answered with high confidence, 4 are" in told(0.1)
    assert "high confidence" not in told(0.0)


def test_the_summary_names_the_calibration_that_was_chosen(small_report):
    report = small_report.summary
    choice = changed(report.freezing.calibration, method="none")
    plain = changed(report, freezing=changed(report.freezing, calibration=choice))
    assert "a probability (no calibration)" in summary(plain)


def test_a_figure_without_an_interval_is_explained(small_report):
    report = small_report.summary
    unit = report.evidence.discrimination

    def told(figure):
        images = changed(
            unit.images, estimates=unit.images.estimates | {"balanced_accuracy": figure}
        )
        evidence = changed(report.evidence, discrimination=changed(unit, images=images))
        return overall(evidence, report.test, report.val)

    assert "There is no interval where" in told(Estimate(value=0.4))
    assert "There is no interval where" not in told(Estimate(value=0.4, ci_low=0.3, ci_high=0.5))


def test_one_source_is_a_warning_for_real_pictures_alone(evidence):
    assert any("One source" in one for one in warnings(evidence, synthetic=False))
    assert not any("One source" in one for one in warnings(evidence, synthetic=True))


def test_melanomas_without_an_answer_and_strangers_with_one_are_warned_of(evidence):
    def told(refused_melanomas, refused_strangers):
        found = evidence.refusals
        melanoma = changed(found.per_class["mel"], refused=Estimate(value=refused_melanomas))
        outliers = {
            kind: changed(one, refused=Estimate(value=refused_strangers))
            for kind, one in found.outliers.items()
        }
        refusals = changed(found, per_class=found.per_class | {"mel": melanoma}, outliers=outliers)
        return " ".join(warnings(changed(evidence, refusals=refusals), synthetic=True))

    assert "48 % of the melanoma images are refused" in told(0.48, 1.0)
    assert "only 30 % are" in told(0.0, 0.3)
    quiet = told(0.0, 1.0)
    assert "refused" not in quiet
    assert "outside" not in quiet


def test_evidence_with_nothing_measured_warns_of_nothing_measured(evidence):
    bare = changed(evidence, confidence=None, refusals=None, robustness=None, operating_points=())
    assert list(warnings(bare, synthetic=True)) == []


def test_both_bundles_stand_under_origin_by_their_names(small_report):
    report = dataclasses.replace(
        small_report, summary=changed(small_report.summary, decided_bundle_hash="d" * 64)
    )
    origin = report.to_html().split('id="origin"')[1]
    trained, served = origin.index(report.summary.bundle_hash), origin.index("d" * 64)
    assert origin.index("as trained") < trained < origin.index("with decisions") < served


def test_anchors_are_those_of_github():
    assert anchor("TRIPOD+AI") == "tripodai"
    assert anchor("Who is in each split") == "who-is-in-each-split"
    assert heading("A & b") == '<h2 id="a--b">A &amp; b</h2>'
    assert 'href="#a--b"' in contents(["A & b"])


def test_titles_and_captions_are_text_and_not_obeyed():
    assert "<script>" not in page("<script>x</script>", [heading("<script>")])
    assert "<script>" not in table(["<script>"], [], caption="<script>")


def test_the_page_is_made_for_print():
    style = re.search(r"@media print \{.*\}", page("T", []), flags=re.DOTALL)[0]
    assert "break-inside: avoid" in style
    assert "position: static" in style
