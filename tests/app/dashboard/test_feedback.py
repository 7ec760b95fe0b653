"""What a clinician says of an answer is written down once, and shown as it was written."""

from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from skin_lesion.audit import AuditError
from skin_lesion.texts import Texts
from tests.app.dashboard.desk_of_ones_own import desk_of, give, html_of, opened, press, saying


@pytest.fixture(autouse=True)
def nothing_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test asks a registry."""
    for place in ("app.widgets.answer.measured", "app.views.read.measured"):
        monkeypatch.setattr(place, lambda _: None)


def test_feedback_is_recorded_once_and_shown(tmp_path: Path) -> None:
    desk = desk_of(tmp_path, saying(mel=0.9))
    page = give(opened(desk))
    page.text_area(key="feedback.note.1").set_value("<b>milky red</b>").run()
    page.selectbox(key="feedback.label.1").set_value("bcc").run()
    press(page, "feedback_record_1")
    page.run()
    said = [row for row in desk.audit.rows() if row.is_feedback]
    assert [(row.feedback_label, row.corrects_id) for row in said] == [("bcc", 1)]
    assert said[0].feedback_note == "<b>milky red</b>"
    html = html_of(page)
    assert "Your diagnosis: Basal cell carcinoma" in html
    assert "&lt;b&gt;milky red" in html
    assert not [each for each in page.button if each.key.startswith("feedback_")]


def test_agreeing_records_the_class_that_the_model_named(tmp_path: Path) -> None:
    desk = desk_of(tmp_path, saying(mel=0.9))
    press(give(opened(desk)), "feedback_agree_1")
    assert [row.feedback_label for row in desk.audit.rows() if row.is_feedback] == ["mel"]


def test_nobody_agrees_who_has_chosen_another_class(tmp_path: Path) -> None:
    page = give(opened(desk_of(tmp_path, saying(mel=0.9))))
    for chosen, may_agree in (("bcc", False), ("mel", True), (None, True)):
        page.selectbox(key="feedback.label.1").set_value(chosen).run()
        assert page.button(key="feedback_agree_1").disabled is not may_agree


def test_feedback_that_the_log_does_not_take_is_said_to_be_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = desk_of(tmp_path, saying(mel=0.9))
    page = give(opened(desk))

    def fail(*_: object) -> None:
        raise AuditError("the disk is full, /var/lib/audit.db")

    monkeypatch.setattr(desk.audit, "feedback", fail)
    press(page, "feedback_agree_1")
    assert [each.value for each in page.error] == [Texts("en")("answer.feedback.failed")]
    assert "feedback_agree_1" in [each.key for each in page.button]


def test_a_second_click_that_was_on_its_way_records_nothing(tmp_path: Path) -> None:
    desk = desk_of(tmp_path, saying(mel=0.9))
    give(opened(desk))

    def clicks(desk: object) -> None:
        from app.widgets import feedback

        for label in ("mel", "nv"):
            feedback._give(desk, 1, label, "note")  # type: ignore[arg-type]

    page = AppTest.from_function(clicks, kwargs={"desk": desk}).run()
    assert not page.exception
    assert [row.feedback_label for row in desk.audit.rows() if row.is_feedback] == ["mel"]


def test_a_log_in_that_is_over_records_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = desk_of(tmp_path, saying(mel=0.9))
    page = give(opened(desk))
    # The button was drawn before the end of the log-in, and is pressed after it.
    monkeypatch.setattr("app.widgets.door.is_over", lambda: True)
    monkeypatch.setattr("app.views.read.st.rerun", st.stop)
    page.button(key="feedback_agree_1").click().run()
    assert not [row for row in desk.audit.rows() if row.is_feedback]
    assert not page.button


def test_a_note_that_has_no_place_in_a_log_is_refused_in_words(tmp_path: Path) -> None:
    desk = desk_of(tmp_path, saying(mel=0.9))
    page = give(opened(desk))
    page.text_area(key="feedback.note.1").set_value("seen\x1b[31m").run()
    press(page, "feedback_agree_1")
    assert [each.value for each in page.error] == [Texts("en")("answer.feedback.refused")]
    assert not [row for row in desk.audit.rows() if row.is_feedback]
