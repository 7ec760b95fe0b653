"""The page of evidence: every section in both languages, and what it says where there is none."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from app.clinic import measured
from app.clinic.evidence_pictures import for_the_web
from app.clinic.evidence_values import REFERRAL, point_values
from app.clinic.measured import Evidence, WhyNot
from app.desk import Desk
from app.model_store import Served
from app.views import evidence
from app.widgets import evidence_points
from app.widgets.evidence_origin import shown_card
from skin_lesion.evaluation.figures import Estimate
from skin_lesion.evaluation.report import EvaluationReport, sample_of_test
from skin_lesion.registry import RegisteredVersion
from skin_lesion.registry.recorded import RecordedEvidence
from skin_lesion.settings import DashboardConfig
from skin_lesion.texts import LANGUAGES, Language, Texts
from tests.app.dashboard.desk_of_ones_own import desk_of, html_of, saying

SECTIONS = ("summary", "points", "classes", "belief", "groups", "failures", "origin", "card")
CARD = "# Model card: m\n\n> For research.\n\nSee [Data sheet](<data_sheet.md>).\n\n## Model\n"


@pytest.fixture(scope="module")
def found(small_report: EvaluationReport) -> Evidence:
    summary = small_report.summary
    version = RegisteredVersion(
        name="m", version=3, uri="models:/m-3", bundle_hash="b" * 64, run_id="r<un>",
        created=False, tags={"code_version": "1.0<b>"},
    )  # fmt: skip
    made = Evidence(
        version, "r<un>", RecordedEvidence.model_validate_json(summary.model_dump_json())
    )
    made._kept["sample"] = sample_of_test(small_report.predictions)
    made._kept["documents/model_card.md"] = CARD
    for name, png in small_report.figures.items():
        made._kept[f"evaluation/{name}.png"] = png
    return made


@pytest.fixture(autouse=True)
def without_history(monkeypatch: pytest.MonkeyPatch) -> None:
    from app.widgets import evidence_origin

    monkeypatch.setattr(evidence_origin, "last_change", lambda _: None)


def serving(small_report: EvaluationReport) -> Served:
    """A model with the thresholds that the report measured."""
    served = saying(3)
    contract = served.contract.deciding(small_report.summary.decisions)
    return Served(served.version, served.predictor, contract, served.since)


def _script(desk: object, section: str) -> None:
    import streamlit as st

    from app.views import evidence

    st.session_state.setdefault("evidence_section_last", section)
    evidence.show(desk)  # type: ignore[arg-type]


def opened(made: Desk, section: str = "summary") -> AppTest:
    wanted = {"desk": made, "section": section}
    page = AppTest.from_function(_script, kwargs=wanted, default_timeout=60).run()
    assert not page.exception
    return page


def said(page: AppTest) -> str:
    parts = [*page.markdown, *page.warning, *page.info, *page.caption, *page.header]
    return "\n".join([*(one.value for one in parts), html_of(page)])


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("section", SECTIONS)
def test_every_section_is_drawn_in_every_language(
    tmp_path: Path,
    small_report: EvaluationReport,
    found: Evidence,
    monkeypatch: pytest.MonkeyPatch,
    section: str,
    language: Language,
) -> None:
    monkeypatch.setattr(evidence, "measured", lambda _: found)
    made = desk_of(tmp_path, serving(small_report), language=language)
    page = opened(made, section)
    [header] = page.header
    assert header.value == made.texts(f"evidence.{section}.title")
    assert [one.value for one in page.title] == [made.texts("evidence.title")]
    assert "<un>" not in said(page)
    assert "1.0<b>" not in said(page)
    assert "evidence." not in said(page)  # no key in place of its text


def test_numbers_are_written_as_the_language_writes_them(
    tmp_path: Path,
    small_report: EvaluationReport,
    found: Evidence,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(evidence, "measured", lambda _: found)
    auc = found.report.evidence.discrimination.lesions.estimates["melanoma_auc"].value
    for language, decimal in (("en", "."), ("es", ",")):
        made = desk_of(tmp_path, serving(small_report), language=language)  # type: ignore[arg-type]
        assert f"{auc:.3f}".replace(".", decimal) in said(opened(made))


def test_a_synthetic_model_is_said_to_be_one(
    tmp_path: Path,
    small_report: EvaluationReport,
    found: Evidence,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(evidence, "measured", lambda _: found)
    page = opened(desk_of(tmp_path, serving(small_report)))
    assert "drawn by a computer" in said(page)


def test_another_prevalence_changes_what_a_flag_means(
    tmp_path: Path,
    small_report: EvaluationReport,
    found: Evidence,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(evidence, "measured", lambda _: found)
    page = opened(desk_of(tmp_path, serving(small_report)), "points")
    before = said(page)
    page.select_slider(key="evidence_prevalence").set_value(50).run()
    assert not page.exception
    after = said(page)
    assert before != after
    assert "50\u00a0%" in after


def test_the_referral_point_is_told_in_words_wherever_it_lies(
    small_report: EvaluationReport,
) -> None:
    summary, texts = small_report.summary, Texts("en")
    sample = sample_of_test(small_report.predictions)
    points = point_values(sample, summary.evidence.operating_points, count=20, seed=1)
    one = next(iter(points.values()))
    needed = one.prevalence_for(REFERRAL)
    assert needed is not None
    for prevalence, words in ((0.5, "at least 3\u00a0%"), (needed / 2, "below a PPV of 3\u00a0%")):
        ppv = one.at(prevalence).ppv.value
        assert words in evidence_points.referral(texts, one, ppv, prevalence)
    sure = replace(
        one,
        figures=one.figures.model_copy(update={"lesion_specificity": Estimate(value=1.0)}),
    )
    assert "At any prevalence" in evidence_points.referral(texts, sure, 1.0, 0.03)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    "reason", ["unrecorded", "unreachable", "loading", "another_library", "another_model"]
)
def test_without_evidence_the_page_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: WhyNot, language: Language
) -> None:
    monkeypatch.setattr(evidence, "measured", lambda _: None)
    monkeypatch.setattr(evidence, "why_not", lambda _: reason)
    made = desk_of(tmp_path, saying(3), language=language)
    assert made.texts(f"evidence.without.{reason}", version=3) in said(opened(made))


def test_without_a_model_the_frame_alone_speaks(tmp_path: Path) -> None:
    page = opened(desk_of(tmp_path, None))
    assert not page.warning
    assert not page.header


def test_without_the_answers_of_the_test_the_recorded_figures_are_shown_still(
    tmp_path: Path,
    small_report: EvaluationReport,
    found: Evidence,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(_: str) -> Any:
        raise LookupError("gone")

    monkeypatch.setattr(measured, "logged_predictions", fail)
    bare = Evidence(found.version, found.run_id, found.report)
    monkeypatch.setattr(evidence, "measured", lambda _: bare)
    made = desk_of(tmp_path, serving(small_report))
    for section in ("points", "classes", "belief"):
        text = said(opened(made, section))
        assert "cannot be fetched at the moment" in text
        assert "<table>" in text


def test_the_card_stands_below_the_pages_heading_and_links_to_no_file_beside_it() -> None:
    shown = shown_card(CARD + "\n[NICE](https://www.nice.org.uk/)\n")
    assert shown.startswith("> For research.")
    assert "See Data sheet." in shown
    assert "### Model" in shown
    assert "[NICE](https://www.nice.org.uk/)" in shown


def test_pictures_become_small_jpegs_on_white() -> None:
    buffer = io.BytesIO()
    Image.new("RGBA", (400, 100), (0, 0, 0, 0)).save(buffer, "PNG")
    jpeg = for_the_web(buffer.getvalue(), 200, 90)
    assert jpeg is not None
    with Image.open(io.BytesIO(jpeg)) as picture:
        assert (picture.format, picture.size) == ("JPEG", (200, 50))
        assert picture.getpixel((3, 3)) == (255, 255, 255)
    assert for_the_web(b"no picture", 200, DashboardConfig().jpeg_quality) is None
