"""Alignment of two pictures of the same spot of skin: shift, turn and zoom, then an affine fit.

Two photographs of one lesion rarely match pixel by pixel: the dermatoscope was moved, turned or
zoomed, and the colours differ. What stays is the fine texture of skin and pigment. Pictures are
therefore compared in grey, normalised to their local contrast, after alignment: first by
cross-correlation at a low resolution, tried in a few turns and zooms, then by Gauss-Newton steps on
an affine map (the inverse compositional form of Baker and Matthews, "Lucas-Kanade 20 years on",
IJCV 56, 2004), from coarse to fine.

Coordinates are (y, x) from the centre of a picture, in units of half its longer side, so that a map
holds at every resolution.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from skin_lesion.data.image_array import ImageArray

Floats = NDArray[np.float32]
Pairs = NDArray[np.int64]

WORK_HEIGHT, WORK_WIDTH = 72, 96
# (turn in degrees, zoom). Gauss-Newton steps bridge what lies between neighbours.
POSES: tuple[tuple[float, float], ...] = (
    (0.0, 1.0), (-10.0, 1.0), (10.0, 1.0), (-20.0, 1.0), (20.0, 1.0), (0.0, 0.87), (0.0, 1.15),
)  # fmt: skip
_SEARCH_MARGIN = 8  # in coarse pixels; shifts beyond it wrap round, where little overlaps anyway
_DARK = 60.0  # grey levels; below it lies the black surround of a dermatoscope or a marking
_MIN_OVERLAP = 0.5
_STARTS = 2  # poses from which the exact alignment starts: the best one can lead astray
_BATCH = 256


@dataclass(frozen=True)
class _Band:
    """Which detail a comparison looks at: widths of Gaussians in pixels of its resolution."""

    fraction: int
    fine: float
    wide: float
    contrast: float
    steps: int = 0


_SEARCH = _Band(fraction=3, fine=0.5, wide=2.0, contrast=3.0)
# Each band starts from the map that the one before it found. Texture as fine as that of the last
# one never agrees by chance, whereas outlines of unrelated lesions do.
_BANDS = (
    _Band(fraction=2, fine=0.7, wide=3.0, contrast=5.0, steps=15),
    _Band(fraction=1, fine=0.5, wide=2.0, contrast=4.0, steps=8),
)
_MIN_FIRST = 0.65  # correlation in the first band from which the second is worth while


@dataclass(frozen=True)
class Comparison:
    """Agreement of pairs of pictures after alignment.

    Attributes:
        pairs: Rows of the two pictures, (K, 2).
        correlation: Of fine texture where the aligned pictures overlap, -1 to 1, (K,).
        difference: Mean absolute difference there in grey levels of 255, after matching mean
            and contrast, (K,).
    """

    pairs: Pairs
    correlation: Floats
    difference: Floats


def thumbnails(images: ImageArray, boxes: NDArray[np.int64] | None = None) -> Floats:
    """Reduce every picture to grey at the working resolution, (N, 72, 96), 0 to 255.

    Args:
        images: The pictures.
        boxes: Left, upper, right and lower end of what is to be looked at of each, shape (N, 4);
            None takes all of it. Borders that padding added would make any two pictures agree.
    """
    pixels = images.open()
    out = np.empty((len(images), WORK_HEIGHT, WORK_WIDTH), np.float32)
    for row, picture in enumerate(pixels):
        grey = Image.fromarray(picture).convert("L")
        if boxes is not None:
            grey = grey.crop(tuple(boxes[row].tolist()))
        out[row] = np.asarray(grey.resize((WORK_WIDTH, WORK_HEIGHT), Image.Resampling.BOX))
    return out


def compare(grey: Floats, pairs: Pairs, min_score: float, max_difference: float) -> Comparison:
    """Align pairs of pictures and measure how well they agree.

    Args:
        grey: Thumbnails, (N, 72, 96).
        pairs: Rows of the pictures to compare, (K, 2).
        min_score: Correlation, at the low resolution and in the best pose, from which a pair is
            worth the exact alignment.
        max_difference: Pairs that differ by much more than this after a first alignment are not
            aligned exactly either, in grey levels of 255.

    Returns:
        The pairs that could be aligned, with what was measured on each.
    """
    pairs, maps = _search(grey, pairs, min_score)
    first, exact = _BANDS
    maps, correlation, difference = _refine(grey, pairs, maps, first)
    best = _best_of_each(pairs, correlation)
    promising = (correlation >= _MIN_FIRST) & (difference <= 1.25 * max_difference)
    kept = best[promising[best]]
    pairs = pairs[kept]
    _, correlation, difference = _refine(grey, pairs, maps[kept], exact)
    aligned = correlation > -1.0
    return Comparison(pairs[aligned], correlation[aligned], difference[aligned])


def _best_of_each(pairs: Pairs, correlation: Floats) -> NDArray[np.int64]:
    """Where each different pair agrees best, of all the poses it was started from."""
    order = np.argsort(-correlation, kind="stable")
    first = np.unique(pairs[order], axis=0, return_index=True)[1]
    return np.asarray(order[first], dtype=np.int64)


def _plausible(maps: Floats) -> NDArray[np.bool_]:
    """Whether a map neither mirrors nor stretches a picture beyond twofold."""
    linear = maps[:, :, :2].astype(np.float64)
    singular = np.linalg.svd(linear, compute_uv=False)
    sound = (np.linalg.det(linear) > 0) & (singular[:, 0] < 2.0) & (singular[:, 1] > 0.5)
    return np.asarray(sound, dtype=np.bool_)


def _reduced(grey: Floats, fraction: int) -> Floats:
    """Average squares of `fraction` by `fraction` pixels."""
    n, height, width = grey.shape
    squares = grey.reshape(n, height // fraction, fraction, width // fraction, fraction)
    return np.asarray(squares.mean((2, 4)), dtype=np.float32)


def _detail(reduced: Floats, band: _Band) -> Floats:
    """Band-pass a stack of reduced pictures and divide by the local contrast."""
    from scipy.ndimage import gaussian_filter

    detail = reduced - gaussian_filter(reduced, (0, band.wide, band.wide))
    detail = gaussian_filter(detail, (0, band.fine, band.fine))
    energy = gaussian_filter(detail * detail, (0, band.contrast, band.contrast))
    # One grey level keeps the noise of an even surface from being blown up to texture.
    return np.asarray(detail / (np.sqrt(np.maximum(energy, 0.0)) + 1.0), dtype=np.float32)


def _search(grey: Floats, pairs: Pairs, min_score: float) -> tuple[Pairs, Floats]:
    """Find the poses and shifts in which pairs correlate.

    Returns:
        Pairs, each as often as there are poses to start from, and their maps, (S, 2, 3).
    """
    from scipy import fft

    small = _reduced(grey, _SEARCH.fraction)
    height, width = small.shape[1:]
    shape = (height + _SEARCH_MARGIN, width + _SEARCH_MARGIN)
    window = np.sqrt(np.hanning(height + 2)[1:-1, None] * np.hanning(width + 2)[1:-1])

    def spectrum(stack: Floats) -> NDArray[np.complex64]:
        faded = _detail(stack, _SEARCH) * window.astype(np.float32)
        faded -= faded.mean((1, 2), keepdims=True)
        faded /= np.linalg.norm(faded, axis=(1, 2), keepdims=True) + 1e-6
        return np.asarray(fft.rfft2(faded, s=shape, workers=-1), dtype=np.complex64)

    fixed = spectrum(small)
    score = np.empty((len(pairs), len(POSES)), np.float32)
    peak = np.empty((len(pairs), len(POSES)), np.int64)
    for pose, (turn, zoom) in enumerate(POSES):
        moved = fixed if pose == 0 else spectrum(_posed(small, turn, zoom))
        for start in range(0, len(pairs), 8 * _BATCH):
            part = slice(start, start + 8 * _BATCH)
            product = fixed[pairs[part, 0]] * moved[pairs[part, 1]].conj()
            surface = fft.irfft2(product, s=shape, workers=-1).reshape(len(product), -1)
            peak[part, pose] = surface.argmax(axis=1)
            score[part, pose] = np.take_along_axis(surface, peak[part, pose, None], axis=1)[:, 0]
    starts = np.argsort(-score, axis=1, kind="stable")[:, :_STARTS]
    row, which = np.nonzero(np.take_along_axis(score, starts, axis=1) >= min_score)
    chosen = starts[row, which]
    shift = np.stack(np.unravel_index(peak[row, chosen], shape), axis=1)
    shift = np.where(shift > np.array(shape) // 2, shift - np.array(shape), shift)
    linear = np.array([_linear(*pose) for pose in POSES])[chosen]
    offset = -(linear @ (shift / (max(height, width) / 2.0))[:, :, None])
    return pairs[row], np.concatenate([linear, offset], axis=2).astype(np.float32)


def _linear(turn: float, zoom: float) -> NDArray[np.float64]:
    """Where a place in a posed picture lies in the picture itself."""
    cosine, sine = np.cos(np.deg2rad(turn)) / zoom, np.sin(np.deg2rad(turn)) / zoom
    return np.array([[cosine, sine], [-sine, cosine]])


def _posed(stack: Floats, turn: float, zoom: float) -> Floats:
    """Turn and zoom every picture about its centre; what was outside gets the picture's mean."""
    maps = np.column_stack([_linear(turn, zoom), np.zeros(2)]).astype(np.float32)[None]
    out = np.empty_like(stack)
    for start in range(0, len(stack), _BATCH):
        part = stack[start : start + _BATCH]
        seen, inside = _sample(part, maps.repeat(len(part), axis=0))
        mean = part.mean((1, 2))[:, None]
        out[start : start + _BATCH] = np.where(inside, seen, mean).reshape(part.shape)
    return out


