"""How unlike the training pictures a picture is, as the network sees it.

Four scores, all higher for pictures that are more unlike:

- `energy`: minus the logarithm of the summed exponentials of the logits (Liu et al., NeurIPS 2020).
- `max_softmax`: one minus the top probability (Hendrycks and Gimpel, ICLR 2017).
- `mahalanobis`: distance to the nearest class mean under the covariance that the classes share (Lee
  et al., NeurIPS 2018), to which each class contributes alike, shrunk as Ledoit and Wolf (J.
  Multivar. Anal. 88, 2004) do.
- `knn`: distance to the training picture of a given rank, between features scaled to length 1 (Sun
  et al., ICML 2022).

Logits are not calibrated here: a calibrator may be changed without moving a threshold.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from skin_lesion.decisions import OodScore, softmax

Scores = NDArray[np.float64]
Floats = NDArray[np.float32]

SCORES: tuple[OodScore, ...] = get_args(OodScore)
# What callers are told of a picture that is too unlike; a code beside `quality.QUALITY_REASONS`.
UNLIKE_TRAINING = "unlike_training"
# Keeps a row of zeros from being divided by its length.
_LEAST_LENGTH = 1e-12
_BLOCK = 512
# Up to so many pictures are multiplied without a matrix library.
_FEW = 16


@dataclass(frozen=True)
class OodReference:
    """What the training pictures look like to the network.

    Attributes:
        means: Whitened mean features of each class that has training pictures, shape (K, C); None
            where `mahalanobis` is not wanted.
        whitening: Features times this have the identity as the covariance that the classes share,
            shape (C, C); None where `means` is.
        bank: Features of training pictures scaled to length 1, shape (M, C), rounded to the
            precision of float16 on the way; None where `knn` is not wanted.
        centroids: Mean direction of the features of each class, of length 1, shape (K, C): what a
            batch of pictures is told by to have moved, whichever score the gate goes by. None in a
            reference from before they were kept.
    """

    means: Floats | None = None
    whitening: Floats | None = None
    bank: Floats | None = None
    centroids: Floats | None = None

    def only(self, kind: OodScore) -> "OodReference":
        """What one score needs of it, and the centroids."""
        if kind == "mahalanobis":
            return replace(self, bank=None)
        return OodReference(bank=self.bank if kind == "knn" else None, centroids=self.centroids)

    def embedding_distances(self, features: Floats) -> Scores | None:
        """Distance to the nearest class in direction: 1 less the cosine of the angle, 0 to 2.

        Args:
            features: Pooled features, shape (N, C).

        Returns:
            Shape (N,); None where there are no centroids.
        """
        if self.centroids is None:
            return None
        cosines = _products(_unit(features).astype(np.float64), self.centroids.T.astype(np.float64))
        distances: Scores = 1.0 - cosines.max(axis=1)
        return distances

    @property
    def scores(self) -> tuple[OodScore, ...]:
        """Scores that it suffices for."""
        lacking = {
            *(("mahalanobis",) if self.means is None else ()),
            *(("knn",) if self.bank is None else ()),
        }
        return tuple(kind for kind in SCORES if kind not in lacking)

    def save(self, path: Path) -> None:
        """Write an `.npz` file, the same bytes for the same arrays."""
        arrays = {
            "means": self.means,
            "whitening": self.whitening,
            "bank": None if self.bank is None else self.bank.astype(np.float16),
            "centroids": self.centroids,
        }
        kept = {
            name: np.ascontiguousarray(array) for name, array in arrays.items() if array is not None
        }
        # A file handle: for a path NumPy would add a suffix of its own.
        with path.open("wb") as file:
            np.savez(file, allow_pickle=False, **kept)

    @classmethod
    def load(cls, path: Path) -> "OodReference":
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: It holds something else.
        """
        with np.load(path, allow_pickle=False) as file:
            unknown = set(file.files) - {"means", "whitening", "bank", "centroids"}
            if unknown or not file.files:
                raise ValueError(
                    f"{path} holds {sorted(file.files)}; expected means and whitening, bank or "
                    "centroids: evaluate the model anew"
                )
            arrays = {name: file[name].astype(np.float32) for name in file.files}
        if "whitening" in arrays:
            arrays["whitening"] = np.asfortranarray(arrays["whitening"])
        if "bank" in arrays:
            arrays["bank"] = _unit(arrays["bank"])
        if ("means" in arrays) != ("whitening" in arrays):
            raise ValueError(
                f"{path} holds {sorted(arrays)}; means and whitening need each other: evaluate the "
                "model anew"
            )
        return cls(**arrays)


