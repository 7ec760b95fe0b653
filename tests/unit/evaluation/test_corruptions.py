import io
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from skin_lesion.data.synthetic import draw_lesion
from skin_lesion.evaluation.corruptions import CORRUPTIONS, STRENGTHS, corrupt, corruption_sheet
from skin_lesion.labels import LABELS
from skin_lesion.settings import SyntheticConfig

SIZE = SyntheticConfig(height=96, width=128)
ALWAYS_THE_SAME = {"blur", "jpeg", "resolution"}
every_perturbation = pytest.mark.parametrize("name", CORRUPTIONS)


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    drawn = np.stack([draw_lesion(label, i, [0], SIZE, 3)[0] for i, label in enumerate(LABELS)])
    drawn.flags.writeable = False
    return drawn


def flat(*colour: int, height: int = 60, width: int = 80) -> np.ndarray:
    return np.full((1, height, width, 3), colour, np.uint8)


def changed(name: str, strength: int, picture: np.ndarray, seed: int = 0) -> np.ndarray:
    """Which pixels of one picture change."""
    return (corrupt(name, strength, picture, seed) != picture).any(axis=3)[0]


def test_there_are_ten_perturbations_with_their_amounts_in_order():
    assert len(CORRUPTIONS) == 10
    for corruption in CORRUPTIONS.values():
        steps = np.diff(corruption.amounts)
        assert len(corruption.amounts) == len(STRENGTHS)
        assert (steps > 0).all() or (steps < 0).all()


@every_perturbation
def test_more_strength_changes_pictures_more(name, pictures):
    changes = [
        np.abs(corrupt(name, strength, pictures, 1) - pictures.astype(float)).mean()
        for strength in STRENGTHS
    ]
    assert changes[0] > 0
    assert (np.diff(changes) > 0).all()


@every_perturbation
def test_shape_and_type_stay_and_the_input_is_left_alone(name, pictures):
    before = pictures.copy()
    after = corrupt(name, 3, pictures, 1)
    assert (after.shape, after.dtype) == (pictures.shape, np.uint8)
    np.testing.assert_array_equal(pictures, before)


@every_perturbation
def test_a_seed_decides_everything(name, pictures):
    first = corrupt(name, 4, pictures, 1)
    np.testing.assert_array_equal(corrupt(name, 4, pictures, 1), first)
    assert (corrupt(name, 4, pictures, 2) == first).all() == (name in ALWAYS_THE_SAME)


@every_perturbation
def test_what_befalls_a_picture_does_not_depend_on_its_neighbours(name, pictures):
    together = corrupt(name, 3, pictures, 1)
    order = np.random.default_rng(0).permutation(len(pictures))
    np.testing.assert_array_equal(corrupt(name, 3, pictures[order], 1), together[order])
    np.testing.assert_array_equal(corrupt(name, 3, pictures[2:3], 1), together[2:3])


@every_perturbation
def test_no_pictures_give_no_pictures(name):
    assert corrupt(name, 1, np.zeros((0, 8, 9, 3), np.uint8), 0).shape == (0, 8, 9, 3)


@every_perturbation
def test_tall_and_square_pictures_are_perturbed_too(name, pictures):
    for turned in (pictures[:1].swapaxes(1, 2), pictures[:1, :, :96]):
        assert corrupt(name, 5, turned, 0).shape == turned.shape
        assert changed(name, 5, turned).any()


def test_jpeg_is_a_round_trip_through_pillow(pictures):
    for strength, quality in zip(STRENGTHS, CORRUPTIONS["jpeg"].amounts, strict=True):
        file = io.BytesIO()
        Image.fromarray(pictures[0]).save(file, "JPEG", quality=int(quality))
        np.testing.assert_array_equal(
            corrupt("jpeg", strength, pictures[:1], 0)[0], np.asarray(Image.open(file))
        )


def test_blur_is_a_gaussian_of_each_channel_that_grows_with_the_picture(pictures):
    sigma = CORRUPTIONS["blur"].amounts[3] / 100 * 96
    for channel in range(3):
        expected = ndimage.gaussian_filter(
            pictures[0, ..., channel].astype(float), sigma, mode="mirror"
        )
        found = corrupt("blur", 4, pictures[:1], 0)[0, ..., channel]
        np.testing.assert_allclose(found, expected, atol=0.51)
    enlarged = pictures[:1].repeat(2, axis=1).repeat(2, axis=2)
    smaller = corrupt("blur", 5, enlarged, 0)[:, ::2, ::2].astype(float)
    assert np.abs(smaller - corrupt("blur", 5, pictures[:1], 0)).mean() < 2


def test_noise_has_mean_0_and_the_deviation_of_its_amount():
    difference = corrupt("noise", 3, flat(128, 128, 128), 0) - 128.0
    assert difference.mean() == pytest.approx(0, abs=0.5)
    assert difference.std(axis=(0, 1, 2)) == pytest.approx(14, rel=0.05)


def test_a_stop_doubles_or_halves_the_light():
    # sRGB 188 is half of full light, 137 a quarter, 99 an eighth.
    seen = {
        int(corrupt("brightness", 5, flat(137, 137, 137), seed)[0, 0, 0, 0]) for seed in range(9)
    }
    assert seen == {188, 99}


def test_about_as_many_pictures_get_brighter_as_darker():
    pictures = np.random.default_rng(0).integers(100, 110, (200, 4, 4, 3)).astype(np.uint8)
    brighter = corrupt("brightness", 2, pictures, 0).mean(axis=(1, 2, 3)) > 110
    assert 80 <= brighter.sum() <= 120


