"""What blur, files, light, hair, rulers and ink do to the answers.

The same pictures are judged unchanged and perturbed, so every drop is a paired one: each resample
of lesions gives both figures, and their difference. The summary over strengths is one minus the
relative performance under corruption of Michaelis et al., "Benchmarking robustness in object
detection", arXiv:1907.07484.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from skin_lesion.decisions import Calibrator, OperatingPoint, Probabilities, malignant_probability
from skin_lesion.evaluation.corruptions import CORRUPTIONS, STRENGTHS, corrupt
from skin_lesion.evaluation.figures import Estimate
from skin_lesion.evaluation.ranking import binary_auc
from skin_lesion.evaluation.resampling import Resamples, Values, estimate, interval, share
from skin_lesion.evaluation.robustness_figures import (
    PerturbationFigures,
    RobustnessFigures,
    Scores,
    StrengthFigures,
)
from skin_lesion.evaluation.sample import Sample
from skin_lesion.labels import LABELS, MALIGNANT_INDICES, MELANOMA_INDEX, NUM_CLASSES

Pixels = NDArray[np.uint8]
Run: TypeAlias = Callable[[Pixels], NDArray[np.float32]]

MELANOMA_POINT = "melanoma_sensitivity_95"


@dataclass(frozen=True)
class _Figure:
    """A figure of a set of pictures, and what it is in each resample of lesions, shape (B,)."""

    value: float | None
    resampled: Values

    def less(self, other: "_Figure") -> "_Figure":
        if self.value is None or other.value is None:
            return _Figure(None, self.resampled)
        return _Figure(self.value - other.value, self.resampled - other.resampled)

    def paired(self) -> Estimate:
        """As the difference of two states of the same pictures, where no change is an answer."""
        ends = None if self.value is None else interval(self.resampled)
        if ends is None:
            return Estimate(value=self.value)
        return Estimate(value=self.value, ci_low=ends.ci_low, ci_high=ends.ci_high)


@dataclass(frozen=True)
class _Judgement:
    """What the model says of the pictures in one state."""

    truth: NDArray[np.int64]
    probabilities: Probabilities
    point: OperatingPoint | None
    resamples: Resamples

    @property
    def predicted(self) -> NDArray[np.int64]:
        return np.asarray(self.probabilities.argmax(axis=1), dtype=np.int64)

    @cached_property
    def balanced_accuracy(self) -> _Figure:
        right = self.predicted == self.truth
        members = [self.truth == index for index in np.unique(self.truth)]
        # In a resample that lacks one of the classes the mean would be another figure: NaN.
        resampled: Values = np.mean([self.resamples.means(right, of) for of in members], axis=0)
        return _Figure(float(np.mean([right[of].mean() for of in members])), resampled)

    @cached_property
    def malignant_auc(self) -> _Figure:
        positive = np.isin(self.truth, MALIGNANT_INDICES)
        score = malignant_probability(self.probabilities)
        return _Figure(binary_auc(positive, score), self.resamples.aucs(positive, score))

    @property
    def melanoma(self) -> NDArray[np.bool_]:
        melanoma: NDArray[np.bool_] = self.truth == MELANOMA_INDEX
        return melanoma

    @cached_property
    def right_at_point(self) -> NDArray[np.bool_] | None:
        """Which melanomas are positive and which other images negative, shape (N,)."""
        if self.point is None:
            return None
        right: NDArray[np.bool_] = self.point.positive(self.probabilities) == self.melanoma
        return right

    def share_right(self, of: NDArray[np.bool_]) -> _Figure:
        if self.right_at_point is None or not of.any():
            return _Figure(None, np.full(len(self.resamples.weights), np.nan))
        resampled = self.resamples.means(self.right_at_point, of)
        return _Figure(float(self.right_at_point[of].mean()), resampled)

    def scores(self) -> Scores:
        shares = [
            Estimate(value=None)
            if self.right_at_point is None
            else share(self.resamples, self.right_at_point, of)
            for of in (self.melanoma, ~self.melanoma)
        ]
        return Scores(
            balanced_accuracy=estimate(
                self.balanced_accuracy.value, self.balanced_accuracy.resampled
            ),
            malignant_auc=estimate(self.malignant_auc.value, self.malignant_auc.resampled),
            melanoma_sensitivity=shares[0],
            melanoma_specificity=shares[1],
        )

    def drop_to(self, other: "_Judgement") -> Scores:
        sensitivity, specificity = (
            self.share_right(of).less(other.share_right(of)).paired()
            for of in (self.melanoma, ~self.melanoma)
        )
        return Scores(
            balanced_accuracy=self.balanced_accuracy.less(other.balanced_accuracy).paired(),
            malignant_auc=self.malignant_auc.less(other.malignant_auc).paired(),
            melanoma_sensitivity=sensitivity,
            melanoma_specificity=specificity,
        )


def choose_subset(sample: Sample, count: int, seed: int) -> NDArray[np.int64]:
    """Choose images so that the classes are as evenly there as the sample allows.

    No class gets more images than another unless the other has no more to give. Within a class
    further images of a lesion come only when every lesion has one. The choice depends on image ids,
    not on the order of the rows.

    Args:
        sample: N images.
        count: Number of images; all N where there are fewer.
        seed: Equal seeds choose the same images.

    Returns:
        Row numbers, ascending.

    Raises:
        ValueError: `count` is below 1, or the sample is empty.
    """
    if count < 1 or not len(sample):
        raise ValueError(
            f"asked for {count} of {len(sample)} images; expected at least 1 of at least 1"
        )
    queues = [_queue(sample, index, seed) for index in range(NUM_CLASSES)]
    chosen: list[int] = []
    for turn in range(max(len(queue) for queue in queues)):
        candidates = [queue[turn] for queue in queues if turn < len(queue)]
        # Rarer classes come first, so that a last, incomplete turn does not pass them over.
        candidates.sort(key=lambda row: (sample.class_counts[sample.truth[row]], sample.truth[row]))
        chosen += candidates[: count - len(chosen)]
    return np.sort(np.array(chosen, dtype=np.int64))


def robustness(
    run: Run,
    calibrator: Calibrator,
    points: Sequence[OperatingPoint],
    pixels: Pixels,
    sample: Sample,
    *,
    images: int,
    resamples: int,
    min_lesions: int,
    seed: int,
) -> RobustnessFigures:
    """Judge pictures under ten perturbations at five strengths each.

    Args:
        run: Gives the logits (n, 7) of pictures (n, H, W, 3); called 51 times.
        calibrator: The frozen one.
        points: Frozen operating points; the melanoma figures use `melanoma_sensitivity_95`.
        pixels: RGB, uint8, shape (N, H, W, 3), of the same images as the sample, in its order.
        sample: N images; only its rows are used.
        images: How many of them to judge; see `choose_subset`.
        resamples: Bootstrap resamples.
        min_lesions: Classes with fewer lesions are named as indicative.
        seed: Of subset, perturbations and resamples.

    Raises:
        ValueError: Pixels and sample do not fit together, or `run` gives no such logits.
    """
    if len(pixels) != len(sample):
        raise ValueError(f"{len(pixels)} pictures and a sample of {len(sample)}; expected as many")
    index = choose_subset(sample, images, seed)
    subset, chosen = sample.take(index), np.asarray(pixels[index])
    point = next((point for point in points if point.name == MELANOMA_POINT), None)
    draws = Resamples.over_lesions(subset.groups, resamples, seed)

    def judge(pictures: Pixels) -> _Judgement:
        probabilities = calibrator.probabilities(_logits(run, pictures))
        return _Judgement(subset.truth, probabilities, point, draws)

    clean = judge(chosen)
    perturbations: dict[str, PerturbationFigures] = {}
    losses: list[_Figure] = []
    for name, corruption in CORRUPTIONS.items():
        judgements = [judge(corrupt(name, strength, chosen, seed)) for strength in STRENGTHS]
        losses.append(_relative_drop(clean, judgements))
        perturbations[name] = PerturbationFigures(
            title=corruption.title,
            quantity=corruption.quantity,
            unit=corruption.unit.strip(),
            training=corruption.training,
            strengths=tuple(
                _strength(strength, amount, clean, judgement)
                for strength, amount, judgement in zip(
                    STRENGTHS, corruption.amounts, judgements, strict=True
                )
            ),
            mean_relative_drop=losses[-1].paired(),
        )
    lesions = [len(set(subset.groups[subset.truth == i])) for i in range(NUM_CLASSES)]
    return RobustnessFigures(
        n_images=len(subset),
        n_lesions=len(set(subset.groups)),
        class_counts=dict(zip(LABELS, subset.class_counts.tolist(), strict=True)),
        absent_classes=tuple(LABELS[i] for i in range(NUM_CLASSES) if not lesions[i]),
        indicative_classes=tuple(
            LABELS[i] for i in range(NUM_CLASSES) if 0 < lesions[i] < min_lesions
        ),
        operating_point=None if point is None else point.name,
        resamples=resamples,
        seed=seed,
        clean=clean.scores(),
        perturbations=perturbations,
        mean_relative_drop=_mean(losses).paired(),
        worst=_worst(perturbations),
    )


def _queue(sample: Sample, class_index: int, seed: int) -> list[int]:
    """Rows of a class in the order in which they are taken: first one of each lesion."""
    rows = np.flatnonzero(sample.truth == class_index)
    ids = sample.rows["image_id"].to_numpy()
    rows = rows[np.argsort(ids[rows], kind="stable")]
    rows = np.random.default_rng([seed, 47, class_index]).permutation(rows)
    seen: dict[int, int] = {}
    repeats = []
    for row in rows:
        group = int(sample.groups[row])
        repeats.append(seen.get(group, 0))
        seen[group] = repeats[-1] + 1
    return [int(row) for row in rows[np.argsort(repeats, kind="stable")]]


def _logits(run: Run, pictures: Pixels) -> NDArray[np.float32]:
    logits = run(pictures)
    if logits.shape != (len(pictures), NUM_CLASSES):
        raise ValueError(
            f"the model gave logits {logits.shape}; expected ({len(pictures)}, {NUM_CLASSES})"
        )
    return logits


def _strength(
    strength: int, amount: float, clean: _Judgement, perturbed: _Judgement
) -> StrengthFigures:
    changed = clean.predicted != perturbed.predicted
    shift = np.abs(
        malignant_probability(clean.probabilities) - malignant_probability(perturbed.probabilities)
    )
    return StrengthFigures(
        strength=strength,
        amount=amount,
        scores=perturbed.scores(),
        drop=clean.drop_to(perturbed),
        changed_predictions=share(clean.resamples, changed),
        malignant_shift=estimate(float(shift.mean()), clean.resamples.means(shift)),
    )


def _relative_drop(clean: _Judgement, perturbed: Sequence[_Judgement]) -> _Figure:
    """Mean share of the balanced accuracy that is lost; None where there was none to lose."""
    before = clean.balanced_accuracy
    after = _mean([judgement.balanced_accuracy for judgement in perturbed])
    with np.errstate(invalid="ignore", divide="ignore"):
        resampled = 1 - after.resampled / before.resampled
    if not before.value or after.value is None:
        return _Figure(None, resampled)
    return _Figure(1 - after.value / before.value, resampled)


def _mean(figures: Sequence[_Figure]) -> _Figure:
    values = [figure.value for figure in figures if figure.value is not None]
    resampled: Values = np.mean([figure.resampled for figure in figures], axis=0)
    return _Figure(float(np.mean(values)) if len(values) == len(figures) else None, resampled)


def _worst(perturbations: dict[str, PerturbationFigures]) -> str | None:
    drops = {name: p.mean_relative_drop.value or 0.0 for name, p in perturbations.items()}
    name = max(drops, key=drops.__getitem__)
    return name if drops[name] > 0 else None
