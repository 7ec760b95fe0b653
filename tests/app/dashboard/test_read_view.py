"""The page `read`, as a user works with it, on a model that says what the test wants."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from streamlit.testing.v1 import AppTest

from app.clinic.users import User
from app.desk import Desk
from app.widgets.definitions import definitions
from skin_lesion.audit import AuditError
from skin_lesion.evaluation.figures import Estimate
from skin_lesion.evaluation.operating_points import FlagFigures
from skin_lesion.labels import LABELS
from skin_lesion.texts import LANGUAGES, Language, Texts
from tests.app.dashboard.desk_of_ones_own import (
    SayingPredictor,
    StoreOfOne,
    desk_of,
    give,
    html_of,
    opened,
    picture,
    press,
    saying,
)

PERCENT = re.compile(r"\d[.,]\d[\s\u00a0]%")


@pytest.fixture(autouse=True)
def nothing_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test asks a registry."""
    for place in ("app.widgets.answer.measured", "app.views.read.measured"):
        monkeypatch.setattr(place, lambda _: None)


def promote(desk: Desk, version: int) -> None:
    store = desk.store
    assert isinstance(store, StoreOfOne)
    store.served = saying(version, nv=0.0)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_picture_is_read_once_and_the_answer_stays_over_reruns(
    tmp_path: Path, language: Language
) -> None:
    desk = desk_of(tmp_path, saying(mel=0.9), language=language)
    page = give(opened(desk))
    page.run()
    page.run()
    html, texts = html_of(page), Texts(language)
    assert len(list(desk.audit.rows())) == 1
    assert texts("answer.risk.level.very_high") in html
    assert texts("classes.mel.name") in html
    assert texts("read.versions.by", version=3) in html


def test_a_sure_melanoma_does_not_reassure(tmp_path: Path) -> None:
    html = html_of(give(opened(desk_of(tmp_path, saying(mel=0.97)))))
    [confidence] = re.findall(r'<div class="sl-confidence.*?</div></div>', html)
    assert "sl-confidence-high" in confidence  # green, and nowhere without the class
    assert "The model is sure of" in confidence
    assert "Melanoma" in confidence
    assert "malignant" in confidence
    assert html.index("sl-risk-very_high") < html.index("sl-confidence-high")
    assert "green" not in html


def test_all_seven_classes_stand_in_a_table_for_screen_readers(tmp_path: Path) -> None:
    html = html_of(give(opened(desk_of(tmp_path, saying(mel=0.55, bcc=0.35)))))
    [table] = re.findall(r'<table class="sl-spoken">.*?</table>', html)
    rows = re.findall(r'<th scope="row">(.*?)</th><td>(.*?)</td>', table)
    assert [name for name, _ in rows[:3]] == [
        "Melanoma",
        "Basal cell carcinoma",
        "Melanocytic naevus",
    ]
    assert len(rows) == 7
    assert rows[0][1] == Texts("en").percent(0.55, 1)


@pytest.mark.parametrize("reason", ["too_blurred", "unlike_training", "a_reason_of_the_future"])
def test_what_cannot_be_assessed_says_why_and_shows_no_probability(
    tmp_path: Path, reason: str
) -> None:
    page = give(opened(desk_of(tmp_path, saying(refusal=reason, mel=0.9))))
    html, texts = html_of(page), Texts("en")
    assert texts("answer.refused.cannot_assess") in html
    assert texts("answer.refused.no_probability") in html
    assert not PERCENT.search(html)
    assert "sl-risk" not in html
    assert "sl-confidence" not in html
    if f"reasons.{reason}.why" in texts:
        assert texts(f"reasons.{reason}.why") in html.replace("&#x27;", "'")
        assert texts(f"reasons.{reason}.what_to_do") in html.replace("&#x27;", "'")


def test_a_file_that_is_no_picture_is_refused_in_words_and_its_name_is_no_markup(
    tmp_path: Path,
) -> None:
    name = "<img src=x onerror=alert(1)>.pdf"
    html = html_of(give(opened(desk_of(tmp_path, saying())), name, b"%PDF-1.7"))
    assert Texts("en")("answer.refused.unreadable") in html
    assert "<img src=x" not in html
    assert "&lt;img src=x" in html


def test_the_verdict_follows_the_operating_point_which_is_remembered(tmp_path: Path) -> None:
    desk = desk_of(tmp_path, saying(mel=0.25, bcc=0.1))
    page = give(opened(desk))
    texts = Texts("en")
    assert f"{texts('answer.point.positive')} for melanoma" in html_of(page)
    page.selectbox(key="read_operating_point").set_value("malignant_sensitivity_95").run()
    html = html_of(page)
    assert f"{texts('answer.point.negative')} for malignancy" in html
    assert texts("answer.point.negative_meaning") in html
    assert page.session_state["operating_point"] == "malignant_sensitivity_95"
    give(page, "another.jpg", picture(7))
    assert page.selectbox(key="read_operating_point").value == "malignant_sensitivity_95"


def test_the_verdict_brings_what_was_measured_of_its_point_or_what_was_asked_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = desk_of(tmp_path, saying(mel=0.9))
    page = give(opened(desk))
    assert Texts("en")("answer.point.frozen_sensitivity", goal="95\u00a0%") in html_of(page)
    figures = FlagFigures.model_construct(
        positive_lesions=92,
        negative_lesions=1021,
        lesion_sensitivity=Estimate(value=0.951, ci_low=0.908, ci_high=0.988),
        lesion_specificity=Estimate(value=0.666),
    )
    evidence = SimpleNamespace(operating_points={"melanoma_sensitivity_95": figures})
    monkeypatch.setattr("app.widgets.answer.measured", lambda _: evidence)
    page.run()
    said = html_of(page).replace("\u00a0", " ")
    assert "92 melanomas and 1,021 other lesions of the test set: sensitivity 95.1 %" in said
    assert "95.1 % (90.8–98.8 %)" in said
    assert "specificity 66.6 %." in said  # no interval is made up where there is none


