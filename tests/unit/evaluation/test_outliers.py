import socket

import numpy as np
import pytest

from skin_lesion.evaluation.outliers import (
    PHOTOGRAPHS,
    REPORT_SOURCES,
    SELECTION_SOURCES,
    SPOILT_BY,
    corrupted,
    lesion_free_skin,
    non_lesion_crops,
)

HEIGHT, WIDTH = 24, 32


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    return np.random.default_rng(0).integers(60, 200, (23, HEIGHT, WIDTH, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def crops():
    return non_lesion_crops(count=100, height=HEIGHT, width=WIDTH, seed=3)


def test_every_photograph_comes_with_a_library_and_needs_no_network(monkeypatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("the network was asked for")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    for name, photograph in PHOTOGRAPHS.items():
        picture = np.asarray(photograph.read())
        assert min(picture.shape[:2]) >= 150, name
        grey = np.ptp(picture.astype(int), axis=2).max() == 0
        assert grey != photograph.coloured, name


def test_crops_come_evenly_from_all_photographs(crops) -> None:
    assert crops.pixels.shape == (100, HEIGHT, WIDTH, 3)
    assert crops.pixels.dtype == np.uint8
    names, counts = np.unique(crops.source, return_counts=True)
    assert set(names) == set(PHOTOGRAPHS)
    assert counts.max() - counts.min() <= 1


def test_crops_differ_from_one_another(crops) -> None:
    assert len({picture.tobytes() for picture in crops.pixels}) == len(crops)


def test_equal_seeds_give_equal_crops_and_a_larger_number_holds_the_smaller(crops) -> None:
    again = non_lesion_crops(count=100, height=HEIGHT, width=WIDTH, seed=3)
    assert np.array_equal(again.pixels, crops.pixels)
    more = non_lesion_crops(count=150, height=HEIGHT, width=WIDTH, seed=3)
    held = {picture.tobytes() for picture in more.pixels}
    assert all(picture.tobytes() in held for picture in crops.pixels)
    other = non_lesion_crops(count=100, height=HEIGHT, width=WIDTH, seed=4)
    assert not np.array_equal(other.pixels, crops.pixels)


def test_no_photograph_is_in_both_halves_and_each_half_has_both_kinds() -> None:
    assert set(PHOTOGRAPHS) == SELECTION_SOURCES | REPORT_SOURCES
    assert not SELECTION_SOURCES & REPORT_SOURCES
    for half in (SELECTION_SOURCES, REPORT_SOURCES):
        coloured = sum(PHOTOGRAPHS[name].coloured for name in half)
        assert 4 <= coloured <= len(half) - 4


def test_too_few_crops_are_an_error() -> None:
    with pytest.raises(ValueError, match="at least one of each"):
        non_lesion_crops(count=3, height=HEIGHT, width=WIDTH, seed=0)


def test_every_picture_is_spoilt_once_and_stays_as_it_was(pictures) -> None:
    before = pictures.copy()
    spoilt = corrupted(pictures, 0)
    assert np.array_equal(pictures, before)
    assert spoilt.pixels.shape == pictures.shape
    assert all((spoilt.pixels != pictures).any(axis=(1, 2, 3)))
    counts = [int((spoilt.source == name).sum()) for name in SPOILT_BY]
    assert max(counts) - min(counts) <= 1


def test_each_way_of_spoiling_does_what_its_name_says(pictures) -> None:
    spoilt = corrupted(pictures, 0)
    for picture, result, name in zip(pictures, spoilt.pixels, spoilt.source, strict=True):
        if name == "inverted colours":
            assert np.array_equal(result, 255 - picture)
        elif name == "shuffled pixels":
            assert np.array_equal(
                np.sort(result.reshape(-1, 3), axis=0), np.sort(picture.reshape(-1, 3), axis=0)
            )
        elif name == "pure noise":
            assert abs(np.corrcoef(result.ravel(), picture.ravel())[0, 1]) < 0.1
        else:
            assert result.std(axis=(0, 1)).max() < 0.3 * picture.std(axis=(0, 1)).min()
            assert result.mean(axis=(0, 1)) == pytest.approx(picture.mean(axis=(0, 1)), abs=2)


def test_equal_seeds_spoil_in_the_same_way(pictures) -> None:
    assert np.array_equal(corrupted(pictures, 1).pixels, corrupted(pictures, 1).pixels)
    assert not np.array_equal(corrupted(pictures, 1).source, corrupted(pictures, 2).source)


def test_only_pictures_can_be_spoilt() -> None:
    with pytest.raises(ValueError, match="expected uint8"):
        corrupted(np.zeros((2, 8, 8, 3)), 0)


def test_drawn_skin_has_the_colour_of_skin_and_nothing_on_it() -> None:
    skin = lesion_free_skin(count=6, height=60, width=80, seed=0)
    assert skin.pixels.shape == (6, 60, 80, 3)
    red, green, blue = skin.pixels.reshape(6, -1, 3).mean(axis=1).T
    assert np.all(red > green)
    assert np.all(green > blue - 15)
    # A lesion would make the middle darker than the rim by far more.
    rim, middle = skin.pixels[:, :15].mean(axis=(1, 2, 3)), skin.pixels[:, 22:38, 30:50]
    assert np.abs(rim - middle.mean(axis=(1, 2, 3))).max() < 25
    assert np.array_equal(
        skin.pixels, lesion_free_skin(count=6, height=60, width=80, seed=0).pixels
    )
    assert len(np.unique(skin.pixels, axis=0)) == 6
