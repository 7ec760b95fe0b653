"""What is said of rows of the table that hold more than was read."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app.clinic.batch_table import BatchRow
from app.clinic.risk import risk_of
from skin_lesion.texts import LANGUAGES, Language, Texts
from tests.app.dashboard.desk_of_ones_own import desk_of, html_of
from tests.app.dashboard.made import (
    DECISIONS,
    MELANOMA_POINT,
    made_reading,
    made_served,
    with_shares,
)


@pytest.fixture(autouse=True)
def _no_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for figures of models that no registry knows."""
    monkeypatch.setattr("app.widgets.answer.measured", lambda _: None)


def _answer(desk: object, rows: object, point: object) -> None:
    from app.widgets import batch_answer

    draw = batch_answer.single if len(rows) == 1 else batch_answer.lesion  # type: ignore[arg-type]
    draw(desk, rows[0] if len(rows) == 1 else rows, point)  # type: ignore[arg-type, index, operator]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_file_of_several_pictures_is_said_to_be_read_in_part(
    tmp_path: Path, language: Language
) -> None:
    served, texts = made_served(), Texts(language)
    rows = []
    for number, (name, several) in enumerate((("stack.tif", True), ("one.jpg", False))):
        reading = with_shares(made_reading(name, served=served, mel=0.3), several_frames=several)
        rows.append(BatchRow(number, reading, risk_of(reading.prediction, DECISIONS)))
    desk = desk_of(tmp_path, served, language=language)

    def said(*some: BatchRow) -> str:
        kwargs = {"desk": desk, "rows": list(some), "point": MELANOMA_POINT}
        page = AppTest.from_function(_answer, kwargs=kwargs, default_timeout=30).run()
        assert not page.exception
        return html_of(page) + "".join(box.value for box in page.info)

    assert texts("answer.several_frames") in said(rows[0])
    assert texts("answer.several_frames") not in said(rows[1])
    assert texts("batch.lesion.several_frames", names="stack.tif") in said(*rows)
