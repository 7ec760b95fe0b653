"""Smaller copies of the pictures: exact means, made once, never half there."""

from pathlib import Path

import numpy as np
import pytest

from skin_lesion.data import resizing
from skin_lesion.data.image_array import ImageArray
from skin_lesion.data.resizing import resized


@pytest.fixture
def images(tmp_path: Path) -> ImageArray:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 64, 96, 3)).astype(np.uint8)
    np.save(tmp_path / "images.npy", pixels)
    return ImageArray(tmp_path / "images.npy", pixels.shape, "a" * 64)


def test_a_pixel_is_the_mean_over_the_area_that_it_covers(
    images: ImageArray, tmp_path: Path
) -> None:
    small = resized(images, (32, 32), tmp_path / "small")
    assert small.shape == (5, 32, 32, 3)
    means = images.open().reshape(5, 32, 2, 32, 3, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(small.open(), means, atol=0.51)


def test_a_side_that_does_not_divide_keeps_the_mean(tmp_path: Path) -> None:
    ramp = np.broadcast_to(np.arange(90, dtype=np.uint8)[None, None, :, None], (1, 90, 90, 3))
    np.save(tmp_path / "ramp.npy", ramp)
    small = resized(ImageArray(tmp_path / "ramp.npy", ramp.shape, "b" * 64), (40, 40), tmp_path)
    expected = (np.arange(40) + 0.5) * 90 / 40 - 0.5
    np.testing.assert_allclose(small.open()[0, 0, :, 0], expected, atol=0.51)


def test_they_are_made_once(
    images: ImageArray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = resized(images, (32, 48), tmp_path / "small")

    def refuse(*_: object) -> None:
        raise AssertionError("made again")

    monkeypatch.setattr(resizing, "_write", refuse)
    assert resized(images, (32, 48), tmp_path / "small") == first


def test_a_file_that_was_cut_off_is_made_anew(images: ImageArray, tmp_path: Path) -> None:
    first = resized(images, (32, 48), tmp_path / "small")
    whole = first.path.read_bytes()
    for damaged in (whole[:-100], whole[:10], b""):
        first.path.write_bytes(damaged)
        assert resized(images, (32, 48), tmp_path / "small") == first
        assert first.path.read_bytes() == whole


def test_what_is_interrupted_leaves_nothing_behind(
    images: ImageArray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(resizing.np, "tensordot", stop)
    with pytest.raises(KeyboardInterrupt):
        resized(images, (32, 48), tmp_path / "small")
    assert not [path for path in (tmp_path / "small").rglob("*") if path.is_file()]


def test_other_pictures_get_a_file_of_their_own(images: ImageArray, tmp_path: Path) -> None:
    other = ImageArray(images.path, images.shape, "c" * 64)
    paths = {resized(one, (32, 48), tmp_path / "small").path for one in (images, other)}
    assert len(paths) == 2


@pytest.mark.parametrize("size", [(65, 96), (64, 97)])
def test_pictures_never_grow(images: ImageArray, size: tuple[int, int], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"64x96 cannot be reduced to {size[0]}x{size[1]}"):
        resized(images, size, tmp_path)
