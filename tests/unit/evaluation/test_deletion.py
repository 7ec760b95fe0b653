import numpy as np
import pytest

from skin_lesion.evaluation.deletion import deletion_figures, deletion_insertion
from skin_lesion.evaluation.resampling import Resamples

GRID, CELL = (3, 4), 16
MEL = 4


def pictures(count):
    """Fine noise in every cell, which a strong blur takes away."""
    random = np.random.default_rng(5)
    shape = (count, GRID[0] * CELL, GRID[1] * CELL, 3)
    return random.choice([0, 255], size=shape).astype(np.uint8)


class Weighing:
    """A model whose answer is the summed weight of the cells that are not blurred."""

    def __init__(self, weights):
        self.weights = np.asarray(weights, float).reshape(GRID)
        self.pictures = 0

    def __call__(self, pixels):
        self.pictures += len(pixels)
        cells = pixels.reshape(len(pixels), GRID[0], CELL, GRID[1], CELL, 3)
        visible = cells.std(axis=(2, 4, 5)) > 60
        answers = np.zeros((len(pixels), 7))
        answers[:, MEL] = (visible * self.weights).sum(axis=(1, 2)) / self.weights.sum()
        return answers


def follow(run, heat, *, count=1, steps=12, repeats=3, seed=1, blur=0.5):
    return deletion_insertion(
        run, pictures(count), [heat] * count, np.full(count, MEL),
        steps=steps, repeats=repeats, blur=blur, seed=seed,
    )  # fmt: skip


def summed_up(curves, goal=0.8, min_lesions=5):
    resamples = Resamples.over_lesions(np.arange(len(curves.deletion)), 200, 3)
    return deletion_figures(
        curves, resamples, repeats=3, blur=0.5, goal=goal, min_lesions=min_lesions
    )


def patch():
    """A corner of the picture, where no other order looks first."""
    heat = np.zeros(GRID, np.float32)
    heat[0, :2] = [1.0, 0.8]
    return heat


def test_curves_are_those_computed_by_hand():
    weights = np.arange(12.0)
    curves = follow(Weighing(weights), weights.reshape(GRID))
    kept = 66 - np.cumsum([0, *weights[::-1]])  # of 0 + 1 + ... + 11
    shown = np.cumsum([0, *weights[::-1]])
    np.testing.assert_allclose(curves.hidden, np.arange(13) / 12)
    np.testing.assert_allclose(curves.deletion[0], kept / 66)
    np.testing.assert_allclose(curves.insertion[0], shown / 66)
    area = sum((kept[i] + kept[i + 1]) / 2 / 12 for i in range(12)) / 66
    assert curves.deletion_auc[0] == pytest.approx(area)
    area = sum((shown[i] + shown[i + 1]) / 2 / 12 for i in range(12)) / 66
    assert curves.insertion_auc[0] == pytest.approx(area)


def test_centre_order_hides_the_middle_first():
    weights = np.zeros(GRID)
    weights[1, 1:3] = 1  # the two cells nearest to the centre of a grid of 3 x 4
    np.testing.assert_allclose(follow(Weighing(weights), patch()).centre[0, :3], [1, 0.5, 0])


def test_steps_that_do_not_divide_the_cells_stand_where_they_are():
    curves = follow(Weighing(np.ones(12)), patch(), steps=5)
    np.testing.assert_allclose(curves.hidden * 12, [0, 2, 5, 7, 10, 12])
    np.testing.assert_allclose(curves.deletion[0], 1 - curves.hidden)
    np.testing.assert_allclose(curves.insertion[0], 1 - curves.hidden[::-1])
    assert curves.random_auc[0] == pytest.approx(0.5)


def test_the_map_of_a_model_that_looks_at_one_patch_beats_chance():
    figures = summed_up(follow(Weighing(patch()), patch(), count=12))
    assert figures.better_deletion.value == figures.better_insertion.value == 1
    assert figures.better_than_centre.value == 1
    assert figures.deletion_gain.value > 0.1
    assert figures.insertion_gain.value > 0.1
    assert figures.reached is True
    assert figures.better_deletion.ci_low < 1  # a dozen pictures prove only so much


def test_a_map_that_points_elsewhere_loses_to_chance():
    figures = summed_up(follow(Weighing(patch()), -patch(), count=12))
    assert figures.better_deletion.value == figures.better_insertion.value == 0
    assert figures.reached is False


def test_a_constant_map_is_no_better_than_chance():
    curves = follow(Weighing(patch()), np.ones(GRID), count=90)
    figures = summed_up(curves)
    assert 0.35 < figures.better_deletion.value < 0.65
    assert figures.deletion_gain.ci_low < 0 < figures.deletion_gain.ci_high
    assert figures.reached is False


def test_a_model_that_sees_nothing_favours_no_map():
    curves = follow(lambda pixels: np.full((len(pixels), 7), 1 / 7), patch(), count=6)
    figures = summed_up(curves)
    assert figures.better_deletion.value == figures.better_insertion.value == 0


def test_random_order_is_neither_deletion_nor_insertion():
    """The mean over very many orders of an additive model is the straight line."""
    curves = follow(Weighing(np.arange(12.0)), patch(), repeats=200)
    np.testing.assert_allclose(curves.random.mean(axis=(0, 1)), 1 - curves.hidden, atol=0.05)
    np.testing.assert_allclose(curves.random_auc, 0.5, atol=0.03)


def test_no_picture_is_judged_twice():
    model = Weighing(np.ones(12))
    follow(model, patch(), count=2, steps=7, repeats=4)
    # The picture and its blur, and six steps of three orders by heat and of four random ones.
    assert model.pictures == 2 * (2 + 6 * (3 + 4))


def test_equal_seeds_draw_equal_orders_and_change_no_pixels():
    shown = pictures(2)
    before = shown.copy()
    runs = [
        deletion_insertion(
            Weighing(np.arange(12.0)), shown, [patch()] * 2, np.full(2, MEL),
            steps=6, repeats=2, blur=0.5, seed=seed,
        ).random
        for seed in (1, 1, 2)
    ]  # fmt: skip
    np.testing.assert_array_equal(runs[0], runs[1])
    assert (runs[0] != runs[2]).any()
    np.testing.assert_array_equal(shown, before)


def test_too_few_lesions_are_not_judged():
    figures = summed_up(follow(Weighing(patch()), patch(), count=3), min_lesions=4)
    assert figures.indicative
    assert figures.reached is None


@pytest.mark.parametrize(
    ("change", "message"),
    [({"steps": 13}, "steps is 13"), ({"repeats": 0}, "repeats 0"), ({"blur": 0.0}, "blur 0")],
)
def test_numbers_that_make_no_sense_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        follow(Weighing(np.ones(12)), patch(), **change)


def test_maps_that_do_not_belong_to_the_pictures_are_refused():
    run, index = Weighing(np.ones(12)), np.full(2, MEL)
    options = {"steps": 2, "repeats": 1, "blur": 0.5, "seed": 1}
    with pytest.raises(ValueError, match="1 maps"):
        deletion_insertion(run, pictures(2), [patch()], index, **options)
    with pytest.raises(ValueError, match="no larger"):
        deletion_insertion(run, pictures(2), [np.ones((99, 4))] * 2, index, **options)