def test_a_heat_map_is_drawn_for_the_class_that_is_asked_for(tmp_path: Path) -> None:
    desk = desk_of(tmp_path, saying(mel=0.9))
    page = give(opened(desk))
    page.selectbox(key="read_class_1").set_value("bkl").run()
    page.run()
    predictor = desk.store.current().predictor
    assert isinstance(predictor, SayingPredictor)
    assert predictor.drawn == ["bkl"]
    assert Texts("en")("read.viewer.caveat") in html_of(page)


def test_after_a_promotion_the_reading_stays_and_a_new_one_is_offered(tmp_path: Path) -> None:
    desk = desk_of(tmp_path, saying(3, mel=0.9))
    page = give(opened(desk))
    promote(desk, 4)
    page.run()
    texts = Texts("en")
    assert texts("read.versions.outdated", version=3, current=4) in html_of(page)
    assert len(list(desk.audit.rows())) == 1
    press(page, "read_by_current")
    page.run()
    html = html_of(page)
    assert [row.model_version for row in desk.audit.rows()] == ["3", "4"]
    assert texts("read.versions.by", version=4) in html
    assert texts("read.versions.took_over", version=4, before=3) in html
    press(page, "read_open_1")
    assert texts("read.versions.by", version=3) in html_of(page)


def test_a_reading_after_a_promotion_is_by_the_new_model_and_says_so(tmp_path: Path) -> None:
    desk = desk_of(tmp_path, saying(3, mel=0.9))
    page = give(opened(desk))
    promote(desk, 4)
    give(page, "next.jpg", picture(9))
    assert Texts("en")("read.versions.took_over", version=4, before=3) in html_of(page)


def test_nothing_is_shown_that_was_not_written_down_and_trying_again_reads_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = desk_of(tmp_path, saying(mel=0.9))
    page = opened(desk)
    with monkeypatch.context() as broken:

        def fail(*_: object) -> None:
            raise AuditError("the disk is full, /var/lib/audit.db")

        broken.setattr(desk.audit, "record_all", fail)
        give(page)
        assert [each.value for each in page.error] == [Texts("en")("read.reading.failed")]
        assert "sl-risk" not in html_of(page)
    press(page, "read_again")
    assert "sl-risk" in html_of(page)
    assert len(list(desk.audit.rows())) == 1


def test_a_model_that_breaks_down_shows_a_sentence_and_no_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = desk_of(tmp_path, saying(mel=0.9))
    page = opened(desk)

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("cannot allocate /dev/shm/x")

    monkeypatch.setattr(desk.store.current().predictor, "predict", fail)
    give(page)
    assert [each.value for each in page.error] == [Texts("en")("read.reading.broken")]
    press(page, "read_give_up")
    assert not page.error


def test_without_a_model_the_page_waits_and_goes_on_by_itself(tmp_path: Path) -> None:
    desk = desk_of(tmp_path, None)
    page = opened(desk)
    assert [each.value for each in page.info] == [Texts("en")("read.waiting")]
    assert not page.get("file_uploader")
    promote(desk, 1)
    page.run()
    assert page.get("file_uploader")


def test_who_is_no_clinician_reads_no_picture(tmp_path: Path) -> None:
    user = User("eva", frozenset({"engineer"}))
    page = opened(desk_of(tmp_path, saying(), user=user))
    assert [each.value for each in page.warning] == [Texts("en")("read.not_clinician")]
    assert not page.get("file_uploader")


def test_a_drawn_sample_is_marked_as_drawn_wherever_it_goes(tmp_path: Path) -> None:
    page = opened(desk_of(tmp_path, saying(mel=0.9)))
    page.session_state["read_source"] = "samples"
    page.run()
    texts = Texts("en")
    assert texts("read.intake.samples_help") in html_of(page)
    press(page, "read_take_mel")
    assert texts("read.picture.drawn") in html_of(page)
    assert "Drawn as: Melanoma" in html_of(page)


def test_a_callback_that_is_called_again_gives_nothing_again(tmp_path: Path) -> None:
    """Streamlit calls it twice where a run of the page was overtaken by another one."""
    desk = desk_of(tmp_path, saying(mel=0.9))

    def callbacks(desk: object) -> None:
        from app.clinic.samples import samples
        from app.clinic.tray import Tray
        from app.widgets import uploader

        tray = Tray(desk.config)  # type: ignore[attr-defined]
        for _ in range(2):
            uploader._take_sample(samples()[0], "drawn", tray, 0)
        assert tray.waiting == 1

    assert not AppTest.from_function(callbacks, kwargs={"desk": desk}).run().exception


@pytest.mark.parametrize(
    ("language", "edition"), [("en", "ICD-10-CM L57.0"), ("es", "CIE-10-ES L57.0")]
)
def test_a_code_names_its_edition_and_is_not_taken_for_that_of_the_whole_class(
    language: Language, edition: str
) -> None:
    """C44.91, L82.1 and D18.01 are in no other edition; Bowen's disease is no L57.0."""
    texts = Texts(language)
    html = definitions(texts, ["akiec"])
    assert edition in html
    assert html.count(texts("answer.classes.leading")) == len(LABELS)