def test_white_balance_moves_red_against_blue_and_keeps_the_lightness_of_grey():
    weights = np.array([0.2126, 0.7152, 0.0722])
    seen = set()
    for seed in range(9):
        colour = corrupt("white_balance", 5, flat(137, 137, 137), seed)[0, 0, 0] / 255
        linear = ((colour + 0.055) / 1.055) ** 2.4
        assert linear @ weights == pytest.approx(0.25, abs=0.003)
        seen.add(round(float(np.log2(linear[0] / linear[2])), 1))
    assert seen == {-0.9, 0.9}


def test_a_right_angle_turns_the_picture_and_loses_nothing_of_a_square_one(pictures):
    square = pictures[:1, :, 16:112]
    turned = [corrupt("rotation", 5, square, seed)[0] for seed in range(9)]
    quarter = {round(np.abs(t - np.rot90(square[0]).astype(float)).max()) <= 1 for t in turned}
    other = {round(np.abs(t - np.rot90(square[0], -1).astype(float)).max()) <= 1 for t in turned}
    assert quarter == other == {True, False}


@pytest.mark.parametrize("strength", STRENGTHS)
def test_rotation_shows_nothing_but_skin_in_the_corners(strength):
    np.testing.assert_array_equal(
        corrupt("rotation", strength, flat(200, 160, 140), 0), flat(200, 160, 140)
    )


def test_low_resolution_keeps_the_light_and_loses_the_detail():
    board = flat(0, 0, 0)
    board[:, ::2, ::2] = board[:, 1::2, 1::2] = 200
    found = corrupt("resolution", 4, board, 0)
    assert found.mean() == pytest.approx(board.mean(), abs=1)
    assert found.std() < 10


@pytest.mark.parametrize("name", ["hair", "ink"])
def test_a_stronger_marking_holds_the_weaker_one(name):
    skin = flat(220, 180, 160)
    covers = [changed(name, strength, skin) for strength in STRENGTHS]
    for weaker, stronger in pairwise(covers):
        assert (weaker & ~stronger).sum() <= 0.01 * weaker.sum()
        assert stronger.sum() > weaker.sum()


def test_hair_and_rulers_are_dark_and_leave_most_of_the_skin_free():
    skin = flat(220, 180, 160, height=150, width=200)
    for name in ("hair", "ruler"):
        found = corrupt(name, 5, skin, 0)
        assert (found <= skin).all()
        assert found.min() < 80
        assert changed(name, 5, skin).mean() < 0.6


def test_a_ruler_keeps_to_one_edge():
    skin = flat(220, 180, 160, height=120, width=160)
    edges = set()
    for seed in range(20):
        rows, columns = np.nonzero(changed("ruler", 3, skin, seed))
        reach = {
            "top": rows.max() / 120,
            "bottom": 1 - rows.min() / 120,
            "left": columns.max() / 160,
            "right": 1 - columns.min() / 160,
        }
        edge = min(reach, key=reach.__getitem__)
        assert reach[edge] < 0.3
        assert sorted(reach.values())[1] > 0.7
        edges.add(edge)
    assert edges == {"top", "bottom", "left", "right"}


def test_ink_is_violet_and_lies_beside_the_lesion():
    y, x = np.mgrid[:120, :160]
    lesion = np.hypot(y - 60, x - 80) < 25
    skin = flat(225, 185, 165, height=120, width=160)
    skin[0, lesion] = (90, 60, 45)
    for seed in range(10):
        inked = changed("ink", 5, skin, seed)
        assert not (inked & lesion).any()
        assert inked.mean() > 0.03
        found = corrupt("ink", 5, skin, seed)[0].astype(int)
        ink = found[skin[0, ..., 0] - found[..., 0] > 80].mean(axis=0)
        # The skin has less blue than green, and less green than red.
        assert ink[2] > max(ink[0], ink[1] + 30)


def test_pictures_may_lie_in_a_file(tmp_path, pictures):
    np.save(tmp_path / "pictures.npy", pictures)
    mapped = np.load(tmp_path / "pictures.npy", mmap_mode="r")
    found = corrupt("hair", 2, mapped, 0)
    assert type(found) is np.ndarray
    np.testing.assert_array_equal(found, corrupt("hair", 2, pictures, 0))


def test_what_cannot_be_perturbed_is_refused(pictures):
    with pytest.raises(ValueError, match=r"'fog'; expected one of blur, jpeg"):
        corrupt("fog", 1, pictures, 0)
    for strength in (0, 6):
        with pytest.raises(ValueError, match=rf"strength is {strength}; expected .* 1 to 5"):
            corrupt("blur", strength, pictures, 0)
    for wrong in (pictures[0], pictures.astype(float), pictures[..., :1]):
        with pytest.raises(ValueError, match=r"expected uint8 \(N, H, W, 3\)"):
            corrupt("blur", 1, wrong, 0)


def test_the_sheet_shows_every_perturbation_at_every_strength(pictures):
    sheet = np.asarray(Image.open(io.BytesIO(corruption_sheet(pictures[0], 0))))
    # Ten rows of six cells; a cell is 160 wide and 120 high, with a caption and margins.
    assert sheet.shape[1] == 6 * 166 + 6
    assert sheet.shape[0] > 10 * 120
    filled = (sheet < 240).any(axis=2).mean(axis=0)
    assert (filled[[80 + 166 * column for column in range(6)]] > 0.7).all()
