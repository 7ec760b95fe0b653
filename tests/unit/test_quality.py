from dataclasses import asdict, replace

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from skin_lesion.data.synthetic import draw_lesion
from skin_lesion.decisions import Limits
from skin_lesion.evaluation.outliers import PHOTOGRAPHS
from skin_lesion.labels import LABELS
from skin_lesion.quality import QUALITY_REASONS, Quality, fit_quality_limits, judge, measure
from skin_lesion.settings import SyntheticConfig

HEIGHT, WIDTH = 150, 200
FIT = {"acceptance": 0.95, "quality_share": 0.2, "min_short_side": 100, "max_aspect": 2.0}
GOOD = Quality(2.0, 150.0, 0.0, 0.0, 30.0, 1.0, 450.0, 4 / 3)


@pytest.fixture(scope="module")
def drawn() -> np.ndarray:
    config = SyntheticConfig(height=HEIGHT, width=WIDTH)
    return np.stack([draw_lesion(LABELS[i % 7], i, [0], config, 5)[0] for i in range(28)])


@pytest.fixture(scope="module")
def limits(drawn) -> dict[str, Limits]:
    return fit_quality_limits([measured(picture) for picture in drawn], **FIT)


def measured(picture: np.ndarray) -> Quality:
    return measure(picture, HEIGHT, WIDTH)


def even(red: float, green: float, blue: float) -> np.ndarray:
    return np.full((HEIGHT, WIDTH, 3), (red, green, blue), np.uint8)


def spread(count: int, seed: int) -> list[Quality]:
    """Qualities whose every measure varies."""
    random = np.random.default_rng(seed)
    columns = [
        random.normal(2, 0.3, count),
        random.normal(150, 15, count),
        random.uniform(0.05, 0.3, count),
        random.uniform(0.05, 0.3, count),
        random.uniform(8, 60, count),
        random.uniform(0.3, 0.8, count),
        np.full(count, 450.0),
        np.full(count, 4 / 3),
    ]
    return [Quality(*map(float, row)) for row in np.transpose(columns)]


def test_measures_of_an_even_surface_are_its_own() -> None:
    found = measured(even(200, 150, 140))
    assert found.sharpness == pytest.approx(-3)
    assert found.contrast == pytest.approx(0, abs=1e-3)
    assert found.brightness == pytest.approx(0.299 * 200 + 0.587 * 150 + 0.114 * 140, abs=0.1)
    assert (found.dark_share, found.bright_share, found.skin_likeness) == (0, 0, 1)
    assert (found.short_side, found.aspect) == (150, pytest.approx(4 / 3))


def test_black_and_white_halves_are_half_dark_and_half_bright() -> None:
    halves = even(0, 0, 0)
    halves[:, WIDTH // 2 :] = 255
    found = measured(halves)
    assert found.dark_share == pytest.approx(0.5, abs=0.01)
    assert found.bright_share == pytest.approx(0.5, abs=0.02)
    assert found.contrast == pytest.approx(127.5, abs=1)


@pytest.mark.parametrize("size", [(400, 300), (380, 380), (300, 225)])
def test_measures_mean_the_same_at_every_input_size(drawn, size) -> None:
    for picture in drawn[:10]:
        here = asdict(measured(picture))
        other = np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC))
        there = asdict(measured(other))
        for name, tolerance in {"sharpness": 0.1, "brightness": 0.5, "contrast": 0.6}.items():
            assert there[name] == pytest.approx(here[name], abs=tolerance), name
        for name in ("dark_share", "bright_share", "skin_likeness"):
            assert there[name] == pytest.approx(here[name], abs=0.01), name


def test_more_blur_is_less_sharp(drawn) -> None:
    for picture in drawn[:5]:
        values = [
            measured(gaussian_filter(picture, (sigma, sigma, 0))).sharpness
            for sigma in (0, 2, 4, 8)
        ]
        assert np.all(np.diff(values) < -0.1)


@pytest.mark.parametrize(
    "colour",
    [
        (230, 190, 170), (220, 150, 160), (205, 170, 190), (190, 165, 205), (120, 80, 60),
        (90, 50, 45), (180, 60, 60), (110, 95, 120),
    ],
)  # fmt: skip
def test_tints_of_skin_and_lesions_look_like_skin(colour) -> None:
    assert measured(even(*colour)).skin_likeness == 1


@pytest.mark.parametrize(
    "colour", [(128, 128, 128), (70, 150, 60), (60, 90, 180), (90, 160, 170), (245, 245, 245)]
)
def test_grey_green_and_blue_do_not_look_like_skin(colour) -> None:
    assert measured(even(*colour)).skin_likeness == 0


def test_hopeless_pictures_are_refused_for_the_right_reason(drawn, limits) -> None:
    grass, page = (
        np.asarray(PHOTOGRAPHS[name].read().resize((WIDTH, HEIGHT))) for name in ("grass", "page")
    )
    field = np.clip(grass * np.array([0.8, 1.3, 0.6]), 0, 255).astype(np.uint8)
    expected = {
        "blank": even(200, 160, 150),
        "too_dark": (drawn[0] * 0.12).astype(np.uint8),
        "too_bright": np.clip(drawn[0] * 2.5, 0, 255).astype(np.uint8),
        "too_blurred": gaussian_filter(drawn[0], (10, 10, 0)),
    }
    found = {name: judge(measured(picture), limits) for name, picture in expected.items()}
    assert found == {name: name for name in expected}
    assert judge(measured(field), limits) == "not_skin"
    assert judge(measured(page), limits) == "not_skin"


