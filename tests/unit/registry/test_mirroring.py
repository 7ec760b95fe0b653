"""What ZenML's mirror was last made to show is written down in MLflow."""

import mlflow
import pytest
from mlflow.exceptions import MlflowException

from skin_lesion.registry import (
    MODEL_NAME,
    champion,
    mirror_record,
    promote,
    record_mirror,
    rollback,
)
from tests.unit.registry.conftest import ALSO_GOOD, GOOD


def test_a_registry_in_which_no_mirror_was_moved_knows_nothing_of_it(
    registry: mlflow.MlflowClient,
) -> None:
    assert mirror_record() is None
    assert mirror_record("no-such-model") is None


def test_a_change_that_the_mirror_did_not_follow_shows(registry: mlflow.MlflowClient) -> None:
    promote(GOOD, user="ann", reason="")
    record_mirror(champion())
    record = mirror_record()
    assert record is not None
    assert record.version == GOOD
    assert record.shows(champion())
    promote(ALSO_GOOD, user="ben", reason="")
    assert not record.shows(champion())
    assert mirror_record() == record
    # Going back is to where the mirror still stands.
    rollback(user="ben", reason="")
    assert record.shows(champion())


def test_the_record_changes_only_where_the_mirror_moved(registry: mlflow.MlflowClient) -> None:
    promote(GOOD, user="ann", reason="")
    record_mirror(champion())
    first = mirror_record()
    record_mirror(champion())
    assert mirror_record() == first
    registry.delete_registered_model_alias(MODEL_NAME, "champion")
    record_mirror(champion())
    record = mirror_record()
    assert record is not None
    assert (record.version, record.uri) == (None, None)
    assert record.shows(None)


def test_what_somebody_else_wrote_there_is_no_record(registry: mlflow.MlflowClient) -> None:
    registry.set_registered_model_tag(MODEL_NAME, "zenml_mirror", "yes")
    assert mirror_record() is None
    record_mirror(None)
    assert mirror_record() is not None


def test_a_record_that_cannot_be_written_fails_nothing(
    registry: mlflow.MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise MlflowException("read only")

    monkeypatch.setattr(mlflow.MlflowClient, "set_registered_model_tag", refuse)
    record_mirror(None)
    assert mirror_record() is None
    record_mirror(None, "no-such-model")
