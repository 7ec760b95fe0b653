"""How numbers of images, lesions and what stands for them are written."""

import typing

import pytest

from skin_lesion.evaluation.figures import Units
from skin_lesion.evaluation.wording import (
    UNIT_NAMES,
    counts,
    counts_head,
    drawn_units,
    images_and_lesions,
    images_of,
    pictures_of,
    short_units,
)


def test_every_unit_has_a_name() -> None:
    assert set(UNIT_NAMES) == set(typing.get_args(Units))


@pytest.mark.parametrize(
    ("units", "of", "said"),
    [
        ("lesion_group", 1, "1,200 images of 1 lesion group"),
        ("lesion", 900, "1,200 images of 900 lesions"),
        ("picture", 1200, "1,200 images"),
        ("lesion_or_picture", 900, "1,200 images: 900 lesions and pictures without a lesion id"),
    ],
)
def test_images_are_said_to_be_of_lesions_only_where_these_are_known(
    units: Units, of: int, said: str
) -> None:
    assert images_of(1200, of, units) == said


@pytest.mark.parametrize("units", typing.get_args(Units))
def test_a_head_has_as_many_parts_as_its_cells(units: Units) -> None:
    assert counts_head(units).count(" / ") == counts(36, 18, units).count(" / ")


def test_pictures_are_not_counted_twice() -> None:
    assert counts(36, 36, "picture") == "36"
    assert images_and_lesions(36, 36, "picture") == "36 images"


def test_an_interval_is_over_what_was_drawn() -> None:
    assert drawn_units("picture") == "pictures"
    # What a picture's small print calls groups; the page says what these lesions are.
    assert drawn_units("lesion_group") == "lesions"


def test_drawings_have_room_for_short_words_alone() -> None:
    for units in typing.get_args(Units):
        assert len(short_units(units)) <= 20
    assert pictures_of(250, 244, "lesion_or_picture") == "250 pictures"
    assert pictures_of(250, 244, "lesion_group") == "250 pictures of 244 lesions"
