from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from skin_lesion.decisions import softmax
from skin_lesion.evaluation.discrimination import per_image_and_lesion
from skin_lesion.evaluation.resampling import Resamples
from skin_lesion.evaluation.roc_plots import forest, roc_bands
from skin_lesion.evaluation.sample import Sample
from skin_lesion.labels import LABELS


def sample_of(truth: np.ndarray) -> Sample:
    names = [f"{i:03d}" for i in range(len(truth))]
    rows = pd.DataFrame(
        {
            "image_id": names,
            "lesion_id": names,
            "group": names,
            "dx": [LABELS[index] for index in truth],
        }
    )
    logits = np.random.default_rng(0).normal(size=(len(truth), 7)).astype(np.float32)
    return Sample(rows, logits, softmax(logits), np.zeros((len(truth), 2), np.float32))


TRUTHS = {
    "all classes": np.arange(70) % 7,
    "no melanoma": np.arange(60) % 4,
    "benign alone": np.full(20, 5),
    "one image": np.array([4]),
}


@pytest.mark.parametrize("truth", TRUTHS.values(), ids=TRUTHS)
def test_any_sample_is_drawn(truth):
    sample = sample_of(truth)
    curves = roc_bands(sample, Resamples.over_lesions(sample.groups, 20, seed=0))
    figures = forest(per_image_and_lesion(sample, count=20, seed=0, bins=3))
    for picture in (curves, figures):
        assert min(Image.open(BytesIO(picture)).size) > 700


def test_the_same_sample_gives_the_same_pictures():
    sample = sample_of(TRUTHS["all classes"])
    resamples = Resamples.over_lesions(sample.groups, 20, seed=0)
    assert roc_bands(sample, resamples) == roc_bands(sample, resamples)


def test_the_band_follows_the_resamples():
    sample = sample_of(TRUTHS["all classes"])
    drawn = [
        roc_bands(sample, Resamples.over_lesions(sample.groups, 20, seed)) for seed in range(2)
    ]
    assert drawn[0] != drawn[1]
