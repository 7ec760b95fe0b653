"""What the frozen gates refuse on the test split and among outliers, and what that gains."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skin_lesion.decisions import Limits, OodGate, OodScore
from skin_lesion.evaluation.cannot_assess import (
    OutlierKind,
    OutlierSample,
    Separation,
    separate,
)
from skin_lesion.evaluation.figures import Estimate, Figures
from skin_lesion.evaluation.outliers import REPORT_SOURCES
from skin_lesion.evaluation.resampling import Resamples, share
from skin_lesion.evaluation.sample import Sample
from skin_lesion.labels import LABELS, MELANOMA_INDEX
from skin_lesion.ood import UNLIKE_TRAINING, OodReference, score
from skin_lesion.quality import QUALITY_REASONS, Quality, judge

Flags = NDArray[np.bool_]
Scores = NDArray[np.float64]

REASONS: tuple[str, ...] = (*QUALITY_REASONS, UNLIKE_TRAINING)


@dataclass(frozen=True)
class Gates:
    """Both gates, ready to be applied.

    Attributes:
        limits: Acceptable range of each measure of quality.
        ood: When a picture is too unlike the training pictures.
        reference: The training pictures, at least what the score needs of them; None where it needs
            nothing.
    """

    limits: Mapping[str, Limits]
    ood: OodGate
    reference: OodReference | None

    def scores(self, of: Sample | OutlierSample) -> Scores:
        """How unlike the training pictures each is, shape (N,)."""
        return score(self.ood.score, of.logits, of.features, self.reference, self.ood.neighbours)

    def reasons(self, of: Sample | OutlierSample, qualities: Sequence[Quality]) -> NDArray[np.str_]:
        """Why each picture is refused, one of `REASONS`; empty where it is accepted; shape (N,)."""
        unlike = self.scores(of) > self.ood.threshold
        found = [judge(quality, self.limits) for quality in qualities]
        return np.array(
            [
                reason or (UNLIKE_TRAINING if far else "")
                for reason, far in zip(found, unlike, strict=True)
            ],
            dtype=f"<U{max(map(len, REASONS))}",
        )


class ClassRefusals(Figures):
    """One class.

    Attributes:
        n_images: Images of the class.
        n_refused: How many of them are refused.
        refused: Their share.
    """

    n_images: int
    n_refused: int
    refused: Estimate


class OutlierRefusals(Figures):
    """One kind of outlier.

    Attributes:
        n_images: Pictures of the kind.
        n_clusters: What they come from; an interval over a dozen or fewer is indicative.
        refused: Share that the gates refuse together.
        by_quality: Share that the gate for quality refuses.
        unlike: Share that the gate for likeness would refuse by itself.
        by_source: Share that the gates refuse of each source.
    """

    n_images: int
    n_clusters: int
    refused: Estimate
    by_quality: Estimate
    unlike: Estimate
    by_source: dict[str, float]


class AnswerFigures(Figures):
    """How good the answers are on some of the images.

    Attributes:
        n_images: Number of images.
        accuracy: Share of right answers.
        n_melanomas: Melanomas among them.
        melanoma_sensitivity: Share of these that the operating point calls suspicious.
    """

    n_images: int
    accuracy: Estimate
    n_melanomas: int
    melanoma_sensitivity: Estimate


class RefusalFigures(Figures):
    """What the gates do on a split that had no say in them.

    Attributes:
        n_images: Images of the split.
        n_lesions: Lesion groups of the split.
        refused: Share that is refused.
        by_quality: Share that the gate for quality refuses.
        by_likeness: Share that the gate for likeness refuses of all, after the one for quality.
        reasons: Images refused for each reason; a picture counts once.
        per_class: By class code.
        everything: Answers on all images, as if there were no gate.
        accepted: Answers on the accepted images.
        withheld: What the answers on the refused images would have been.
        outliers: Refusals by kind of outlier.
        separations: Every score that the gates' reference suffices for, on this split against the
            outliers, by its name; the choice did not look at these.
        report_sources: Photographs that the crops here come from; the choice saw none of them.
    """

    n_images: int
    n_lesions: int
    refused: Estimate
    by_quality: Estimate
    by_likeness: Estimate
    reasons: dict[str, int]
    per_class: dict[str, ClassRefusals]
    everything: AnswerFigures
    accepted: AnswerFigures
    withheld: AnswerFigures
    outliers: dict[OutlierKind, OutlierRefusals]
    separations: dict[OodScore, Separation]
    report_sources: tuple[str, ...]


def measure_refusals(
    test: Sample,
    qualities: Sequence[Quality],
    outliers: Mapping[OutlierKind, OutlierSample],
    gates: Gates,
    suspicious: Flags | None,
    lesions: Resamples,
    *,
    seed: int,
) -> RefusalFigures:
    """Apply the frozen gates to the test split and to outliers that the choice did not see.

    Args:
        test: The untouched split.
        qualities: Measures of its pictures.
        outliers: By kind. Of the `crops`, only those of the photographs kept for the report count.
        gates: As they were set on validation.
        suspicious: Which test images the frozen operating point for melanoma calls suspicious,
            shape (N,); None where there is none.
        lesions: Resamples of the test split.
        seed: Of the resamples of the outliers.
    """
    unseen = {
        kind: found.of_sources(REPORT_SOURCES) if kind == "crops" else found
        for kind, found in outliers.items()
    }
    unseen = {kind: found for kind, found in unseen.items() if len(found)}
    reasons = gates.reasons(test, qualities)
    refused = reasons != ""
    everything = np.ones(len(test), bool)
    return RefusalFigures(
        n_images=len(test),
        n_lesions=len(np.unique(test.groups)),
        refused=share(lesions, refused),
        by_quality=share(lesions, refused & (reasons != UNLIKE_TRAINING)),
        by_likeness=share(lesions, reasons == UNLIKE_TRAINING),
        reasons={reason: int((reasons == reason).sum()) for reason in REASONS},
        per_class={
            label: ClassRefusals(
                n_images=int((test.truth == index).sum()),
                n_refused=int((refused & (test.truth == index)).sum()),
                refused=share(lesions, refused, test.truth == index),
            )
            for index, label in enumerate(LABELS)
        },
        everything=_answers(test, suspicious, lesions, everything),
        accepted=_answers(test, suspicious, lesions, ~refused),
        withheld=_answers(test, suspicious, lesions, refused),
        outliers={
            kind: _of_outliers(found, gates, len(lesions.weights), seed)
            for kind, found in unseen.items()
        },
        separations=separate(
            test, unseen, gates.reference or OodReference(), gates.ood.neighbours, lesions, seed
        ),
        report_sources=tuple(sorted(REPORT_SOURCES)),
    )


def _answers(
    test: Sample, suspicious: Flags | None, lesions: Resamples, of: Flags
) -> AnswerFigures:
    melanomas = of & (test.truth == MELANOMA_INDEX)
    return AnswerFigures(
        n_images=int(of.sum()),
        accuracy=share(lesions, test.predicted == test.truth, of),
        n_melanomas=int(melanomas.sum()),
        melanoma_sensitivity=Estimate(value=None)
        if suspicious is None
        else share(lesions, suspicious, melanomas),
    )


def _of_outliers(found: OutlierSample, gates: Gates, count: int, seed: int) -> OutlierRefusals:
    clusters = Resamples.over_lesions(found.groups, count, seed)
    reasons = gates.reasons(found, found.qualities)
    refused = reasons != ""
    return OutlierRefusals(
        n_images=len(found),
        n_clusters=len(np.unique(found.groups)),
        refused=share(clusters, refused),
        by_quality=share(clusters, refused & (reasons != UNLIKE_TRAINING)),
        unlike=share(clusters, gates.scores(found) > gates.ood.threshold),
        by_source={
            str(name): float(refused[found.source == name].mean())
            for name in np.unique(found.source)
        },
    )
