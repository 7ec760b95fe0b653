"""Sheets of small pictures."""

import io

import numpy as np
import pytest
from PIL import Image

from skin_lesion.data.contact_sheets import contact_sheet


def sheet_of(count: int, columns: int, title: str = "title", caption: str = "x") -> np.ndarray:
    pictures = [np.full((30, 40, 3), (200, 0, 0), np.uint8)] * count
    data = contact_sheet(pictures, [caption] * count, columns, title, cell_width=80)
    return np.asarray(Image.open(io.BytesIO(data)))


def cells_in(sheet: np.ndarray) -> int:
    red = ((sheet[..., 0] > 150) & (sheet[..., 1] < 50)).sum()
    return round(red / (80 * 60))


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (5, 2), (6, 3), (4, 9)])
def test_every_picture_is_on_the_sheet(count: int, columns: int) -> None:
    sheet = sheet_of(count, columns)
    assert cells_in(sheet) == count
    assert sheet.shape[1] == columns * 86 + 6


def test_an_empty_sheet_is_a_picture_too() -> None:
    assert sheet_of(0, 3).ndim == 3


def test_a_title_takes_room_only_where_there_is_one() -> None:
    assert sheet_of(1, 1, title="title").shape[0] > sheet_of(1, 1, title="").shape[0]


def test_captions_may_have_several_lines_and_are_cut_to_the_cell() -> None:
    short, long = sheet_of(2, 2, caption="x"), sheet_of(2, 2, caption="very long " * 20)
    assert short.shape == long.shape
    assert sheet_of(2, 2, caption="x\ny").shape[0] > short.shape[0]
    gap = long[-20:, 86:92]
    assert (gap > 200).all()


def test_mismatched_captions_are_an_error() -> None:
    picture = np.zeros((3, 4, 3), np.uint8)
    with pytest.raises(ValueError, match="1 pictures have 2 captions"):
        contact_sheet([picture], ["a", "b"], 1, "")


@pytest.mark.parametrize(
    "picture", [np.zeros((3, 4), np.uint8), np.zeros((3, 4, 3)), np.zeros((3, 4, 4), np.uint8)]
)
def test_only_rgb_pictures_are_accepted(picture: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected uint8"):
        contact_sheet([picture], ["a"], 1, "")
