import hashlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.special import softmax as scipy_softmax

from skin_lesion.data.images import ImageError, PixelSpec, read_pixels
from skin_lesion.decisions import Limits, malignant_probability, softmax
from skin_lesion.inference import PREDICTED, Predictor, ServingModel, Versions
from skin_lesion.labels import LABELS
from skin_lesion.modeling.bundle import ModelBundle
from skin_lesion.quality import measure


def encoded(pixels: np.ndarray) -> bytes:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def model(small_world) -> ServingModel:
    return ServingModel.load(small_world.bundle)


@pytest.fixture(scope="module")
def pixels(small_world) -> np.ndarray:
    return small_world.images.open()[:11]


def test_serving_imports_no_training_framework(small_world, root: Path):
    code = (
        "import sys, pathlib\n"
        "from skin_lesion.inference import Predictor\n"
        "from skin_lesion.modeling.bundle import ModelBundle\n"
        "predictor = Predictor(ModelBundle.open(pathlib.Path(sys.argv[1])))\n"
        "picture = sys.stdin.buffer.read()\n"
        "assert predictor.predict([picture])[0].status == 'ok'\n"
        "predictor.heat_map(picture, 'mel')\n"
        "assert predictor.predict([picture], heat_map_of='predicted')[0].heat_map\n"
        "heavy = {'tensorflow', 'keras', 'jax', 'torch', 'mlflow', 'zenml', 'matplotlib'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    picture = encoded(small_world.images.open()[0])
    command = [sys.executable, "-c", code, str(small_world.bundle.path)]
    subprocess.run(command, input=picture, cwd=root, check=True, timeout=120)


def test_serving_model_agrees_with_the_keras_model(small_world, model, pixels):
    import keras

    reference = keras.models.load_model(small_world.bundle.keras_path).predict(pixels, verbose=0)
    np.testing.assert_allclose(model.run(pixels).logits, reference, atol=1e-4)


@pytest.mark.parametrize("batch_size", [1, 4, 11, 64])
def test_batch_size_changes_no_result(model, pixels, batch_size):
    whole = model.run(pixels, batch_size=11, with_features=True)
    parts = model.run(pixels, batch_size=batch_size, with_features=True)
    np.testing.assert_allclose(parts.logits, whole.logits, atol=1e-5)
    np.testing.assert_allclose(parts.features, whole.features, atol=1e-5)


def test_logits_are_the_head_applied_to_the_mean_of_the_features(small_world, model, pixels):
    with np.load(small_world.bundle.serving_path.with_name("head.npz")) as head:
        outputs = model.run(pixels, with_features=True)
        expected = outputs.features.mean(axis=(1, 2)) @ head["kernel"] + head["bias"]
    np.testing.assert_allclose(outputs.logits, expected, atol=1e-3)


def test_threads_do_not_disturb_each_other(small_world, model):
    pictures = np.array(small_world.images.open()[:48])
    serial = model.run(pictures, batch_size=1).logits
    with ThreadPoolExecutor(8) as pool:
        parallel = list(pool.map(lambda i: model.run(pictures[i : i + 1]).logits[0], range(48)))
    np.testing.assert_allclose(parallel, serial, atol=1e-5)


def test_no_pictures_give_no_logits(model, pixels):
    assert model.run(pixels[:0]).logits.shape == (0, 7)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((2, 24, 32, 3), np.float32),
        np.zeros((2, 32, 24, 3), np.uint8),
        np.zeros((24, 32, 3), np.uint8),
    ],
)
def test_pixels_that_break_the_contract_are_refused(model, wrong):
    with pytest.raises(ValueError, match="expected uint8"):
        model.run(wrong)


def test_logits_that_are_not_finite_are_an_error(small_world, pixels):
    class Broken:
        def create_infer_request(self):
            return self

        def infer(self, inputs, **_):
            count = len(inputs[0])
            return {
                "logits": np.full((count, 7), np.nan, np.float32),
                "features": np.zeros((count, 1, 1, 12), np.float32),
            }

    broken = ServingModel(Broken(), np.zeros((12, 7), np.float32), small_world.bundle.contract)
    with pytest.raises(ValueError, match="not finite"):
        broken.run(pixels)


@pytest.mark.parametrize("change", [{"labels": LABELS[::-1]}, {"input_height": 99}])
def test_a_bundle_that_breaks_its_contract_is_refused(small_world, change):
    contract = small_world.bundle.contract.model_copy(update=change)
    with pytest.raises(ValueError, match="expected"):
        ServingModel.load(ModelBundle(small_world.bundle.path, contract))


