"""Do the hottest cells of a heat-map matter to the answer?

Deletion and insertion of Petsiuk et al., "RISE: randomized input sampling for explanation of
black-box models", BMVC 2018. The picture is divided into the cells of the feature map, and cells
are hidden by a strong blur. Random orders hide the same cells' worth of picture, so that only the
choice of cells differs. Scattered cells leave more edges than a hot patch does, which favours
chance: a map that wins has won against the harder rival.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skin_lesion.decisions import Probabilities
from skin_lesion.evaluation.explanation_figures import DeletionFigures
from skin_lesion.evaluation.figures import Estimate
from skin_lesion.evaluation.resampling import Resamples, Values, estimate, share

Pixels = NDArray[np.uint8]
Run = Callable[[Pixels], Probabilities]
Order = NDArray[np.int64]

_TIES, _ORDERS = 71, 72


@dataclass(frozen=True)
class Curves:
    """Probability of the class in N pictures while their cells are hidden.

    Attributes:
        hidden: Shares of cells hidden, ascending from 0 to 1, shape (S,).
        deletion: Hottest cells hidden first, shape (N, S).
        insertion: Hottest cells shown first; column i is at the share `1 - hidden[-1 - i]` shown;
            shape (N, S).
        random: Cells hidden in random orders, shape (repeats, N, S).
        centre: Cells hidden from the centre outwards, shape (N, S).
        grid: Rows and columns of cells.
    """

    hidden: Values
    deletion: Values
    insertion: Values
    random: Values
    centre: Values
    grid: tuple[int, int]

    @property
    def deletion_auc(self) -> Values:
        """Area under the deletion curve of each picture, shape (N,)."""
        return self._area(self.deletion)

    @property
    def insertion_auc(self) -> Values:
        """Area under the insertion curve of each picture, shape (N,)."""
        # Read from the end it is a curve over the share hidden, of the same area.
        return self._area(self.insertion[:, ::-1])

    @property
    def random_auc(self) -> Values:
        """Mean area over the random orders, of deletion and of insertion, shape (N,)."""
        areas: Values = self._area(self.random).mean(axis=0)
        return areas

    @property
    def centre_auc(self) -> Values:
        """Area under the deletion curve from the centre outwards, shape (N,)."""
        return self._area(self.centre)

    def _area(self, curves: Values) -> Values:
        return np.asarray(np.trapezoid(curves, self.hidden, axis=-1))


def deletion_insertion(
    run: Run,
    pixels: Pixels,
    heats: Sequence[NDArray[np.floating]],
    class_index: NDArray[np.int64],
    *,
    steps: int,
    repeats: int,
    blur: float,
    seed: int,
) -> Curves:
    """Hide and show the cells of each picture in the order of its map and in other orders.

    Cells that are equally hot come in random order.

    Args:
        run: From RGB pictures (M, H, W, 3) to probabilities (M, 7).
        pixels: RGB, shape (N, H, W, 3); not changed.
        heats: A map of each picture, all of one shape (h, w), hot where the class shows.
        class_index: Class whose probability is followed in each picture, shape (N,).
        steps: Steps from all to nothing; no more than there are cells.
        repeats: Random orders for each picture.
        blur: Standard deviation of the blur that hides a cell, as a share of the shorter side.
        seed: Equal seeds draw equal orders.

    Raises:
        ValueError: Numbers or shapes do not fit together.
    """
    grid = _grid(pixels, heats, class_index)
    cells = grid[0] * grid[1]
    if not 1 <= steps <= cells or repeats < 1 or blur <= 0:
        raise ValueError(
            f"steps is {steps}, repeats {repeats}, blur {blur:g}; expected 1 to {cells} steps (the "
            "cells of the map), at least 1 repeat and a blur above 0"
        )
    counts = np.rint(np.linspace(0, cells, steps + 1)).astype(np.int64)
    found = []
    for row, (picture, heat) in enumerate(zip(pixels, heats, strict=True)):
        ties = np.random.default_rng([seed, _TIES, row])
        hottest = _ordered(-np.asarray(heat), ties)
        centre = _ordered(_distance_from_centre(grid, picture.shape[:2]), ties)
        random = np.random.default_rng([seed, _ORDERS, row])
        chance = [random.permutation(cells) for _ in range(repeats)]
        # Showing the hottest cells first hides them last.
        orders = [hottest, hottest[::-1], centre, *chance]
        found.append(_follow(run, picture, orders, counts, grid, blur, int(class_index[row])))
    curves = np.stack(found, axis=1)
    return Curves(
        hidden=counts / cells,
        deletion=curves[0],
        insertion=curves[1][:, ::-1],
        random=curves[3:],
        centre=curves[2],
        grid=grid,
    )


def deletion_figures(
    curves: Curves,
    resamples: Resamples,
    *,
    repeats: int,
    blur: float,
    goal: float,
    min_lesions: int,
) -> DeletionFigures:
    """What the curves of N pictures say, with intervals over lesions.

    Args:
        curves: Of N pictures.
        resamples: Of the same pictures.
        repeats: As the curves were made with.
        blur: As the curves were made with.
        goal: Share asked of pictures whose map beats random order in deletion.
        min_lesions: With fewer, the figures are indicative and the goal is not judged.
    """

    def mean(values: Values) -> Estimate:
        return estimate(float(values.mean()), resamples.means(values))

    lesions = resamples.lesions() or 0
    better = share(resamples, curves.deletion_auc < curves.random_auc)
    reached = better.value is not None and better.value >= goal
    return DeletionFigures(
        n_images=len(curves.deletion),
        n_lesions=lesions,
        indicative=lesions < min_lesions,
        map_height=curves.grid[0],
        map_width=curves.grid[1],
        steps=len(curves.hidden) - 1,
        repeats=repeats,
        blur=blur,
        hidden=tuple(curves.hidden.tolist()),
        deletion=tuple(curves.deletion.mean(axis=0).tolist()),
        insertion=tuple(curves.insertion.mean(axis=0).tolist()),
        random=tuple(curves.random.mean(axis=(0, 1)).tolist()),
        centre=tuple(curves.centre.mean(axis=0).tolist()),
        deletion_auc=mean(curves.deletion_auc),
        insertion_auc=mean(curves.insertion_auc),
        random_auc=mean(curves.random_auc),
        centre_auc=mean(curves.centre_auc),
        deletion_gain=mean(curves.random_auc - curves.deletion_auc),
        insertion_gain=mean(curves.insertion_auc - curves.random_auc),
        better_deletion=better,
        better_insertion=share(resamples, curves.insertion_auc > curves.random_auc),
        better_than_centre=share(resamples, curves.deletion_auc < curves.centre_auc),
        goal=goal,
        reached=None if lesions < min_lesions else reached,
    )


def _follow(
    run: Run,
    picture: Pixels,
    orders: Sequence[Order],
    counts: NDArray[np.int64],
    grid: tuple[int, int],
    blur: float,
    class_index: int,
) -> Values:
    """Probability of the class with the first `counts` cells of each order hidden: (orders, S)."""
    inner = counts[1:-1]
    masks = np.zeros((2 + len(orders) * len(inner), grid[0] * grid[1]), bool)
    masks[1] = True  # all hidden; the first row hides nothing
    for position, order in enumerate(orders):
        for step, count in enumerate(inner):
            masks[2 + position * len(inner) + step, order[:count]] = True
    answers = run(_hide(picture, masks.reshape(-1, *grid), blur))[:, class_index]
    curves = np.empty((len(orders), len(counts)))
    curves[:, 0], curves[:, -1] = answers[0], answers[1]
    curves[:, 1:-1] = answers[2:].reshape(len(orders), len(inner))
    return curves


def _hide(picture: Pixels, masks: NDArray[np.bool_], blur: float) -> Pixels:
    """The picture with the cells of each mask (M, h, w) blurred, shape (M, H, W, 3)."""
    from scipy.ndimage import gaussian_filter

    height, width = picture.shape[:2]
    sigma = blur * min(height, width)
    smooth = gaussian_filter(picture.astype(np.float32), (sigma, sigma, 0), mode="nearest")
    hidden = np.rint(smooth).astype(np.uint8)
    rows = np.arange(height) * masks.shape[1] // height
    columns = np.arange(width) * masks.shape[2] // width
    return np.where(masks[:, rows][:, :, columns, None], hidden, picture)


def _ordered(values: NDArray[np.floating], random: np.random.Generator) -> Order:
    """Cells by ascending value, equal ones in random order."""
    flat = values.ravel()
    return np.lexsort((random.random(len(flat)), flat))


def _distance_from_centre(grid: tuple[int, int], size: tuple[int, ...]) -> NDArray[np.float64]:
    rows = ((np.arange(grid[0]) + 0.5) / grid[0] - 0.5) * size[0]
    columns = ((np.arange(grid[1]) + 0.5) / grid[1] - 0.5) * size[1]
    # Rounded, so that cells of equal distance tie.
    return np.asarray(np.round(np.hypot(rows[:, None], columns), 6), dtype=np.float64)


def _grid(
    pixels: Pixels, heats: Sequence[NDArray[np.floating]], class_index: NDArray[np.int64]
) -> tuple[int, int]:
    """Rows and columns of cells, once everything fits together."""
    shapes = {np.shape(heat) for heat in heats}
    if len(pixels) != len(heats) or len(heats) != len(class_index) or len(shapes) != 1:
        raise ValueError(
            f"got {len(pixels)} pictures, {len(heats)} maps of shapes {sorted(shapes)} and "
            f"{len(class_index)} classes; expected as many of each, at least one, and one shape"
        )
    (shape,) = shapes
    if len(shape) != 2 or shape[0] > pixels.shape[1] or shape[1] > pixels.shape[2]:
        raise ValueError(
            f"maps have shape {shape} and pictures {pixels.shape[1:]}; expected maps (h, w) that "
            "are no larger than the pictures"
        )
    return int(shape[0]), int(shape[1])
