import io

import numpy as np
import pytest
from PIL import Image

from skin_lesion.decisions import OodGate
from skin_lesion.evaluation.cannot_assess import Separation
from skin_lesion.evaluation.cannot_assess_plots import (
    refusal_picture,
    risk_coverage_picture,
    score_histograms,
    separation_picture,
)
from skin_lesion.evaluation.figures import Estimate
from skin_lesion.evaluation.refusals import (
    AnswerFigures,
    ClassRefusals,
    OutlierRefusals,
    RefusalFigures,
)
from skin_lesion.evaluation.risk_coverage import RiskCoverage, RiskPoint
from skin_lesion.labels import LABELS

SOME = Estimate(value=0.7, ci_low=0.6, ci_high=0.8)
NONE = Estimate(value=None)


def pixels_of(png: bytes) -> np.ndarray:
    image = Image.open(io.BytesIO(png))
    assert image.format == "PNG"
    return np.asarray(image.convert("RGB"))


def separation(kinds: list[str], area: Estimate) -> Separation:
    return Separation(
        auroc=dict.fromkeys(kinds, area),
        n_outliers=dict.fromkeys(kinds, 9),
        n_clusters=dict.fromkeys(kinds, 3),
    )


def refusals(outliers: list[str]) -> RefusalFigures:
    answers = AnswerFigures(n_images=9, accuracy=SOME, n_melanomas=0, melanoma_sensitivity=NONE)
    counts = {label: 0 if label == "df" else 9 for label in LABELS}
    of_kind = OutlierRefusals(
        n_images=9, n_clusters=3, refused=SOME, by_quality=SOME, unlike=NONE, by_source={}
    )
    return RefusalFigures(
        n_images=54,
        n_lesions=54,
        refused=SOME,
        by_quality=SOME,
        by_likeness=SOME,
        reasons={},
        per_class={
            label: ClassRefusals(n_images=n, n_refused=0, refused=SOME if n else NONE)
            for label, n in counts.items()
        },
        everything=answers,
        accepted=answers,
        withheld=answers,
        outliers=dict.fromkeys(outliers, of_kind),
        separations={},
        report_sources=(),
    )


def curve(mistakes: int) -> RiskCoverage:
    risk = Estimate(value=mistakes / 10) if mistakes else Estimate(value=0.0)
    points = tuple(RiskPoint(coverage=step / 100, risk=risk) for step in range(1, 101))
    return RiskCoverage(
        n_images=10, n_mistakes=mistakes, points=points, aurc=risk, best_aurc=0.0, excess_aurc=risk
    )


@pytest.mark.parametrize("kinds", [["crops"], ["crops", "corruptions", "skin"], []])
def test_histograms_have_a_row_for_every_kind(kinds) -> None:
    inside = np.linspace(0, 1, 40)
    outliers = {kind: np.linspace(0.5, 9, 30) for kind in kinds}
    gate = OodGate(score="knn", threshold=0.9)
    height = len(pixels_of(score_histograms(inside, outliers, gate, "test split")))
    alone = len(pixels_of(score_histograms(inside, {}, gate, "test split")))
    assert height - alone == pytest.approx(len(kinds) * 1.35 * 130, abs=2)


def test_histograms_of_constant_scores_can_be_drawn() -> None:
    gate = OodGate(score="energy", threshold=1.0)
    pixels_of(score_histograms(np.ones(5), {"skin": np.ones(3)}, gate, "test split"))


def test_a_score_that_is_not_defined_leaves_a_gap() -> None:
    known = {"energy": separation(["crops"], SOME), "knn": separation(["crops"], SOME)}
    unknown = known | {"knn": separation(["crops"], NONE)}
    drawn = [pixels_of(separation_picture(s, "energy", "validation")) for s in (known, unknown)]
    assert drawn[0].shape != drawn[1].shape or not np.array_equal(*drawn)


def test_classes_without_an_image_are_left_out_of_the_refusals() -> None:
    with_outliers = pixels_of(refusal_picture(refusals(["crops", "skin"]), "test split"))
    without = pixels_of(refusal_picture(refusals([]), "test split"))
    assert len(with_outliers) - len(without) == pytest.approx(2 * 0.36 * 130, abs=2)


@pytest.mark.parametrize("mistakes", [0, 4, 10])
def test_risk_can_be_drawn_whatever_the_number_of_mistakes(mistakes) -> None:
    first = risk_coverage_picture(curve(mistakes), "test split")
    assert first == risk_coverage_picture(curve(mistakes), "test split")
    pixels_of(first)
