from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from skin_lesion.decisions import Calibrator
from skin_lesion.evaluation.explanation_figures import ExplanationFigures
from skin_lesion.evaluation.explanations import (
    correct_pictures,
    measure_explanations,
    varied_pictures,
)
from skin_lesion.evaluation.sample import Sample
from skin_lesion.inference import ServingModel
from skin_lesion.labels import LABELS, MELANOMA_INDEX, NUM_CLASSES

CALIBRATOR = Calibrator(temperature=1.5)
OPTIONS = {
    "label": "mel", "deletion_pictures": 4, "randomisation_pictures": 9, "steps": 4, "repeats": 2,
    "cascade_repeats": 2, "blur": 0.3, "deletion_goal": 0.8, "randomisation_goal": 0.5,
    "min_lesions": 3, "resamples": 50, "batch_size": 16, "seed": 5,
}  # fmt: skip


@pytest.fixture(scope="module")
def serving(small_world):
    return ServingModel.load(small_world.bundle)


@pytest.fixture(scope="module")
def judged(small_world, serving):
    """Pictures of the validation split and what the model says of them."""
    rows = small_world.split.indices("val")
    pixels = small_world.images.open()[rows]
    outputs = serving.run(pixels)
    table = small_world.split.rows.iloc[rows].reset_index(drop=True)
    probabilities = CALIBRATOR.probabilities(outputs.logits)
    return pixels, Sample(table, outputs.logits, probabilities, outputs.pooled)


def made_up(truth, predicted, groups):
    probabilities = np.eye(NUM_CLASSES)[predicted] * 0.7 + 0.3 / NUM_CLASSES
    rows = pd.DataFrame(
        {
            "image_id": [f"i{i}" for i in range(len(truth))],
            "lesion_id": groups,
            "group": groups,
            "dx": [LABELS[i] for i in truth],
        }
    )
    logits = np.log(probabilities).astype(np.float32)
    return Sample(rows, logits, probabilities, np.zeros((len(truth), 1), np.float32))


def test_correct_pictures_are_right_answers_one_of_each_lesion():
    truth = np.array([4, 4, 4, 4, 4, 5])
    sample = made_up(truth, np.array([4, 4, 5, 4, 4, 4]), list("aabcdd"))
    for seed in range(5):
        rows = correct_pictures(sample, MELANOMA_INDEX, seed=seed)
        assert {0, 1} & set(rows)
        assert sorted({0, 1, *rows}) == [0, 1, 3, 4]
        assert len(rows) == 3
    assert len({tuple(correct_pictures(sample, MELANOMA_INDEX, seed=s)) for s in range(9)}) > 1


def test_varied_pictures_take_turns_among_the_classes():
    truth = np.array([5] * 20 + [4] * 3 + [0])
    sample = made_up(truth, truth, [f"g{i}" for i in range(24)])
    assert sorted(truth[varied_pictures(sample, count=6, seed=1)]) == [0, 4, 4, 5, 5, 5]
    assert len(varied_pictures(sample, count=99, seed=1)) == 24


def test_varied_pictures_show_each_lesion_once():
    truth = np.array([4, 4, 4, 5])
    sample = made_up(truth, truth, list("aaab"))
    assert sorted(truth[varied_pictures(sample, count=9, seed=1)]) == [4, 5]


def test_everything_is_measured_and_drawn(small_world, serving, judged):
    pixels, sample = judged
    found = measure_explanations(serving, small_world.bundle, pixels, sample, CALIBRATOR, **OPTIONS)
    figures = found.figures
    assert ExplanationFigures.model_validate_json(figures.model_dump_json()) == figures
    assert figures.deletion.n_images == figures.deletion.n_lesions == 4
    assert figures.n_correct_lesions >= 4
    assert figures.randomisation.n_images == 9
    assert figures.randomisation.cascade[0].name == "logits"
    assert (figures.deletion.map_height, figures.deletion.map_width) == (6, 8)
    assert list(found.plots) == [
        "explanation_randomisation", "explanation_examples", "explanation_deletion",
    ]  # fmt: skip
    assert all(min(Image.open(BytesIO(png)).size) > 300 for png in found.plots.values())


def test_curves_begin_at_the_calibrated_probability(serving, judged):
    pixels, sample = judged
    found = measure_explanations(serving, None, pixels, sample, CALIBRATOR, **OPTIONS)
    chosen = correct_pictures(sample, MELANOMA_INDEX, seed=5)[:4]
    expected = sample.probabilities[chosen, MELANOMA_INDEX].mean()
    deletion = found.figures.deletion
    assert deletion.random[0] == pytest.approx(deletion.deletion[0])
    assert deletion.insertion[-1] == pytest.approx(deletion.deletion[0])
    assert deletion.deletion[0] == pytest.approx(expected, abs=1e-5)
    assert deletion.insertion[0] == pytest.approx(deletion.deletion[-1])
    assert deletion.centre[-1] == pytest.approx(deletion.deletion[-1])


def test_without_a_right_answer_there_are_no_curves(serving, judged):
    pixels, sample = judged
    others = np.flatnonzero(sample.truth != MELANOMA_INDEX)
    found = measure_explanations(
        serving, None, pixels[others], sample.take(others), CALIBRATOR, **OPTIONS
    )
    assert found.figures.deletion is None
    assert found.figures.n_correct_lesions == 0
    assert "explanation_deletion" not in found.plots
    assert found.figures.randomisation.cascade == ()


def test_what_makes_no_sense_is_refused(serving, judged):
    pixels, sample = judged
    with pytest.raises(ValueError, match="'melanoma'"):
        measure_explanations(
            serving, None, pixels, sample, CALIBRATOR, **OPTIONS | {"label": "melanoma"}
        )
    with pytest.raises(ValueError, match="3 pictures"):
        measure_explanations(serving, None, pixels[:3], sample, CALIBRATOR, **OPTIONS)