def _grid(height: int, width: int) -> Floats:
    """Homogeneous coordinates (y, x, 1) of every pixel, (3, height * width)."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    half = max(height, width) / 2.0
    y, x = (y - (height - 1) / 2) / half, (x - (width - 1) / 2) / half
    return np.stack([y.ravel(), x.ravel(), np.ones(height * width)]).astype(np.float32)


def _sample(stack: Floats, maps: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Look pictures (B, h, w) up, bilinearly, where `maps` (B, 2, 3) send the pixel grid.

    Returns:
        Values (B, h * w), and whether each place lies inside the picture.
    """
    count, height, width = stack.shape
    half = max(height, width) / 2.0
    places = maps @ _grid(height, width)
    y = places[:, 0] * half + (height - 1) / 2
    x = places[:, 1] * half + (width - 1) / 2
    inside = (y >= 0) & (y <= height - 1) & (x >= 0) & (x <= width - 1)
    np.clip(y, 0, height - 1.001, out=y)
    np.clip(x, 0, width - 1.001, out=x)
    top, left = y.astype(np.int32), x.astype(np.int32)
    y -= top
    x -= left
    first = top * width + left + np.arange(count, dtype=np.int32)[:, None] * (height * width)
    flat = stack.reshape(-1)
    corner = flat.take(first)
    upper = corner + x * (flat.take(first + 1) - corner)
    first += width
    corner = flat.take(first)
    lower = corner + x * (flat.take(first + 1) - corner)
    return np.asarray(upper + y * (lower - upper), dtype=np.float32), inside