def test_softmax_divides_by_the_temperature_of_each_row():
    logits = np.array([[1.0, 2.0, 4.0], [0.0, -3.0, 1.0]], np.float32)
    temperatures = np.array([0.5, 2.0])
    expected = scipy_softmax(logits / temperatures[:, None], axis=1)
    np.testing.assert_allclose(softmax(logits, temperatures), expected)
    np.testing.assert_allclose(softmax(logits, 2.0)[1], expected[1])


def test_softmax_survives_huge_logits():
    np.testing.assert_array_equal(softmax(np.array([[1e5, 0.0], [-1e5, 0.0]])), [[1, 0], [0, 1]])


def test_malignant_probability_sums_mel_bcc_and_akiec():
    row = np.array([[0.1, 0.2, 0.05, 0.05, 0.3, 0.25, 0.05]])
    np.testing.assert_allclose(malignant_probability(row), [0.6])


def test_one_answer_for_each_picture_in_order_whatever_the_bytes(small_world):
    picture = encoded(small_world.images.open()[0])
    other = encoded(small_world.images.open()[1])
    files = [picture, b"", other, b"no picture", picture[: len(picture) // 2], picture]
    answers = Predictor(small_world.bundle, batch_size=2).predict(files)
    expected = ["ok", "unreadable", "ok", "unreadable", "unreadable", "ok"]
    assert [answer.status for answer in answers] == expected
    assert answers[0] == answers[5] != answers[2]
    for answer in answers:
        if answer.status == "ok":
            assert answer.reason is None
            assert sum(answer.probabilities.values()) == pytest.approx(1.0)
            assert answer.prediction == max(answer.probabilities, key=answer.probabilities.get)
            assert answer.malignant_probability == pytest.approx(
                sum(answer.probabilities[label] for label in ("mel", "bcc", "akiec"))
            )
        else:
            assert answer.reason
            assert answer.probabilities is answer.prediction is None
            assert answer.malignant_probability is None


def test_no_files_give_no_answers(small_world):
    assert Predictor(small_world.bundle).predict([]) == []


def test_predictions_use_the_training_pixels_and_the_contract_temperature(small_world, tmp_path):
    contract = small_world.bundle.contract.model_copy(update={"temperature": 3.0})
    bundle = small_world.bundle.with_contract(contract, tmp_path / "calibrated")
    # Another size than the input's, so that resizing matters.
    picture = encoded(np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8))
    spec = PixelSpec(24, 32, "stretch", 150, 200)
    logits = ServingModel.load(bundle).run(read_pixels(picture, spec)[None]).logits
    answer = Predictor(bundle).predict([picture])[0]
    np.testing.assert_allclose(list(answer.probabilities.values()), softmax(logits, 3.0)[0])
    assert tuple(answer.probabilities) == LABELS


def test_heat_map_lies_on_the_feature_grid_and_peaks_at_one(small_world):
    predictor = Predictor(small_world.bundle)
    picture = encoded(small_world.images.open()[0])
    label = predictor.predict([picture])[0].prediction
    heat_map = predictor.heat_map(picture, label)
    assert heat_map.pixels.shape == (24, 32, 3)
    assert heat_map.heat.shape == (6, 8)
    assert heat_map.heat.min() >= 0
    assert heat_map.heat.max() == 1


def test_heat_map_of_an_unknown_class_or_a_broken_picture_is_an_error(small_world):
    predictor = Predictor(small_world.bundle)
    with pytest.raises(ValueError, match="melanoma"):
        predictor.heat_map(encoded(small_world.images.open()[0]), "melanoma")
    with pytest.raises(ImageError):
        predictor.heat_map(b"no picture", "mel")


@pytest.fixture(scope="module")
def decided(small_world, small_report, tmp_path_factory) -> ModelBundle:
    """The bundle as it is registered."""
    target = tmp_path_factory.mktemp("decided") / "bundle"
    return small_world.bundle.with_decisions(
        small_report.summary.decisions, small_report.bundle_files, target
    )


@pytest.fixture(scope="module")
def lenient(decided) -> ModelBundle:
    """The same, for pictures as small as those of the small world."""
    decisions = decided.contract.decisions
    quality = {**decisions.quality, "short_side": Limits()}
    contract = decided.contract.deciding(decisions.model_copy(update={"quality": quality}))
    return ModelBundle(decided.path, contract)


def test_answers_follow_the_frozen_decisions(small_world, small_report, lenient):
    decisions = small_report.summary.decisions
    table = small_report.predictions[small_report.predictions["split"] == "val"]
    rows = small_world.split.indices("val")
    answers = Predictor(lenient).predict([encoded(small_world.images.open()[row]) for row in rows])
    given = [i for i, answer in enumerate(answers) if answer.status == "ok"]
    assert len(given) >= 0.8 * len(rows)
    for i in given:
        answer = answers[i]
        logits = table[[f"logit_{label}" for label in LABELS]].to_numpy()[i : i + 1]
        probabilities = decisions.calibrator.probabilities(logits)
        np.testing.assert_allclose(list(answer.probabilities.values()), probabilities[0], atol=1e-4)
        row = np.array([list(answer.probabilities.values())])
        assert answer.prediction == LABELS[row[0].argmax()]
        assert answer.confidence == decisions.confidence.band(row.max())
        assert answer.prediction_set == decisions.prediction_sets.labels(row)[0]
        assert answer.verdicts == {
            point.name: bool(point.positive(row)[0]) for point in decisions.operating_points
        }


@pytest.mark.parametrize(
    ("pixels", "reason"),
    [
        (np.zeros((24, 32, 3), np.uint8), "too_dark"),
        (np.full((24, 32, 3), 255, np.uint8), "too_bright"),
        (np.full((24, 32, 3), (30, 160, 40), np.uint8), "blank"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_picture_that_is_not_good_enough_is_not_assessed(lenient, pixels, reason):
    answer = Predictor(lenient).predict([encoded(pixels)])[0]
    assert (answer.status, answer.reason) == ("cannot_assess", reason)
    assert answer.probabilities is answer.prediction is answer.verdicts is None


def test_a_small_picture_is_not_assessed(small_world, decided):
    answer = Predictor(decided).predict([encoded(small_world.images.open()[0])])[0]
    assert (answer.status, answer.reason) == ("cannot_assess", "too_small")


def test_a_picture_unlike_the_training_pictures_is_not_assessed(small_world, lenient):
    decisions = lenient.contract.decisions
    strict = decisions.model_copy(
        update={"ood": decisions.ood.model_copy(update={"threshold": -1e9})}
    )
    contract = lenient.contract.deciding(strict)
    picture = encoded(small_world.images.open()[small_world.split.indices("train")[0]])
    answer = Predictor(ModelBundle(lenient.path, contract)).predict([picture])[0]
    assert (answer.status, answer.reason) == ("cannot_assess", "unlike_training")


def test_an_answer_says_which_picture_and_which_model(small_world, lenient, tmp_path):
    picture = encoded(small_world.images.open()[0])
    answer = Predictor(lenient, version="12").predict([picture])[0]
    assert answer.image_sha256 == hashlib.sha256(picture).hexdigest()
    contract = (lenient.path / "contract.json").read_bytes()
    assert answer.versions == Versions(
        bundle=lenient.bundle_hash, contract=hashlib.sha256(contract).hexdigest(), model="12"
    )


def test_quality_and_likeness_are_told_as_far_as_they_were_found_out(small_world, lenient):
    pixels = small_world.images.open()[small_world.split.indices("train")[0]]
    dark = np.zeros((24, 32, 3), np.uint8)
    good, bad, none, empty = Predictor(lenient).predict(
        [encoded(pixels), encoded(dark), b"no picture", b""]
    )
    assert good.quality == measure(pixels, 24, 32)
    assert good.ood_score <= lenient.contract.decisions.ood.threshold
    assert good.unlike_training is False
    assert bad.quality == measure(dark, 24, 32)
    assert bad.ood_score is bad.unlike_training is None
    assert none.quality is none.ood_score is none.several_frames is None
    assert none.image_sha256 == hashlib.sha256(b"no picture").hexdigest()
    assert empty.image_sha256 is None
    assert good.versions == bad.versions == none.versions == empty.versions is not None


def test_a_refusal_tells_its_score(small_world, lenient):
    decisions = lenient.contract.decisions
    strict = decisions.model_copy(
        update={"ood": decisions.ood.model_copy(update={"threshold": -1e9})}
    )
    bundle = ModelBundle(lenient.path, lenient.contract.deciding(strict))
    answer = Predictor(bundle).predict([encoded(small_world.images.open()[0])])[0]
    assert answer.unlike_training is True
    assert answer.ood_score > -1e9


@pytest.mark.parametrize("label", [*LABELS, PREDICTED])
def test_a_heat_map_from_the_same_pass_is_the_one_made_alone(small_world, lenient, label):
    """And asking for it changes nothing else."""
    pictures = [encoded(pixels) for pixels in small_world.images.open()[:3]]
    predictor = Predictor(lenient)
    plain = predictor.predict(pictures)
    for picture, answer, without in zip(
        pictures, predictor.predict(pictures, heat_map_of=label), plain, strict=True
    ):
        assert answer == without
        assert without.heat_map is None
        if answer.status != "ok":
            assert answer.heat_map is None
            continue
        expected = answer.prediction if label == PREDICTED else label
        alone = predictor.heat_map(picture, expected)
        assert answer.heat_map.label == alone.label == expected
        np.testing.assert_array_equal(answer.heat_map.pixels, alone.pixels)
        np.testing.assert_allclose(answer.heat_map.heat, alone.heat, atol=1e-5)


def test_a_heat_map_costs_no_second_pass(small_world, lenient, monkeypatch):
    passes = []
    run = ServingModel.run
    monkeypatch.setattr(
        ServingModel, "run", lambda self, *a, **k: passes.append(1) or run(self, *a, **k)
    )
    answers = Predictor(lenient).predict(
        [encoded(small_world.images.open()[0])], heat_map_of=PREDICTED
    )
    assert answers[0].heat_map is not None
    assert len(passes) == 1


def test_a_heat_map_of_an_unknown_class_is_refused_before_anything_is_judged(lenient):
    with pytest.raises(ValueError, match="'melanoma'; expected one of akiec"):
        Predictor(lenient).predict([], heat_map_of="melanoma")


def test_several_frames_are_said_of_every_answer_that_rests_on_one(small_world, lenient):
    frames = [Image.fromarray(pixels) for pixels in small_world.images.open()[:2]]
    buffer = BytesIO()
    frames[0].save(buffer, "TIFF", save_all=True, append_images=frames[1:])
    alone, several = Predictor(lenient).predict([encoded(np.asarray(frames[0])), buffer.getvalue()])
    assert (alone.several_frames, several.several_frames) == (False, True)
    assert alone.probabilities == several.probabilities


def test_threads_share_a_predictor_and_get_each_its_own_answers(small_world, lenient):
    predictor = Predictor(lenient)
    pictures = [encoded(pixels) for pixels in small_world.images.open()[:40]]
    expected = [predictor.predict([picture])[0] for picture in pictures]
    with ThreadPoolExecutor(8) as pool:
        found = list(
            pool.map(lambda p: predictor.predict([p], heat_map_of=PREDICTED)[0], pictures * 3)
        )
    for answer, reference in zip(found, expected * 3, strict=True):
        assert (answer.status, answer.prediction, answer.image_sha256) == (
            reference.status, reference.prediction, reference.image_sha256,
        )  # fmt: skip
        if answer.status == "ok":
            assert answer.probabilities == pytest.approx(reference.probabilities, abs=1e-5)


def test_results_outlive_the_pass_whose_buffers_they_came_from(model, pixels):
    first = model.run(pixels[:4], with_features=True)
    kept = first.logits.copy(), first.pooled.copy(), first.features.copy()
    for _ in range(4):
        model.run(pixels[4:8], with_features=True)
    for before, after in zip(kept, (first.logits, first.pooled, first.features), strict=True):
        np.testing.assert_array_equal(before, after)


def test_a_pass_that_fails_gives_its_buffers_back(small_world):
    class Failing:
        def create_infer_request(self):
            return self

        def infer(self, inputs, **_):
            raise RuntimeError("out of memory")

    failing = ServingModel(Failing(), np.zeros((12, 7), np.float32), small_world.bundle.contract)
    for _ in range(5):
        with pytest.raises(RuntimeError, match="out of memory"):
            failing.run(small_world.images.open()[:1])


def test_the_number_of_threads_changes_no_answer(small_world, lenient):
    pictures = [encoded(pixels) for pixels in small_world.images.open()[:5]]
    one, all_of_them = Predictor(lenient, threads=1), Predictor(lenient)
    for first, second in zip(one.predict(pictures), all_of_them.predict(pictures), strict=True):
        assert first.status == second.status
        if first.status == "ok":
            assert first.probabilities == pytest.approx(second.probabilities, abs=1e-5)
