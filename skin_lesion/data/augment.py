"""The augmentation policy: what is drawn at random, and how classes are weighted.

Every draw is a function of the generator handed in, and lives in NumPy: the same seed gives the
same pictures whatever computes the pixels. MixUp and CutMix act here, on `uint8` pixels; geometry
and colour are only *drawn* here and applied inside the training graph
(`skin_lesion.modeling.classifier.build_trainer`), where they run on the accelerator.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from skin_lesion.data.image_array import Pixels
from skin_lesion.data.split_table import SplitTable
from skin_lesion.labels import LABELS
from skin_lesion.settings import AugmentConfig

Floats = NDArray[np.float32]


class AugmentationPlan(BaseModel):
    """Policy and class weights, used by both training phases.

    Attributes:
        policy: What is drawn and how far.
        class_weights: Weight of each class in the loss; their mean over the training images is 1,
            and each is 1 unless class weights are what makes up for rare classes.
        train_counts: Training images of each class.
        seed: Base of every random draw in training.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    policy: AugmentConfig
    class_weights: dict[str, float]
    train_counts: dict[str, int]
    seed: int

    def weight_vector(self) -> Floats:
        """Class weights in the order of `LABELS`, shape (7,)."""
        return np.array([self.class_weights[label] for label in LABELS], np.float32)

    def prior(self) -> NDArray[np.float64]:
        """Share of each class in the training images, in the order of `LABELS`, shape (7,)."""
        counts = np.array([self.train_counts[label] for label in LABELS], np.float64)
        shares: NDArray[np.float64] = counts / counts.sum()
        return shares

    def served_shares(self) -> NDArray[np.float64]:
        """Share of each class in what an epoch serves, in the order of `LABELS`, shape (7,)."""
        if self.policy.imbalance != "balanced_sampling":
            return self.prior()
        wanted: NDArray[np.float64] = self.prior() ** (1 - self.policy.sampling_power)
        wanted /= wanted.sum()
        return wanted


def make_plan(split: SplitTable, config: AugmentConfig, seed: int) -> AugmentationPlan:
    """Count the training images and derive the class weights.

    Args:
        split: Only its training rows are looked at.
        config: The policy.
        seed: Base of every random draw in training.

    Raises:
        ValueError: A class has no training image.
    """
    labels = split.rows["dx"].to_numpy()[split.indices("train")]
    counts = {label: int((labels == label).sum()) for label in LABELS}
    absent = [label for label, count in counts.items() if count == 0]
    if absent:
        raise ValueError(
            f"no training image of class {', '.join(absent)}; every one of {', '.join(LABELS)} is "
            "needed: take more images (source.max_images) or check the metadata"
        )
    n = np.array(list(counts.values()), np.float64)
    power = config.class_weight_power if config.imbalance == "class_weights" else 0.0
    raw = (n.mean() / n) ** power
    weights = raw / np.average(raw, weights=n)
    return AugmentationPlan(
        policy=config,
        class_weights=dict(zip(LABELS, weights.tolist(), strict=True)),
        train_counts=counts,
        seed=seed,
    )


@dataclass(frozen=True)
class MixedBatch:
    """Pictures and soft targets after MixUp or CutMix.

    Attributes:
        pixels: Shape (n, height, width, 3), `uint8`.
        targets: Shape (n, 7); each row sums to 1.
    """

    pixels: Pixels
    targets: Floats

    @classmethod
    def unmixed(cls, pixels: Pixels, labels: NDArray[np.int64]) -> Self:
        """Pictures as they are with one-hot targets."""
        return cls(pixels, np.eye(len(LABELS), dtype=np.float32)[labels])


def mix(batch: MixedBatch, policy: AugmentConfig, rng: np.random.Generator) -> MixedBatch:
    """Mix every picture with another of the batch, by MixUp or by CutMix, or leave them alone.

    MixUp: Zhang et al., arXiv:1710.09412. CutMix: Yun et al., arXiv:1905.04899; the share of the
    pasted rectangle after clipping to the picture is the share of the pasted target.
    """
    kinds = [
        mixer
        for mixer, alpha in ((_mixup, policy.mixup_alpha), (_cutmix, policy.cutmix_alpha))
        if alpha > 0
    ]
    # Drawn whether used or not, so that switching one option leaves the other draws as they were.
    chance, choice = rng.random(), rng.random()
    if not kinds or chance >= policy.mix_probability:
        return batch
    return kinds[int(choice * len(kinds))](batch, policy, rng)


