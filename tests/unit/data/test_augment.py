"""The augmentation policy: what is drawn stays within its limits and means what it says."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skin_lesion.data.augment import MixedBatch, draw_colour, draw_geometry, make_plan, mix
from skin_lesion.data.pixel_ops import augment_pixels
from skin_lesion.data.split_table import LeakReport, SplitTable
from skin_lesion.labels import LABELS
from skin_lesion.settings import AugmentConfig

STILL = AugmentConfig(
    flip_horizontal=0, flip_vertical=0, rotation=0, zoom=0, translation=0, brightness=0,
    contrast=0, saturation=0, mix_probability=0,
)  # fmt: skip
NO_COLOUR = np.float32([[0, 1, 1]])


def picture(height: int = 24, width: int = 32, seed: int = 0) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(30, 220, (1, height // 4, width // 4, 3))
    return coarse.repeat(4, axis=1).repeat(4, axis=2).astype(np.uint8)


def split_of(counts: dict[str, int]) -> SplitTable:
    dx = [label for label, n in counts.items() for _ in range(n)]
    rows = pd.DataFrame({"image_id": [str(i) for i in range(len(dx))], "dx": dx, "split": "train"})
    report = LeakReport(
        groups_crossing=0, duplicates_crossing=0, merged_pairs=0, unmerged_pairs=0, images={},
        groups={}, class_counts={}, class_share_deviation={},
    )  # fmt: skip
    return SplitTable(rows, report)


def geometry(seed: int = 0, n: int = 1, **changes: float) -> np.ndarray:
    policy = STILL.model_copy(update=changes)
    return draw_geometry(n, 24, 32, policy, np.random.default_rng(seed))


def test_a_policy_that_changes_nothing_returns_the_picture() -> None:
    pixels = picture()
    rng = np.random.default_rng(0)
    colour = draw_colour(1, STILL, rng)
    np.testing.assert_array_equal(augment_pixels(pixels, geometry(), colour), pixels)


def test_a_flip_mirrors_the_picture_exactly() -> None:
    pixels = picture()
    across = augment_pixels(pixels, geometry(flip_horizontal=1.0), NO_COLOUR)
    np.testing.assert_array_equal(across, pixels[:, :, ::-1])
    down = augment_pixels(pixels, geometry(flip_vertical=1.0), NO_COLOUR)
    np.testing.assert_array_equal(down, pixels[:, ::-1])


def test_geometry_keeps_the_centre_and_the_shape_of_things() -> None:
    maps = geometry(n=200, rotation=180.0, zoom=0.15, flip_horizontal=0.5, flip_vertical=0.5)
    for a0, a1, a2, b0, b1, b2, c0, c1 in maps:
        centre = np.array([15.5, 11.5])
        np.testing.assert_allclose(
            [a0 * 15.5 + a1 * 11.5 + a2, b0 * 15.5 + b1 * 11.5 + b2], centre, atol=1e-4
        )
        linear = np.array([[a0, a1], [b0, b1]])
        scale = np.sqrt(abs(np.linalg.det(linear)))
        assert 1 / 1.15 - 1e-5 <= scale <= 1.15 + 1e-5
        np.testing.assert_allclose(linear @ linear.T, scale**2 * np.eye(2), atol=1e-4)
        assert c0 == c1 == 0


def test_rotation_stays_within_its_limit() -> None:
    maps = geometry(n=200, rotation=20.0)
    angles = np.rad2deg(np.arctan2(maps[:, 3], maps[:, 0]))
    assert np.abs(angles).max() <= 20.0
    assert np.abs(angles).max() > 15.0


def test_translation_reaches_as_far_as_it_says() -> None:
    maps = geometry(n=200, translation=0.1)
    assert 2.0 < np.abs(maps[:, 2]).max() <= 3.2
    assert 1.5 < np.abs(maps[:, 5]).max() <= 2.4


def test_brightness_contrast_and_saturation_act_on_grey_levels_of_255() -> None:
    pixels = picture()
    brighter = augment_pixels(pixels, geometry(), np.float32([[10, 1, 1]]))
    np.testing.assert_array_equal(brighter, pixels + 10)
    grey = augment_pixels(pixels, geometry(), np.float32([[0, 1, 0]])).astype(int)
    assert np.ptp(grey, axis=-1).max() == 0
    flat = augment_pixels(pixels, geometry(), np.float32([[0, 0, 1]])).astype(int)
    assert np.ptp(flat) == 0
    mean = (pixels @ np.array([0.299, 0.587, 0.114])).mean()
    assert abs(flat.mean() - mean) <= 0.5


def test_pixels_never_leave_their_range() -> None:
    pixels = np.concatenate([picture(), 255 - picture(seed=1)])
    extreme = np.float32([[250, 1.9, 1.0], [-250, 1.9, 1.0]])
    seen = augment_pixels(pixels, np.repeat(geometry(), 2, axis=0), extreme)
    assert seen.dtype == np.uint8
    # A value that wrapped around would turn white into black and black into white.
    assert seen[0].min() > 127
    assert seen[1].max() < 128


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_mixed_targets_stay_a_distribution_and_match_the_pixels(seed: int) -> None:
    """Each picture is one flat colour, so that shares can be read off the pixels."""
    labels = np.array([0, 3, 6])
    pixels = np.zeros((3, 20, 30, 3), np.uint8)
    for i in range(3):
        pixels[i, :, :, i] = 250
    policy = AugmentConfig(mix_probability=1.0)
    mixed = mix(MixedBatch.unmixed(pixels, labels), policy, np.random.default_rng(seed))
    np.testing.assert_allclose(mixed.targets.sum(axis=1), 1, atol=1e-6)
    assert mixed.pixels.dtype == np.uint8
    for i in range(3):
        shares = mixed.pixels[i].reshape(-1, 3).mean(axis=0) / 250
        np.testing.assert_allclose(mixed.targets[i][labels], shares, atol=0.005)


def test_mixing_leaves_its_input_alone() -> None:
    pixels = np.concatenate([picture(seed=i) for i in range(4)])
    batch = MixedBatch.unmixed(pixels.copy(), np.array([0, 1, 2, 3]))
    for seed in range(8):
        mix(batch, AugmentConfig(mix_probability=1.0), np.random.default_rng(seed))
    np.testing.assert_array_equal(batch.pixels, pixels)
    np.testing.assert_array_equal(batch.targets.argmax(axis=1), [0, 1, 2, 3])


@pytest.mark.parametrize(
    "off", [{"mixup_alpha": 0.0, "cutmix_alpha": 0.0}, {"mix_probability": 0.0}]
)
def test_mixing_can_be_switched_off(off: dict[str, float]) -> None:
    batch = MixedBatch.unmixed(picture(), np.array([0]))
    for seed in range(8):
        assert mix(batch, AugmentConfig(**off), np.random.default_rng(seed)) is batch


def test_class_weights_favour_rare_classes_and_average_to_one() -> None:
    counts = dict(zip(LABELS, (30, 50, 100, 10, 100, 600, 20), strict=True))
    plan = make_plan(split_of(counts), AugmentConfig(class_weight_power=0.5), seed=1)
    weights = plan.weight_vector()
    n = np.array([counts[label] for label in LABELS])
    assert np.average(weights, weights=n) == pytest.approx(1)
    assert weights[LABELS.index("df")] == weights.max()
    np.testing.assert_allclose(weights * np.sqrt(n), (weights * np.sqrt(n))[0], rtol=1e-5)
    assert plan.train_counts == counts


def test_class_weights_can_be_switched_off() -> None:
    counts = dict.fromkeys(LABELS, 5) | {"nv": 50}
    plan = make_plan(split_of(counts), AugmentConfig(class_weight_power=0.0), seed=1)
    assert set(plan.class_weights.values()) == {1.0}


def test_a_class_without_training_images_is_named() -> None:
    counts = dict.fromkeys(LABELS, 5) | {"df": 0}
    with pytest.raises(ValueError, match="no training image of class df"):
        make_plan(split_of(counts), AugmentConfig(), seed=1)
