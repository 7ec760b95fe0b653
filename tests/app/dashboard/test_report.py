"""The printed report: one page in every case, nothing of it left out, nothing of it taken for markup."""

import io
import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from PIL import Image
from pypdf import PdfReader

from app.clinic.readings import PictureReading
from app.clinic.report import report_content, report_html, report_pdf
from app.clinic.report_content import ReportContent, plain
from app.clinic.users import User
from skin_lesion.data.formats import Reason
from skin_lesion.evaluation.figures import Estimate
from skin_lesion.evaluation.operating_points import FlagFigures
from skin_lesion.labels import LABELS
from skin_lesion.quality import QUALITY_REASONS
from skin_lesion.texts import LANGUAGES, Language, Texts
from tests.app.dashboard.made import (
    MALIGNANT_POINT,
    MELANOMA_POINT,
    made_reading,
    made_refusal,
    made_served,
    made_shown,
)

USER = User("dr.ana.muñoz@hospital.example", frozenset({"clinician"}))
HOSTILE = "</dd><script>alert(1)</script><b>&amp;\"'\x00\n\u202egnp." + "w" * 5000 + " fin.jpg"
_SHARE = Estimate(value=0.951, ci_low=0.908, ci_high=0.988)
FIGURES = FlagFigures(
    tp=90, fp=300, tn=600, fn=5, positive_lesions=92, negative_lesions=1021, sensitivity=_SHARE,
    specificity=_SHARE, ppv=_SHARE, npv=_SHARE, number_needed_to_biopsy=Estimate(value=4.0),
    flagged=_SHARE, lesion_sensitivity=_SHARE,
    lesion_specificity=Estimate(value=0.666, ci_low=0.638, ci_high=0.696),
)  # fmt: skip


def content(reading: PictureReading, language: Language = "en", **options: object) -> ReportContent:
    options = {"point": MELANOMA_POINT, "figures": FIGURES} | options
    return report_content(reading, Texts(language, "Europe/Madrid"), USER, **options)  # type: ignore[arg-type]


def printed(one: ReportContent) -> tuple[PdfReader, str]:
    """The PDF, and its text with every run of white space made one blank."""
    reader = PdfReader(io.BytesIO(report_pdf(one)))
    text = " ".join(page.extract_text() for page in reader.pages)
    return reader, re.sub(r"\s+", " ", text)


def squeezed(text: str) -> str:
    """A text without white space: where a line is broken is the drawer's business."""
    return re.sub(r"\s+", "", text)


def said(one: ReportContent) -> list[str]:
    """Everything that has to stand on the page."""
    lines = [*one.facts, *one.judgement, *one.versions, *(one.refusal.lines if one.refusal else ())]
    texts = [one.title, *one.notice, *(one.synthetic or ()), *one.blanks, *one.remarks]
    texts += [part for line in lines for part in (line.name, line.value, line.note) if part]
    for each in one.differential:
        texts += [each.name, each.kind, each.code, each.probability]
    if one.refusal:
        texts += [one.refusal.title, one.refusal.meaning]
    return [*texts, one.words["notes"], one.words["signature"], one.words["signature_date"]]


WORST = made_reading(HOSTILE, served=made_served(synthetic_only=True), mel=0.3, bcc=0.25, akiec=0.2)
CASES = {
    "usual": made_reading("ñandú.jpg", mel=0.3),
    "hostile": WORST,
    "tall": replace(WORST, shown=made_shown(20, 1024)),
    "wide": replace(WORST, shown=made_shown(1024, 20)),
    "several frames": replace(WORST, prediction=replace(WORST.prediction, several_frames=True)),
    "cannot assess": made_refusal(served=made_served(synthetic_only=True)),
    "unreadable": made_refusal(status="unreadable", reason="truncated"),
    "no log": made_reading(audit_id=None),
    "no decisions": made_reading(served=made_served(decisions=None), mel=0.4),
}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("case", CASES)
def test_every_report_is_one_page_with_everything_on_it(case: str, language: Language) -> None:
    one = content(CASES[case], language, point=MALIGNANT_POINT)
    reader, text = printed(one)
    assert len(reader.pages) == 1
    box = reader.pages[0].mediabox
    assert (float(box.width), float(box.height)) == pytest.approx((595.28, 841.89))
    missing = [each for each in said(one) if squeezed(each) not in squeezed(text)]
    # The font has no sign for some letters of the world; they are drawn all the same.
    assert not missing
    html = report_html(one)
    shown = squeezed(re.sub(r"<[^>]+>", "", html[html.index("<body>") :]))
    from html import escape

    assert not [each for each in said(one) if squeezed(escape(each)) not in shown]


def test_spanish_keeps_its_accents_and_its_decimal_comma() -> None:
    _, text = printed(content(made_reading("ñandú.jpg", mel=0.3), "es"))
    for word in ("dermatoscópica", "Valoración", "muñoz", "ñandú", "melanocítico", "30,0 %"):
        assert squeezed(word) in squeezed(text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_documents_name_their_language_and_title(language: Language) -> None:
    one = content(made_reading(mel=0.3), language)
    reader, _ = printed(one)
    assert reader.root_object["/Lang"] == language
    assert reader.metadata is not None
    assert reader.metadata.title == one.printed
    assert "7" in one.printed
    assert f'<html lang="{language}">' in report_html(one)
    assert f"<title>{one.printed}</title>" in report_html(one)


def test_the_same_content_gives_the_same_bytes() -> None:
    one, again = content(made_reading(mel=0.3)), content(made_reading(mel=0.3))
    assert one == again
    assert report_pdf(one) == report_pdf(again)
    assert report_html(one) == report_html(again)


def test_reports_that_are_made_at_the_same_time_do_not_disturb_one_another() -> None:
    contents = [content(CASES[case], language) for case in CASES for language in LANGUAGES]
    alone = [report_pdf(one) for one in contents]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(report_pdf, contents)) == alone