def fit_reference(
    features: Floats, truth: NDArray[np.int64], *, bank_size: int, seed: int
) -> OodReference:
    """Describe the training pictures.

    Args:
        features: Pooled features of the training pictures, shape (N, C), at least two.
        truth: Index of the true class of each, shape (N,).
        bank_size: Most pictures that `knn` compares with; more are drawn from at random.
        seed: Of that draw.

    Raises:
        ValueError: Fewer than two pictures, or features that are not finite.
    """
    if len(features) < 2 or features.ndim != 2 or len(features) != len(truth):
        raise ValueError(
            f"got features {features.shape} and {len(truth)} labels; expected (N, C) and N, at "
            "least two training pictures"
        )
    if not np.isfinite(features).all():
        raise ValueError("some features are not finite; the model's weights are broken")
    wide = features.astype(np.float64)
    means, members = _class_means(wide, truth)
    # Each class weighs the same: otherwise the commonest one shapes the covariance, and pictures of
    # rare classes would be refused for being rare.
    weights = 1.0 / np.bincount(members)[members]
    evened = (wide - means[members]) * np.sqrt(weights / weights.mean())[:, None]
    whitening = _whitening(evened)
    rows = np.arange(len(features))
    if len(rows) > bank_size:
        rows = np.sort(np.random.default_rng([seed, 65]).choice(rows, bank_size, replace=False))
    return OodReference(
        means=(means @ whitening).astype(np.float32),
        whitening=whitening.astype(np.float32),
        bank=_unit(_unit(features[rows]).astype(np.float16).astype(np.float32)),
        centroids=_unit(
            _class_means(_unit(features).astype(np.float64), truth)[0].astype(np.float32)
        ),
    )


def score(
    kind: OodScore,
    logits: NDArray[np.floating],
    features: Floats,
    reference: OodReference | None,
    neighbours: int,
) -> Scores:
    """How unlike the training pictures N pictures are.

    Args:
        kind: Which score.
        logits: Shape (N, 7); used by `energy` and `max_softmax`.
        features: Pooled features, shape (N, C); used by `mahalanobis` and `knn`.
        reference: The training pictures; needed by `mahalanobis` and `knn`.
        neighbours: Rank of the training picture whose distance counts for `knn`; the last one
            where there are fewer.

    Returns:
        Higher is more unlike, shape (N,).

    Raises:
        ValueError: The reference lacks what the score needs.
    """
    if kind == "energy":
        top = logits.max(axis=1).astype(np.float64)
        summed = np.exp(logits - top[:, None]).sum(axis=1)
        energy: Scores = -(top + np.log(summed))
        return energy
    if kind == "max_softmax":
        unsure: Scores = 1.0 - softmax(logits).max(axis=1)
        return unsure
    whole = reference or OodReference()
    if kind == "mahalanobis" and whole.means is not None and whole.whitening is not None:
        means, whitening = whole.means, whole.whitening
        return _by_block(features, lambda block: _nearest_mean(block, means, whitening))
    if kind == "knn" and whole.bank is not None:
        bank, rank = whole.bank, min(neighbours, len(whole.bank))
        return _by_block(features, lambda block: _neighbour_distance(block, bank, rank))
    raise ValueError(
        f"the score {kind!r} needs the training pictures and the reference lacks them; fit it with "
        "skin_lesion.ood.fit_reference, or load the bundle's serving/ood.npz"
    )


def _class_means(
    features: NDArray[np.float64], truth: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Mean features of the classes that are present, (K, C), and the row of each picture, (N,)."""
    present, members = np.unique(truth, return_inverse=True)
    return np.stack([features[truth == index].mean(axis=0) for index in present]), members


def _whitening(centred: NDArray[np.float64]) -> NDArray[np.float64]:
    """A root of the inverse covariance of centred rows, (C, C)."""
    from scipy.linalg import cholesky, solve_triangular
    from sklearn.covariance import ledoit_wolf

    covariance, _ = ledoit_wolf(centred, assume_centered=True)
    # Features that never vary have no covariance to invert; they are left to their own scale.
    scale = np.trace(covariance) / len(covariance) or 1.0
    covariance[np.diag_indices_from(covariance)] += 1e-6 * scale
    lower = cholesky(covariance, lower=True)
    root: NDArray[np.float64] = solve_triangular(lower, np.eye(len(lower)), lower=True).T
    return root


def _nearest_mean(features: Floats, means: Floats, whitening: Floats) -> Scores:
    whitened = _products(features, whitening)[:, None, :].astype(np.float64)
    nearest: Scores = np.sqrt(((whitened - means) ** 2).sum(axis=2)).min(axis=1)
    return nearest


def _neighbour_distance(features: Floats, bank: Floats, rank: int) -> Scores:
    # Both sides have length 1, or are rows of zeros, which are far from everything.
    squares = np.maximum(2.0 - 2.0 * _products(_unit(features), bank.T), 0.0)
    found: Scores = np.sqrt(np.partition(squares, rank - 1, axis=1)[:, rank - 1].astype(np.float64))
    return found


def _products(few: Floats, matrix: Floats) -> Floats:
    """`few @ matrix`; quick where `matrix` is laid out column by column.

    The threads of a matrix library spin for milliseconds after every product, in case there is
    another one, and keep the cores from the network that runs next. So a few pictures, as a service
    has them, are multiplied one scalar product at a time.
    """
    if len(few) > _FEW:
        return few @ matrix
    products: Floats = np.vecdot(few[:, None, :], matrix.T)
    return products


def _unit(features: Floats) -> Floats:
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    unit: Floats = (features / np.maximum(lengths, _LEAST_LENGTH)).astype(np.float32)
    return unit


def _by_block(features: Floats, of: Callable[[Floats], Scores]) -> Scores:
    """Bound the memory: the distances of all pictures to all others would not fit."""
    if not len(features):
        return np.empty(0)
    starts = range(0, len(features), _BLOCK)
    return np.concatenate([of(features[start : start + _BLOCK]) for start in starts])
