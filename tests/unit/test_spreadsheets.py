import pytest

from skin_lesion.spreadsheets import no_formula


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "\n=1", "＝1+1", "  =1", "'=1", "'a"]
)
def test_what_a_spreadsheet_would_run_gets_an_apostrophe_that_can_be_taken_off(text: str) -> None:
    assert no_formula(text) == f"'{text}"
    assert no_formula(text)[1:] == text


@pytest.mark.parametrize("text", ["", "a.jpg", "1.jpg", "a=b.jpg", "ä 猫.png", "a'b"])
def test_any_other_text_stays_as_it_is(text: str) -> None:
    assert no_formula(text) == text
