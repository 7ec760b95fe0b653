"""What is gained by not answering where the model is unsure.

The pictures are answered from the surest on; coverage is the share that is answered, risk the share
of mistakes among the answers. The area under the curve is the mean risk over all coverages; its
excess over that of a model which puts all its mistakes last tells how well sureness ranks, whatever
the number of mistakes (Geifman, Uziel and El-Yaniv, ICLR 2019).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skin_lesion.evaluation.figures import Estimate, Figures
from skin_lesion.evaluation.resampling import Resamples, estimate
from skin_lesion.evaluation.sample import Sample

Values = NDArray[np.float64]

# Coverages at which the curve is kept.
_COVERAGES = tuple(round(0.01 * step, 2) for step in range(1, 101))


class RiskPoint(Figures):
    """One point of the curve.

    Attributes:
        coverage: Share of the images that is answered, 0 to 1.
        risk: Share of mistakes among the answers.
    """

    coverage: float
    risk: Estimate


class RiskCoverage(Figures):
    """Risk against coverage.

    Images that are equally sure are taken in random order: the figures are the means over it.

    Attributes:
        n_images: Number of images.
        n_mistakes: How many are answered wrongly.
        points: The curve at coverages of 0.01 to 1.
        aurc: Mean risk over coverages of 1/n to 1.
        best_aurc: The same where all mistakes were least sure.
        excess_aurc: The difference of the two; 0 is perfect.
    """

    n_images: int
    n_mistakes: int
    points: tuple[RiskPoint, ...]
    aurc: Estimate
    best_aurc: float
    excess_aurc: Estimate

    def at(self, coverage: float) -> RiskPoint:
        """The point next to a coverage, 0 to 1."""
        return min(self.points, key=lambda point: abs(point.coverage - coverage))


@dataclass(frozen=True)
class _Answered:
    """B resamples, answered step by step: all images equally sure make one of T steps.

    Attributes:
        images: Weight of the images on each step, surest first, shape (B, T).
        mistakes: Weight of the mistakes on each step, shape (B, T).
    """

    images: Values
    mistakes: Values

    @classmethod
    def of(
        cls, weights: NDArray[np.float32], wrong: NDArray[np.bool_], confidence: Values
    ) -> "_Answered":
        order = np.argsort(-confidence, kind="stable")
        starts = np.flatnonzero(np.diff(confidence[order], prepend=np.inf) != 0)
        ordered = weights[:, order].astype(np.float64)
        return cls(
            images=np.add.reduceat(ordered, starts, axis=1),
            mistakes=np.add.reduceat(ordered * wrong[order], starts, axis=1),
        )

    @property
    def total(self) -> NDArray[np.int64]:
        """Images of each resample, shape (B,)."""
        return _whole(self.images.sum(axis=1))

    def aurc(self) -> Values:
        """Mean risk over the coverages of one image, two images and so on, shape (B,)."""
        # Within a step of s images with b mistakes, after c images with e mistakes, the expected
        # risk after j more is (e + j b/s) / (c + j); over j = 1..s it sums to what stands below.
        before, errors = _before(self.images), _before(self.mistakes)
        harmonic = _harmonic(int(self.total.max(initial=0)))
        steps = _whole(before), _whole(before + self.images)
        reciprocals = harmonic[steps[1]] - harmonic[steps[0]]
        rate = np.divide(
            self.mistakes, self.images, out=np.zeros_like(before), where=self.images > 0
        )
        summed = errors * reciprocals + rate * (self.images - before * reciprocals)
        mean: Values = summed.sum(axis=1) / self.total
        return mean

    def best_aurc(self) -> Values:
        """The same with all mistakes last, shape (B,)."""
        total, wrong = self.total, _whole(self.mistakes.sum(axis=1))
        harmonic = _harmonic(int(total.max(initial=0)))
        right = total - wrong
        best: Values = (wrong - right * (harmonic[total] - harmonic[right])) / total
        return best

    def risks(self, coverages: Values) -> Values:
        """Expected risk where at least this share is answered, shape (B, coverages)."""
        done = np.cumsum(self.images, axis=1)
        wrong = np.cumsum(self.mistakes, axis=1)
        zero = np.zeros((len(done), 1))
        asked = np.maximum(np.ceil(self.total[:, None] * coverages - 1e-9), 1.0)
        x, y = np.hstack([zero, done]), np.hstack([zero, wrong])
        rows = [np.interp(a, xs, ys) / a for a, xs, ys in zip(asked, x, y, strict=True)]
        return np.stack(rows)


def risk_coverage(
    sample: Sample, resamples: Resamples, confidence: NDArray[np.float64] | None = None
) -> RiskCoverage:
    """Measure what is gained by answering the surest images alone.

    Args:
        sample: What is answered, with the most probable class.
        resamples: Of the same N images.
        confidence: How sure each answer is; higher is surer; shape (N,). None takes its probability.

    Raises:
        ValueError: Confidences that are not N finite numbers.
    """
    if confidence is None:
        confidence = sample.probabilities.max(axis=1)
    if confidence.shape != (len(sample),) or not np.isfinite(confidence).all():
        raise ValueError(
            f"got confidences of shape {confidence.shape}, finite: "
            f"{bool(np.isfinite(confidence).all())}; expected {len(sample)} finite ones"
        )
    wrong = sample.predicted != sample.truth
    coverages = np.array(_COVERAGES)
    whole = _Answered.of(np.ones((1, len(sample)), np.float32), wrong, confidence)
    drawn = _Answered.of(resamples.weights, wrong, confidence)
    area, best = whole.aurc()[0], whole.best_aurc()[0]
    areas = drawn.aurc()
    curve, curves = whole.risks(coverages)[0], drawn.risks(coverages)
    return RiskCoverage(
        n_images=len(sample),
        n_mistakes=int(wrong.sum()),
        points=tuple(
            RiskPoint(coverage=coverage, risk=estimate(float(risk), column))
            for coverage, risk, column in zip(_COVERAGES, curve, curves.T, strict=True)
        ),
        aurc=estimate(float(area), areas),
        best_aurc=float(best),
        # Rounding may carry a perfect ranking a hair below 0.
        excess_aurc=estimate(
            float(max(area - best, 0.0)), np.maximum(areas - drawn.best_aurc(), 0)
        ),
    )


def _before(counts: Values) -> Values:
    """Count on all earlier steps."""
    summed: Values = np.cumsum(counts, axis=1) - counts
    return summed


def _harmonic(n: int) -> Values:
    """Sums of the reciprocals of 1 to k, for k of 0 to n."""
    return np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1, n + 1))])


def _whole(counts: Values) -> NDArray[np.int64]:
    return np.rint(counts).astype(np.int64)
