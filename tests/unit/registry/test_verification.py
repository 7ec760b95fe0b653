"""A version is what its record says, or it is said what differs."""

import json

import mlflow
import numpy as np
import pytest

from skin_lesion.registry import MODEL_NAME, find_version, verify
from tests.unit.registry.conftest import GOOD, WORSE, Shelf


def test_an_untouched_version_is_as_recorded(registry: mlflow.MlflowClient, small_world) -> None:
    found = verify(GOOD, pictures=(small_world.images, small_world.split))
    assert found.differences == ()
    assert found.figures == 7
    assert found.files == len(json.loads(find_version(GOOD).tags["bundle_files"]))
    assert found.pictures == found.images == len(small_world.test_rows)
    assert found.largest_difference < 1e-4


def test_without_pictures_none_are_shown(registry: mlflow.MlflowClient) -> None:
    found = verify(str(GOOD))
    assert (found.pictures, found.largest_difference, found.differences) == (None, None, ())


def test_a_changed_file_is_named_and_the_model_not_run(
    registry: mlflow.MlflowClient, shelf: Shelf, small_world
) -> None:
    model_id = find_version(GOOD).uri.removeprefix("models:/")
    (path,) = shelf.artifacts.parent.rglob(
        f"**/{model_id}/artifacts/artifacts/bundle/serving/head.npz"
    )
    before = path.read_bytes()
    path.write_bytes(before + b"x")
    try:
        found = verify(GOOD, pictures=(small_world.images, small_world.split))
    finally:
        path.write_bytes(before)
    assert found.pictures is None
    (difference,) = found.differences
    assert difference.startswith("Files: serving/head.npz has the checksum")


@pytest.mark.parametrize("value", ["0.1234", "nonsense"])
def test_a_figure_that_was_changed_is_named_with_both_values(
    registry: mlflow.MlflowClient, value: str
) -> None:
    true = find_version(GOOD).tags["test.macro_f1"]
    registry.set_model_version_tag(MODEL_NAME, str(GOOD), "test.macro_f1", value)
    (difference,) = verify(GOOD).differences
    assert difference.startswith(f"Figures: macro_f1 is {true} by the recorded answers")
    assert f"{value} is recorded" in difference


def test_a_figure_that_was_removed_is_named(registry: mlflow.MlflowClient) -> None:
    registry.delete_model_version_tag(MODEL_NAME, str(GOOD), "test.ece")
    (difference,) = verify(GOOD).differences
    assert "none is recorded" in difference


def test_answers_that_do_not_give_the_figures_are_told(registry: mlflow.MlflowClient) -> None:
    """The answers of this version were exchanged for others after it was measured."""
    differences = verify(WORSE).differences
    assert any("macro_f1" in difference for difference in differences)
    assert not any(difference.startswith("Probabilities") for difference in differences)


def test_answers_that_the_model_does_not_give_are_told(
    registry: mlflow.MlflowClient, small_world
) -> None:
    found = verify(WORSE, pictures=(small_world.images, small_world.split))
    assert found.largest_difference > 0.5
    assert any(difference.startswith("Pictures:") for difference in found.differences)


def test_pictures_of_another_split_are_refused(registry: mlflow.MlflowClient, small_world) -> None:
    registry.set_model_version_tag(MODEL_NAME, str(GOOD), "split_hash", "abc")
    with pytest.raises(ValueError, match="was tested on split abc"):
        verify(GOOD, pictures=(small_world.images, small_world.split))


def test_an_unknown_version_is_refused(registry: mlflow.MlflowClient) -> None:
    with pytest.raises(LookupError, match="its versions are 1, 2, 3, 4"):
        verify(np.iinfo(np.int32).max)