def _mixup(batch: MixedBatch, policy: AugmentConfig, rng: np.random.Generator) -> MixedBatch:
    partner = rng.permutation(len(batch.pixels))
    share = np.float32(rng.beta(policy.mixup_alpha, policy.mixup_alpha))
    pixels = batch.pixels.astype(np.float32)
    pixels = pixels * share + pixels[partner] * (1 - share)
    targets = batch.targets * share + batch.targets[partner] * (1 - share)
    return MixedBatch(np.rint(pixels).astype(np.uint8), targets)


def _cutmix(batch: MixedBatch, policy: AugmentConfig, rng: np.random.Generator) -> MixedBatch:
    partner = rng.permutation(len(batch.pixels))
    cut = np.sqrt(1 - rng.beta(policy.cutmix_alpha, policy.cutmix_alpha))
    height, width = batch.pixels.shape[1:3]
    top, bottom = _span(rng, height, cut)
    left, right = _span(rng, width, cut)
    pixels = batch.pixels.copy()
    pixels[:, top:bottom, left:right] = batch.pixels[partner, top:bottom, left:right]
    share = np.float32(1 - (bottom - top) * (right - left) / (height * width))
    targets = batch.targets * share + batch.targets[partner] * (1 - share)
    return MixedBatch(pixels, targets)


def _span(rng: np.random.Generator, length: int, share: float) -> tuple[int, int]:
    """Place an interval of about `share * length` with its centre anywhere, clipped to the side."""
    centre, half = int(rng.integers(length)), round(length * share / 2)
    return max(0, centre - half), min(length, centre + half)


def draw_geometry(
    n: int, height: int, width: int, policy: AugmentConfig, rng: np.random.Generator
) -> Floats:
    """Draw flips, rotation, zoom and translation as one affine map a picture.

    One map means that pixels are interpolated once, however many changes it holds.

    Returns:
        Shape (n, 8): the first eight entries of the row-major 3x3 matrix that takes an output pixel
        (x, y, 1) to the input pixel it is read from, as `keras.ops.image.affine_transform` wants.
    """
    angle = np.deg2rad(rng.uniform(-policy.rotation, policy.rotation, n))
    limit = np.log1p(policy.zoom)
    scale = np.exp(rng.uniform(-limit, limit, n))
    flip_x = np.where(rng.random(n) < policy.flip_horizontal, -1.0, 1.0)
    flip_y = np.where(rng.random(n) < policy.flip_vertical, -1.0, 1.0)
    shift_x = rng.uniform(-policy.translation, policy.translation, n) * width
    shift_y = rng.uniform(-policy.translation, policy.translation, n) * height

    centre_x, centre_y = (width - 1) / 2, (height - 1) / 2
    cos, sin = np.cos(angle) * scale, np.sin(angle) * scale
    a0, a1 = cos * flip_x, -sin * flip_y
    b0, b1 = sin * flip_x, cos * flip_y
    a2 = centre_x + shift_x - a0 * centre_x - a1 * centre_y
    b2 = centre_y + shift_y - b0 * centre_x - b1 * centre_y
    zeros = np.zeros(n)
    return np.stack([a0, a1, a2, b0, b1, b2, zeros, zeros], axis=1).astype(np.float32)


def draw_colour(n: int, policy: AugmentConfig, rng: np.random.Generator) -> Floats:
    """Draw colour changes.

    Returns:
        Shape (n, 3): shift of brightness in grey levels of 255, factor of contrast about the
        picture's mean, factor of saturation about each pixel's grey value.
    """
    shift = rng.uniform(-policy.brightness, policy.brightness, n) * 255
    contrast = rng.uniform(1 - policy.contrast, 1 + policy.contrast, n)
    saturation = rng.uniform(1 - policy.saturation, 1 + policy.saturation, n)
    return np.stack([shift, contrast, saturation], axis=1).astype(np.float32)
