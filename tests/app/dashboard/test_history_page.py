"""The page of one's own readings, drawn by Streamlit on a log of its own."""

import hashlib
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app.clinic.users import User
from app.desk import Desk
from app.model_store import NotReadyError
from skin_lesion.audit import AuditError, AuditLog, Entry
from skin_lesion.labels import LABELS
from skin_lesion.prediction import Prediction, Versions
from skin_lesion.settings import DashboardConfig
from skin_lesion.texts import Language, Texts

ME = User("dr.<b>pérez</b>", frozenset({"clinician"}))
ENGINEER = User("ana", frozenset({"engineer"}))


class NoStore:
    def current(self) -> None:
        raise NotReadyError("nothing serves")


@pytest.fixture
def log(tmp_path: Path) -> AuditLog:
    return AuditLog.open(f"sqlite:///{tmp_path / 'audit.db'}")


def read(log: AuditLog, user: User, label: str | None = "mel") -> int:
    versions = Versions("b" * 64, "c" * 64, "1")
    sha256 = hashlib.sha256(b"picture").hexdigest()
    if label is None:
        said = Prediction("cannot_assess", "blurred", image_sha256=sha256, versions=versions)
    else:
        shares = {one: 0.7 if one == label else 0.05 for one in LABELS}
        said = Prediction(
            "ok", probabilities=shares, prediction=label, image_sha256=sha256, versions=versions,
            verdicts={"melanoma_sensitivity_95": label == "mel"},
        )  # fmt: skip
    return log.record(Entry(user.name, user.role, said)).id


def _page(desk):  # type: ignore[no-untyped-def]
    from app.views import history

    history.show(desk)


def _reading(desk):  # type: ignore[no-untyped-def]
    from app.widgets.history_reading import show_reading

    show_reading(desk, desk.audit.readings(user=desk.user.name)[0])


def drawn(script: object, log: AuditLog, user: User = ME, language: Language = "en") -> AppTest:
    texts = Texts(language)
    desk = Desk(DashboardConfig(), texts, user, NoStore(), log)  # type: ignore[arg-type]
    page = AppTest.from_function(script, args=(desk,), default_timeout=60).run()  # type: ignore[arg-type]
    assert not page.exception
    return page


@pytest.mark.parametrize("language", ["en", "es"])
def test_a_user_sees_their_own_readings_and_no_others(log: AuditLog, language: Language) -> None:
    mine = [read(log, ME), read(log, ME, None)]
    read(log, ENGINEER, "bcc")
    page = drawn(_page, log, language=language)
    [table] = page.dataframe
    assert len(table.value) == len(mine)
    assert list(table.value["malignant"])[1] == pytest.approx(0.8)


def test_an_engineer_sees_their_own_too_and_may_check_the_chain(log: AuditLog) -> None:
    read(log, ME)
    page = drawn(_page, log, ENGINEER)
    assert not page.dataframe
    page.button(key="history_check").click().run()
    assert "1 rows" in page.success[0].value
    assert str(log.head()) == page.code[0].value
    assert not [button for button in drawn(_page, log, ME).button if button.key == "history_check"]


def test_a_filter_that_nothing_passes_says_so(log: AuditLog) -> None:
    read(log, ME)
    page = drawn(_page, log)
    page.multiselect(key="history_classes").set_value(["vasc"]).run()
    assert not page.dataframe
    assert page.info[0].value == Texts("en")("history.filter.none_left")


def test_who_read_nothing_is_told_so(log: AuditLog) -> None:
    assert drawn(_page, log).info[0].value == Texts("en")("history.nothing")


def test_a_log_that_cannot_be_read_is_told_without_a_path(
    log: AuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(**_: object) -> None:
        raise AuditError("the audit log at sqlite:////a/secret/path cannot be read")

    monkeypatch.setattr(log, "readings", fails)
    assert drawn(_page, log).error[0].value == Texts("en")("history.failed")


def test_what_was_said_is_corrected_by_saying_more(log: AuditLog) -> None:
    number = read(log, ME)
    log.feedback(number, ME.name, ME.role, "nv", "first thought")
    page = drawn(_reading, log)
    page.button(key=f"history_change_{number}").click().run()
    page.button(key=f"feedback_agree_{number}").click().run()
    assert not page.exception
    said = [row.feedback_label for row in log.rows() if row.is_feedback]
    assert said == ["nv", "mel"]
    assert log.readings(user=ME.name)[0].feedback.feedback_label == "mel"  # type: ignore[union-attr]
    page.run()
    assert [row.feedback_label for row in log.rows() if row.is_feedback] == said
    # It can be corrected again.
    page.button(key=f"history_change_{number}").click().run()
    assert page.button(key=f"feedback_agree_{number}")


def test_a_reading_without_an_answer_says_why(log: AuditLog) -> None:
    read(log, ME, None)
    page = drawn(_reading, log, language="es")
    assert page.info
