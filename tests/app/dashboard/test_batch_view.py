"""The page of many pictures, as a user works with it, on a model that says what the test wants."""

import re
from pathlib import Path

import pyarrow as pa
import pytest
from streamlit.testing.v1 import AppTest

from app.clinic.batch_table import Batch, BatchRow
from app.clinic.risk import risk_of
from app.clinic.users import User
from app.desk import Desk
from app.widgets import batch_intake
from skin_lesion.audit import AuditError
from skin_lesion.settings import DashboardConfig
from skin_lesion.texts import LANGUAGES, Language, Texts
from tests.app.dashboard.desk_of_ones_own import StoreOfOne, desk_of, html_of, picture, saying
from tests.app.dashboard.made import (
    DECISIONS,
    MELANOMA_POINT,
    made_reading,
    made_refusal,
    made_served,
)

PERCENT = re.compile(r"\d[.,]\d[\s\u00a0]%")


@pytest.fixture(autouse=True)
def _no_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for figures of models that no registry knows."""
    monkeypatch.setattr("app.widgets.answer.measured", lambda _: None)


def _page(desk: object) -> None:
    from app.views import batch

    batch.show(desk)  # type: ignore[arg-type]


def _answer(desk: object, rows: object, point: object) -> None:
    from app.widgets import batch_answer

    if len(rows) == 1:  # type: ignore[arg-type]
        batch_answer.single(desk, rows[0], point)  # type: ignore[arg-type, index]
    else:
        batch_answer.lesion(desk, rows, point)  # type: ignore[arg-type]


def opened(desk: Desk) -> AppTest:
    page = AppTest.from_function(_page, kwargs={"desk": desk}, default_timeout=30).run()
    assert not page.exception
    return page


def give(page: AppTest, *names: str, data: bytes | None = None) -> AppTest:
    [uploader] = page.get("file_uploader")
    uploader.set_value(
        [(name, data if data is not None else picture(i), "x") for i, name in enumerate(names)]
    )
    page.run()
    assert not page.exception
    return page


def table(page: AppTest, number: int = -1) -> list[dict[str, object]]:
    frame = page.dataframe[number].value
    return [dict(row) for _, row in frame.iterrows()]


def answered(desk: Desk, *rows: BatchRow) -> str:
    kwargs = {"desk": desk, "rows": list(rows), "point": MELANOMA_POINT}
    page = AppTest.from_function(_answer, kwargs=kwargs, default_timeout=30).run()
    assert not page.exception
    boxes = [*page.info, *page.warning, *page.error]
    return "\n".join([html_of(page), *(box.value for box in boxes)])


def row(reading: object, number: int = 1) -> BatchRow:
    return BatchRow(number, reading, risk_of(reading.prediction, DECISIONS))  # type: ignore[arg-type, attr-defined]


@pytest.mark.parametrize("language", LANGUAGES)
def test_pictures_are_read_and_written_down_once_and_stay_over_reruns(
    tmp_path: Path, language: Language
) -> None:
    desk = desk_of(tmp_path, saying(mel=0.9), language=language)
    page = give(opened(desk), "a.jpg", "b.jpg")
    page.run()
    page.run()
    assert len(list(desk.audit.rows())) == 2
    texts = Texts(language)
    assert [cells["name"] for cells in table(page)] == ["a.jpg", "b.jpg"]
    assert texts("answer.risk.level.very_high") in str(table(page)[0]["risk"])
    assert texts("answer.point.positive") in str(table(page)[0]["verdict"])


def test_a_second_call_of_an_overtaken_run_gives_nothing_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class File:
        name = "a.jpg"

        def getvalue(self) -> bytes:
            return picture()

    state: dict[str, object] = {"batch_files_0": [File()]}
    monkeypatch.setattr(batch_intake.st, "session_state", state)
    batch = Batch(DashboardConfig())
    batch_intake._take("batch_files_0", batch)
    batch_intake._take("batch_files_0", batch)
    assert batch.waiting == 1


def test_what_got_no_answer_stands_in_a_group_of_its_own_with_what_to_do(tmp_path: Path) -> None:
    page = give(opened(desk_of(tmp_path, saying(mel=0.9))), "broken.jpg", data=b"no picture")
    [cells] = table(page, 0)
    assert cells["what_to_do"] == Texts("en")("reasons.unsupported_format.what_to_do")
    assert "Without an answer: 1" in html_of(page)
    assert not PERCENT.search(html_of(page))


def test_a_filter_shows_some_and_says_of_how_many(tmp_path: Path) -> None:
    page = give(opened(desk_of(tmp_path, saying(mel=0.9))), "a.jpg", "b.jpg")
    page.button_group(key="batch_show").set_value("below").run()
    assert not page.exception
    assert "0 of 2 are shown" in html_of(page)
    assert page.info[0].value == Texts("en")("batch.table.none")
    page.button_group(key="batch_show").set_value("suspicious").run()
    assert len(table(page)) == 2


def test_files_of_one_lesion_are_proposed_and_combined_with_the_rule_stated(tmp_path: Path) -> None:
    page = give(opened(desk_of(tmp_path, saying(mel=0.9))), "p7_arm-1.jpg", "p7_arm-2.jpg")
    [proposal] = [each for each in page.selectbox if each.key == "batch_proposal"]
    proposal.select_index(1).run()
    assert not page.exception
    html, texts = html_of(page), Texts("en")
    assert texts("batch.lesion.title", count="2") in html
    assert texts("batch.lesion.suspicious") in html
    assert texts("batch.lesion.rule")[:60] in html


def test_names_are_text_and_nothing_else(tmp_path: Path) -> None:
    reading = made_reading("<img src=x onerror=alert(1)>.jpg", mel=0.3)
    other = made_reading("<b>2</b>.jpg", mel=0.1)
    desk = desk_of(tmp_path, saying())
    html = answered(desk, row(reading)) + answered(desk, row(reading), row(other, 2))
    assert "<img src=x" not in html
    assert "<b>2" not in html
    assert "&lt;b&gt;2" in html


def test_the_answer_of_a_row_is_that_of_its_picture(tmp_path: Path) -> None:
    html = answered(desk_of(tmp_path, saying()), row(made_reading(mel=0.3)))
    texts = Texts("en")
    assert texts("answer.point.positive") in html
    assert texts("batch.single.title", name="lesion.jpg") in html
    refused = answered(desk_of(tmp_path, saying()), row(made_refusal()))
    assert texts("reasons.too_dark.why") in refused
    assert not PERCENT.search(refused)


def test_a_row_whose_file_was_let_go_says_so_and_still_answers(tmp_path: Path) -> None:
    said = answered(desk_of(tmp_path, saying()), row(made_reading(data=b"", mel=0.3)))
    assert "To spare memory" in said
    assert Texts("en")("answer.point.positive") in said


def test_one_suspicious_picture_is_named_and_its_risk_is_the_lesions(tmp_path: Path) -> None:
    loud, quiet = made_reading("loud.jpg", mel=0.25), made_reading("quiet.jpg", mel=0.01)
    html = answered(desk_of(tmp_path, saying()), row(loud), row(quiet, 2))
    texts = Texts("en")
    assert texts("batch.lesion.because", names="loud.jpg") in html
    assert texts("batch.lesion.mean_below") in html
    level = risk_of(loud.prediction, DECISIONS)
    assert level is not None
    assert level.level == "high"
    assert texts("batch.lesion.risk", level=texts("answer.risk.level.high")) in html


def test_what_cannot_be_combined_is_not(tmp_path: Path) -> None:
    texts, desk = Texts("en"), desk_of(tmp_path, saying())
    mixed = answered(desk, row(made_reading("a")), row(made_reading("b", served=made_served(4)), 2))
    assert texts("batch.lesion.mixed") in mixed
    nothing = answered(desk, row(made_refusal("a.jpg")), row(made_refusal("b.jpg"), 2))
    assert texts("batch.lesion.nothing") in nothing
    assert texts("batch.lesion.left_out", names="a.jpg, b.jpg") in nothing
    assert not PERCENT.search(mixed + nothing)


def test_readings_of_a_model_that_was_replaced_say_so(tmp_path: Path) -> None:
    desk = desk_of(tmp_path, saying(3))
    page = give(opened(desk), "a.jpg")
    store = desk.store
    assert isinstance(store, StoreOfOne)
    store.served = saying(4)
    page.run()
    said = Texts("en")("batch.outdated", versions="3", current=4)
    assert said in [box.value for box in page.info]


def test_where_the_log_fails_nothing_is_shown_and_the_user_may_try_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise AuditError("the disk of /secret/place is full")

    desk = desk_of(tmp_path, saying(mel=0.9))
    page = opened(desk)
    with monkeypatch.context() as broken:
        broken.setattr(desk.audit, "record_all", fail)
        give(page, "a.jpg")
    assert [box.value for box in page.error] == [Texts("en")("batch.failed", count="1")]
    assert not page.dataframe
    page.button(key="batch_again").click().run()
    assert not page.exception
    assert len(table(page)) == len(list(desk.audit.rows())) == 1


def test_what_nobody_foresaw_ends_in_words_and_can_be_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("/secret/place")

    served = saying(mel=0.9)
    page = opened(desk_of(tmp_path, served))
    with monkeypatch.context() as broken:
        broken.setattr(served.predictor, "predict", fail)
        give(page, "a.jpg")
    assert [box.value for box in page.error] == [Texts("en")("batch.broken", count="1")]
    page.button(key="batch_give_up").click().run()
    assert not page.exception
    assert not page.error


def test_files_that_were_not_taken_are_named(tmp_path: Path) -> None:
    desk = desk_of(tmp_path, saying(), config=DashboardConfig(max_files=1))
    html = html_of(give(opened(desk), "a.jpg", "<b>.jpg"))
    assert "&lt;b&gt;.jpg: one too many" in html


def test_emptying_the_table_leaves_the_log_as_it_is(tmp_path: Path) -> None:
    desk = desk_of(tmp_path, saying())
    page = give(opened(desk), "a.jpg")
    page.button(key="batch_clear").click().run()
    assert not page.exception
    assert not page.dataframe
    assert len(list(desk.audit.rows())) == 1


def test_only_clinicians_read_and_without_a_model_nobody_does(tmp_path: Path) -> None:
    user = User("erika", frozenset({"engineer"}))
    page = opened(desk_of(tmp_path, saying(), user=user))
    assert page.info[0].value == Texts("en")("read.not_clinician")
    assert not page.get("file_uploader")
    assert not opened(desk_of(tmp_path, None)).get("file_uploader")


def test_a_picture_is_judged_by_the_threshold_of_the_model_that_read_it(tmp_path: Path) -> None:
    """After a promotion the page's point is the newer model's, at another threshold."""
    newer = MELANOMA_POINT.model_copy(update={"threshold": 0.6})
    reading = made_reading("a.jpg", mel=0.3)
    desk = desk_of(tmp_path, made_served())
    page = AppTest.from_function(
        _answer, kwargs={"desk": desk, "rows": [row(reading)], "point": newer}, default_timeout=30
    ).run()
    texts, html = Texts("en"), html_of(page)
    assert "sl-verdict sl-positive" in html
    assert texts.percent(MELANOMA_POINT.threshold, 1) in html
    assert texts.percent(newer.threshold, 1) not in html


def test_no_verdict_is_given_at_a_point_that_the_model_did_not_have(tmp_path: Path) -> None:
    other = MELANOMA_POINT.model_copy(update={"name": "melanoma_sensitivity_80"})
    desk = desk_of(tmp_path, made_served())
    page = AppTest.from_function(
        _answer,
        kwargs={"desk": desk, "rows": [row(made_reading("a.jpg", mel=0.3))], "point": other},
        default_timeout=30,
    ).run()
    assert Texts("en")("answer.point.none") in html_of(page)


def test_shares_are_written_as_the_language_writes_them_and_never_as_certain(
    tmp_path: Path,
) -> None:
    """In the table as everywhere else; the browser would write them in its own way."""
    desk = desk_of(tmp_path, saying(mel=0.99999), language="es")
    page = give(opened(desk), "a.jpg")
    shown = pa.ipc.open_stream(
        page.dataframe[-1].proto.arrow_data.styler.display_values
    ).read_pandas()
    assert shown["malignant"].tolist() == shown["melanoma"].tolist() == [">\u00a099,9\u00a0%"]
    assert table(page)[0]["malignant"] == pytest.approx(0.99999)  # by which it is sorted
