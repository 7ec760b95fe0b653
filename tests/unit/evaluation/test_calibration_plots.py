from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from skin_lesion.decisions import Calibrator, softmax
from skin_lesion.evaluation.calibration_plots import draw_calibration, top_reliability
from skin_lesion.evaluation.sample import Sample
from skin_lesion.labels import LABELS


def sample_of(n: int, classes: int) -> Sample:
    logits = np.random.default_rng(0).normal(0, 2, (n, 7))
    rows = pd.DataFrame(
        {
            "image_id": [f"i{i}" for i in range(n)],
            "lesion_id": [f"l{i // 2}" for i in range(n)],
            "group": [f"l{i // 2}" for i in range(n)],
            "dx": [LABELS[i % classes] for i in range(n)],
        }
    )
    return Sample(rows, logits, softmax(logits), np.zeros((n, 1), np.float32))


@pytest.mark.parametrize(("n", "classes"), [(200, 7), (1, 1)])
def test_every_diagram_is_drawn_even_of_few_images(n, classes):
    pictures = draw_calibration(sample_of(n, classes), bins=10, where="test split")
    assert list(pictures) == ["reliability", "reliability_malignant", "reliability_classes"]
    for picture in pictures.values():
        assert min(Image.open(BytesIO(picture)).size) > 400


def test_calibrating_moves_the_points_and_equal_samples_give_equal_bytes():
    sample = sample_of(80, 7)
    first, again = (top_reliability(sample, bins=5, where="x") for _ in range(2))
    assert first == again
    softer = sample.calibrated(Calibrator(temperature=3.0))
    assert top_reliability(softer, bins=5, where="x") != first
