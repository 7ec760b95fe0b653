import numpy as np
import pandas as pd
import pytest

from skin_lesion.decisions import ConfidenceCutoffs
from skin_lesion.evaluation.confidence_bands import confidence_bands
from skin_lesion.evaluation.operating_plots import (
    confidence_band_bars,
    predictive_value_curves,
    roc_with_points,
)
from skin_lesion.evaluation.operating_points import choose_operating_points, measure_point
from skin_lesion.evaluation.predictive_values import predictive_figures
from skin_lesion.evaluation.resampling import Resamples
from skin_lesion.evaluation.sample import Sample
from skin_lesion.labels import LABELS

PNG = b"\x89PNG"


def sample_of(dx):
    n = len(dx)
    probabilities = np.random.default_rng(0).dirichlet(np.ones(7), n)
    names = [f"g{i:04d}" for i in range(n)]
    rows = pd.DataFrame({"image_id": names, "lesion_id": names, "group": names, "dx": dx})
    return Sample(rows, np.zeros((n, 7), np.float32), probabilities, np.zeros((n, 1), np.float32))


@pytest.mark.parametrize(
    "dx", [[LABELS[i % 7] for i in range(60)], ["nv"] * 20, ["mel"] * 20],
    ids=["all classes", "no positives", "all positives"],
)  # fmt: skip
def test_points_and_predictive_values_are_drawn_whatever_the_sample_holds(dx):
    sample = sample_of(dx)
    resamples = Resamples.over_lesions(sample.groups, 50, 0)
    points = choose_operating_points(sample.probabilities, sample.truth, sample.groups)
    figures = [measure_point(sample, point, resamples) for point in points]
    assert roc_with_points(sample, figures).startswith(PNG)
    tables = [
        predictive_figures(sample, point, resamples, prevalences=(0.01, 0.1)) for point in points
    ]
    assert predictive_value_curves(tables).startswith(PNG)


def test_an_empty_band_is_drawn():
    sample = sample_of(["nv"] * 20)
    bands = confidence_bands(
        sample,
        ConfidenceCutoffs(high=1.0, medium=1.0),
        Resamples.over_lesions(sample.groups, 50, 0),
    )
    assert confidence_band_bars(bands).startswith(PNG)