def _refine(grey: Floats, pairs: Pairs, maps: Floats, band: _Band) -> tuple[Floats, Floats, Floats]:
    """Improve the maps of all pairs in one band and measure them there.

    Returns:
        Maps, correlation (-1 where a map is implausible or little overlaps) and difference.
    """
    rows, local = np.unique(pairs, return_inverse=True)
    local = local.reshape(pairs.shape)
    plain = _reduced(grey[rows], band.fraction)
    detail = _detail(plain, band)
    refined = np.empty_like(maps)
    correlation = np.empty(len(pairs), np.float32)
    difference = np.empty(len(pairs), np.float32)
    for start in range(0, len(pairs), _BATCH):
        part = slice(start, start + _BATCH)
        a, b = local[part].T
        refined[part] = _gauss_newton(detail[a], detail[b], maps[part], band.steps)
        moved, inside = _sample(detail[b], refined[part])
        moved_grey, _ = _sample(plain[b], refined[part])
        fixed_grey = plain[a].reshape(moved_grey.shape)
        valid = inside & (fixed_grey > _DARK) & (moved_grey > _DARK)
        sound = (valid.mean(axis=1) >= _MIN_OVERLAP) & _plausible(refined[part])
        agreement = _correlation(detail[a].reshape(moved.shape), moved, valid)
        correlation[part] = np.where(sound, agreement, -1.0)
        difference[part] = _difference(fixed_grey, moved_grey, valid)
    return refined, correlation, difference