def test_names_are_text_and_nothing_else() -> None:
    html = report_html(content(WORST))
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert html.count("http") == html.count("http-equiv")  # nothing is fetched
    assert "default-src &#x27;none&#x27;" in html


def test_a_name_from_outside_becomes_one_short_line_that_keeps_its_end() -> None:
    short = plain(HOSTILE)
    assert len(short) <= 90
    assert short.isprintable()
    assert short.endswith("fin.jpg")
    assert plain("melanoma 3.jpg") == "melanoma 3.jpg"
    assert plain("") == ""


def test_the_patient_is_left_blank() -> None:
    one = content(made_reading("Juan Perez.jpg"))
    assert one.blanks == ("Patient", "Date of birth", "Site of the lesion")


def test_what_could_not_be_assessed_has_no_probability_and_says_what_to_do() -> None:
    for reading in (made_refusal(), made_refusal(status="unreadable", reason="empty")):
        one = content(reading)
        assert one.refusal is not None
        assert not one.differential
        assert not one.judgement
        assert one.heat_map is None
        assert "%" not in printed(one)[1]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_reason_prints(language: Language) -> None:
    reasons = [("unreadable", each) for each in Reason.__args__]
    reasons += [("cannot_assess", each) for each in (*QUALITY_REASONS, "unlike_training")]
    for status, reason in reasons:
        one = content(made_refusal(status=status, reason=reason), language)
        assert one.refusal is not None
        assert all(line.value for line in one.refusal.lines)


def test_a_model_that_saw_drawn_pictures_alone_says_so() -> None:
    assert content(made_reading()).synthetic is None
    one = content(made_reading(served=made_served(synthetic_only=True)))
    assert one.synthetic is not None
    assert squeezed(one.synthetic[0]) in squeezed(printed(one)[1])


def test_the_verdict_is_that_of_the_reading_with_what_was_measured() -> None:
    found = {line.name: line.value for line in content(made_reading(mel=0.3)).judgement}
    assert found["Verdict"].startswith("Suspicious")
    assert "30.0" in found["Verdict"]
    assert "20.0" in found["Verdict"]
    assert found["Sensitivity"].replace("\xa0", " ") == "95.1 % (95 % CI 90.8 %–98.8 %)"
    assert found["Specificity"].startswith("66.6")
    below = {line.name: line for line in content(made_reading(mel=0.1)).judgement}
    assert below["Verdict"].value.startswith("Below the threshold")
    assert below["Verdict"].note  # that it excludes nothing


def test_without_measured_figures_or_points_the_report_says_so() -> None:
    found = {line.name: line.value for line in content(made_reading(), figures=None).judgement}
    assert found["Sensitivity"] == "not to be had"
    none = content(made_reading(served=made_served(decisions=None)), point=None)
    assert {line.name: line.value for line in none.judgement}["Verdict"].startswith("The model has")


def test_a_threshold_that_validation_could_not_reach_is_named() -> None:
    one = content(made_reading(mel=0.3), point=MALIGNANT_POINT)
    assert any("too few lesions" in remark for remark in one.remarks)
    assert not any("too few" in remark for remark in content(made_reading(mel=0.3)).remarks)


def test_the_heat_map_is_of_the_class_that_was_chosen_in_the_pictures_proportions() -> None:
    reading = made_reading(mel=0.3)
    assert "naevus" in content(reading).heat_map_name
    chosen = content(reading, label="mel")
    assert "Melanoma" in chosen.heat_map_name
    assert chosen.heat_map is not None
    with Image.open(io.BytesIO(chosen.heat_map)) as image:
        assert image.size == (200, 150)
    with pytest.raises(ValueError, match="scar"):
        content(reading, label="scar")


def test_classes_stand_in_the_order_of_their_probability_with_their_set() -> None:
    one = content(made_reading(mel=0.3, bcc=0.26))
    assert len(one.differential) == len(LABELS)
    shares = [each.share for each in one.differential]
    assert shares == sorted(shares, reverse=True)
    assert [each.in_set for each in one.differential] == [True] * 3 + [False] * 4


def test_times_are_the_readers_and_say_so() -> None:
    dates = {line.name: line.value for line in content(made_reading()).facts}
    assert dates["Read on"].replace("\xa0", " ") == "25 Nov 2026, 15:31:05 (UTC+01:00)"


def test_no_metadata_of_a_picture_gets_into_a_report() -> None:
    one = content(made_reading(mel=0.3))
    for jpeg in (one.picture, one.heat_map):
        assert jpeg is not None
        with Image.open(io.BytesIO(jpeg)) as image:
            assert not image.getexif()
    assert json.dumps(one.words)  # plain texts
