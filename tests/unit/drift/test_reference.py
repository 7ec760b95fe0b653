import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from skin_lesion.drift.compare import compare
from skin_lesion.drift.features import watched
from skin_lesion.drift.reference import DriftReference, reference_of
from skin_lesion.evaluation.forward import forward, measure_qualities
from skin_lesion.inference import Predictor, ServingModel
from skin_lesion.ood import OodReference
from skin_lesion.prediction_table import frame
from skin_lesion.settings import DriftConfig
from tests.small_world import HEIGHT, WIDTH


@pytest.fixture(scope="module")
def served(small_world, small_report, tmp_path_factory):
    """The model of the small world, which judges pictures by their quality only as far as it can.

    Its pictures are smaller than the least that is assessed, so that limit is lifted.
    """
    decisions = small_report.summary.decisions
    quality = {name: at for name, at in decisions.quality.items() if name != "short_side"}
    return small_world.bundle.with_decisions(
        decisions.model_copy(update={"quality": quality}),
        small_report.bundle_files,
        tmp_path_factory.mktemp("served") / "bundle",
    )


@pytest.fixture(scope="module")
def pictures(small_world) -> np.ndarray:
    """Validation, and pictures that are to be refused: noise and an even surface."""
    val = small_world.images.open()[small_world.split.indices("val")]
    noise = np.random.default_rng(0).integers(0, 256, (3, HEIGHT, WIDTH, 3), dtype=np.uint8)
    even = np.full((2, HEIGHT, WIDTH, 3), 90, np.uint8)
    return np.concatenate([val, noise, even])


@pytest.fixture(scope="module")
def reference(served, pictures) -> DriftReference:
    model, decisions = ServingModel.load(served), served.contract.decisions
    rows = np.arange(len(pictures))
    seen = forward(model, pictures, rows, 16)
    qualities = measure_qualities(pictures, rows, [HEIGHT] * len(pictures), [WIDTH] * len(pictures))
    return reference_of(
        seen.logits, seen.features, qualities, decisions, OodReference.load(served.ood_path)
    )


def encoded(picture: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG")
    return buffer.getvalue()


def test_the_reference_says_what_the_served_model_says(served, pictures, reference):
    answers = frame(Predictor(served).predict([encoded(picture) for picture in pictures]))
    expected = watched(answers)
    shared = [name for name in expected if name in reference.table]
    assert {"status", "reason", "prediction", "top_probability", "ood_score"} <= set(shared)
    assert expected["status"].nunique() == 2  # some are refused
    # The threshold is a score of validation, and of few pictures at a time it comes out a hair
    # different: which side that one picture is on is rounding.
    threshold = served.contract.decisions.ood.threshold
    clear = (~np.isclose(expected["ood_score"], threshold, rtol=1e-4)).nonzero()[0]
    assert len(clear) >= len(expected) - 2
    for name in shared:
        one, other = (table[name].iloc[clear] for table in (expected, reference.table))
        if one.dtype.kind == "f":
            np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-6, err_msg=name)
        else:
            left, right = (
                side.astype("object").where(side.notna(), None).tolist() for side in (one, other)
            )
            assert left == right, name


def test_it_comes_back_as_it_was_saved_and_in_the_same_bytes(reference, tmp_path):
    reference.save(tmp_path / "a.npz")
    reference.save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    back = DriftReference.load(tmp_path / "a.npz").table
    for name in reference.table:
        one, other = reference.table[name], back[name]
        if one.dtype.kind == "f":
            np.testing.assert_allclose(other, one, rtol=1e-6)
        else:
            assert other.isna().tolist() == one.isna().tolist()
            assert other.dropna().tolist() == one.dropna().tolist()


def test_validation_has_not_drifted_from_itself(reference):
    limits = DriftConfig(permutations=1000)
    assert compare(reference.table, reference.table, limits, data="x").verdict == "none"


def test_a_file_of_something_else_is_refused(tmp_path):
    np.savez(tmp_path / "other.npz", kernel=np.zeros(3))
    with pytest.raises(ValueError, match="evaluate the model anew"):
        DriftReference.load(tmp_path / "other.npz")


def test_evaluation_keeps_it_with_the_model(small_world, small_report, tmp_path):
    bundle = small_world.bundle.with_decisions(
        small_report.summary.decisions, small_report.bundle_files, tmp_path / "bundle"
    )
    kept = DriftReference.load(bundle.drift_path).table
    assert len(kept) == len(small_world.split.indices("val"))
    # Frozen on validation so that this share is accepted.
    assert 0.85 < (kept["status"] == "ok").mean() < 1.0
    assert kept["embedding_distance"].between(0, 2).all()


def test_no_picture_is_named(reference, tmp_path):
    reference.save(tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as file:
        assert not {"image_id", "lesion_id", "image_sha256", "age", "sex"} & set(file.files)


def test_the_table_holds_only_what_is_watched(reference):
    assert isinstance(reference.table, pd.DataFrame)
    assert "mel" not in reference.table