def _gauss_newton(fixed: Floats, moving: Floats, maps: Floats, steps: int) -> Floats:
    """Fit `maps` (B, 2, 3) so that `moving`, looked up there, equals `fixed`, both (B, h, w)."""
    count, height, width = fixed.shape
    half = max(height, width) / 2.0
    slope_y, slope_x = (g.reshape(count, 1, -1) * half for g in np.gradient(fixed, axis=(1, 2)))
    grid = _grid(height, width)
    jacobian = np.concatenate([slope_y * grid, slope_x * grid], axis=1)  # (B, 6, h * w)
    # The ridge keeps pictures without texture from drifting anywhere.
    hessian = jacobian @ jacobian.transpose(0, 2, 1) + 1e-2 * height * width * np.eye(6)
    inverse = np.linalg.inv(hessian.astype(np.float64))
    target = fixed.reshape(count, -1)
    last_row = np.broadcast_to(np.array([[[0.0, 0.0, 1.0]]]), (count, 1, 3))
    current = np.concatenate([maps.astype(np.float64), last_row], axis=1)
    for _ in range(steps):
        seen, inside = _sample(moving, current[:, :2].astype(np.float32))
        error = (seen - target) * inside
        step = inverse @ (jacobian @ error[:, :, None])
        increment = np.eye(3) + np.concatenate([step.reshape(count, 2, 3), 0 * last_row], axis=1)
        current = current @ np.linalg.inv(increment)
    return np.asarray(current[:, :2], dtype=np.float32)


def _correlation(a: Floats, b: Floats, valid: NDArray[np.bool_]) -> Floats:
    a, b = _centred(a, valid), _centred(b, valid)
    norm = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    return np.asarray((a * b).sum(axis=1) / np.maximum(norm, 1e-6), dtype=np.float32)


def _difference(a: Floats, b: Floats, valid: NDArray[np.bool_]) -> Floats:
    a, b = _centred(a, valid), _centred(b, valid)
    spread_a, spread_b = (np.sqrt((v * v).sum(axis=1, keepdims=True)) for v in (a, b))
    gain = np.sqrt(spread_a / np.maximum(spread_b, 1e-6))  # meet halfway, so that order is nothing
    distance = np.abs(a / np.maximum(gain, 1e-6) - b * gain).sum(axis=1)
    return np.asarray(distance / np.maximum(valid.sum(axis=1), 1), dtype=np.float32)


def _centred(values: Floats, valid: NDArray[np.bool_]) -> Floats:
    number = np.maximum(valid.sum(axis=1, keepdims=True), 1)
    mean = (values * valid).sum(axis=1, keepdims=True) / number
    return np.asarray((values - mean) * valid, dtype=np.float32)