def test_drawn_lesions_that_the_limits_never_saw_are_mostly_accepted(limits) -> None:
    config = SyntheticConfig(height=HEIGHT, width=WIDTH)
    others = [draw_lesion(LABELS[i % 7], i, [0], config, 6)[0] for i in range(14)]
    assert sum(judge(measured(picture), limits) is None for picture in others) >= 11


@pytest.mark.parametrize(
    ("measures", "reason"),
    [
        ({}, None),
        ({"short_side": 99.0}, "too_small"),
        ({"aspect": 2.1}, "odd_shape"),
        ({"brightness": 20.0}, "too_dark"),
        ({"dark_share": 0.6}, "too_dark"),
        ({"brightness": 250.0}, "too_bright"),
        ({"bright_share": 0.6}, "too_bright"),
        ({"contrast": 1.0}, "blank"),
        ({"sharpness": 0.0}, "too_blurred"),
        ({"skin_likeness": 0.1}, "not_skin"),
        ({"sharpness": 9.0, "contrast": 127.0}, None),
    ],
)
def test_each_measure_has_its_reason_and_its_bad_side(measures, reason) -> None:
    limits = fit_quality_limits(spread(200, 0), **FIT)
    assert judge(replace(GOOD, **measures), limits) == reason


def test_of_several_reasons_the_first_of_the_contract_is_given() -> None:
    assert QUALITY_REASONS == (
        "too_small", "odd_shape", "too_dark", "too_bright", "blank", "too_blurred", "not_skin"
    )  # fmt: skip
    limits = fit_quality_limits(spread(200, 0), **FIT)
    flaws = [
        ("skin_likeness", 0.0), ("sharpness", -3.0), ("contrast", 0.0), ("bright_share", 1.0),
        ("dark_share", 1.0), ("aspect", 9.0), ("short_side", 1.0),
    ]  # fmt: skip
    quality = GOOD
    for (name, value), reason in zip(flaws, reversed(QUALITY_REASONS), strict=True):
        quality = replace(quality, **{name: value})
        assert judge(quality, limits) == reason


@pytest.mark.parametrize(("count", "quality_share"), [(40, 0.2), (500, 0.2), (500, 0.8), (999, 0)])
def test_the_limits_keep_to_their_budget_and_leave_little_of_it(count, quality_share) -> None:
    qualities = spread(count, 1)
    limits = fit_quality_limits(qualities, **FIT | {"quality_share": quality_share})
    refused = sum(judge(quality, limits) is not None for quality in qualities)
    budget = 0.05 * quality_share * count
    # As many pictures as there are ends may go equally far, and are kept together.
    assert budget - 7 <= refused <= budget


def test_the_pictures_furthest_out_are_given_up_first() -> None:
    qualities = spread(399, 2)
    worst = replace(GOOD, **{"sharpness": -2.0, "contrast": 0.1, "brightness": 5.0})
    limits = fit_quality_limits([*qualities, worst], **FIT | {"quality_share": 0.8})
    assert judge(worst, limits) is not None


@pytest.mark.parametrize(
    ("measure", "value"),
    [
        ("brightness", 101), ("brightness", 239), ("dark_share", 0.29), ("bright_share", 0.09),
        ("contrast", 6.1), ("sharpness", 1.16), ("skin_likeness", 0.51),
    ],
)  # fmt: skip
def test_what_does_no_harm_is_never_a_reason_however_rare(measure, value) -> None:
    limits = fit_quality_limits([GOOD] * 50, **FIT)
    assert judge(replace(GOOD, **{measure: float(value)}), limits) is None


def test_a_black_lesion_on_well_lit_skin_is_not_too_dark(drawn, limits) -> None:
    y, x = np.ogrid[:HEIGHT, :WIDTH]
    inside = ((y - 75) / 46) ** 2 + ((x - 100) / 60) ** 2 < 1
    lit = measured(drawn[7]).brightness
    lesion = np.where(inside[..., None], (drawn[7] * 0.1).astype(np.uint8), drawn[7])
    assert inside.mean() > 0.25
    assert measured(lesion).brightness > 0.9 * lit
    assert judge(measured(lesion), limits) is None


def test_pictures_of_unfit_shape_do_not_widen_the_limits() -> None:
    tiny = replace(GOOD, **{"short_side": 20.0, "sharpness": -3.0})
    soft = replace(GOOD, sharpness=0.9)
    assert fit_quality_limits([GOOD, soft, tiny], **FIT)["sharpness"].low == 0.9


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="none of 1 pictures"):
        fit_quality_limits([replace(GOOD, aspect=5.0)], **FIT)
    with pytest.raises(ValueError, match="bluriness"):
        judge(GOOD, {"bluriness": Limits(low=0.0)})
    with pytest.raises(ValueError, match="expected uint8 RGB"):
        measure(np.zeros((8, 8, 3)), 8, 8)
    with pytest.raises(ValueError, match="at least 1 x 1"):
        measure(even(1, 1, 1), 0, 8)


def test_measuring_leaves_the_picture_alone(drawn) -> None:
    picture = drawn[0].copy()
    picture.flags.writeable = False
    measured(picture)
    assert np.array_equal(picture, drawn[0])
