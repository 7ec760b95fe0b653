"""What bfloat16 changes is told as it is, and never used unasked."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from skin_lesion import serving_model
from skin_lesion.decisions import PredictionSets, softmax
from skin_lesion.inference import Predictor
from skin_lesion.modeling.bundle import ModelBundle
from skin_lesion.precision import Judged, change_between, judge_in

needs_bfloat16 = pytest.mark.skipif(
    not serving_model.has_bfloat16(), reason="this processor does not compute in bfloat16"
)


@pytest.fixture(scope="module")
def bundle(small_world, small_report, tmp_path_factory) -> ModelBundle:
    target = tmp_path_factory.mktemp("precision") / "bundle"
    # Few lesions support no set: without this every class would always remain possible.
    decisions = small_report.summary.decisions.model_copy(
        update={
            "prediction_sets": PredictionSets(
                error=0.1, thresholds=(0.6,) * 7, supported=(True,) * 7
            )
        }
    )
    return small_world.bundle.with_decisions(decisions, small_report.bundle_files, target)


@pytest.fixture(scope="module")
def exact(bundle, small_world) -> Judged:
    return judge_in(bundle, np.asarray(small_world.images.open()[:40]), "float32")


def test_the_same_answers_have_not_changed(bundle, exact):
    change = change_between(bundle, exact, exact)
    assert (change.pictures, change.largest, change.percentile_99) == (40, 0.0, 0.0)
    assert change.malignant == change.predictions == change.prediction_sets == change.refusals == 0
    assert set(change.verdicts) == {p.name for p in bundle.contract.decisions.operating_points}
    assert not any(change.verdicts.values())


def test_every_change_is_counted(bundle, exact):
    """One picture of forty is turned into a certain melanoma."""
    mel = 4
    probabilities = exact.probabilities.copy()
    row = int(probabilities[:, mel].argmin())
    before = probabilities[row].copy()
    probabilities[row] = np.eye(7)[mel]
    features = exact.features.copy()
    features[row] += 1e3
    logits = exact.logits.copy()
    logits[row] = -1e3
    change = change_between(bundle, exact, Judged(logits, features, probabilities))
    assert change.largest == pytest.approx(max(1 - before[mel], *np.delete(before, mel)))
    assert change.percentile_99 == change.largest  # 1 of 40 is more than one in a hundred
    assert change.malignant == pytest.approx(1 - before[[0, 1, mel]].sum())
    assert change.predictions == 1
    assert change.prediction_sets == 1
    assert change.refusals == 1
    points = bundle.contract.decisions.operating_points
    for point in points:
        assert change.verdicts[point.name] == int(not point.positive(before[None])[0])


def test_the_percentile_leaves_one_picture_in_a_hundred_out(bundle):
    probabilities = softmax(np.zeros((200, 7)))
    moved = probabilities.copy()
    moved[:2] = np.eye(7)[0]
    moved[2, :2] += (0.01, -0.01)
    judged = Judged(np.zeros((200, 7), np.float32), np.zeros((200, 12), np.float32), probabilities)
    change = change_between(bundle, judged, replace(judged, probabilities=moved))
    assert change.largest == pytest.approx(6 / 7)
    assert change.percentile_99 == pytest.approx(0.01)


def test_answers_to_other_pictures_cannot_be_compared(bundle, exact):
    fewer = Judged(exact.logits[:3], exact.features[:3], exact.probabilities[:3])
    with pytest.raises(ValueError, match="40 and 3 pictures"):
        change_between(bundle, exact, fewer)
    none = Judged(exact.logits[:0], exact.features[:0], exact.probabilities[:0])
    with pytest.raises(ValueError, match="at least one"):
        change_between(bundle, none, none)


@needs_bfloat16
def test_bfloat16_is_another_computation_and_a_near_one(bundle, exact, small_world):
    rough = judge_in(bundle, np.asarray(small_world.images.open()[:40]), "bfloat16")
    assert 0 < change_between(bundle, exact, rough).largest < 0.2


@needs_bfloat16
def test_every_answer_says_its_precision(bundle, small_world):
    buffer = io.BytesIO()
    Image.fromarray(small_world.images.open()[0]).save(buffer, "PNG")
    for precision in ("float32", "bfloat16"):
        answer = Predictor(bundle, precision=precision).predict([buffer.getvalue()])[0]
        assert answer.versions.precision == precision


def test_a_processor_without_bfloat16_is_told_what_to_take(bundle, monkeypatch):
    monkeypatch.setattr(serving_model, "has_bfloat16", lambda: False)
    with pytest.raises(RuntimeError, match="take 'float32'"):
        Predictor(bundle, precision="bfloat16")
