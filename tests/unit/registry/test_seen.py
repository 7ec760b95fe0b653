"""A change that somebody confirmed is made from what they saw alone."""

import mlflow
import pytest

from skin_lesion.registry import (
    ChangedError,
    RefusedError,
    Seen,
    history,
    promote,
    rollback,
)
from skin_lesion.registry.version import MODEL_NAME
from tests.unit.registry.conftest import ALSO_GOOD, FAILED, GOOD, alias


def test_a_promotion_from_what_was_seen_is_carried_out(registry: mlflow.MlflowClient) -> None:
    promote(GOOD, user="ann", reason="", seen=Seen(champion=None))
    promote(ALSO_GOOD, user="ann", reason="", seen=Seen(champion=GOOD))
    assert alias(registry, "champion") == ALSO_GOOD


def test_a_promotion_from_another_version_than_was_seen_does_nothing(
    registry: mlflow.MlflowClient,
) -> None:
    promote(GOOD, user="ann", reason="")
    with pytest.raises(ChangedError, match="version 1 is in production by now, and not nothing"):
        promote(ALSO_GOOD, user="ben", reason="", seen=Seen(champion=None))
    assert alias(registry, "champion") == GOOD
    assert len(history(MODEL_NAME)) == 1


def test_promoting_the_same_version_twice_is_harmless_whatever_was_seen(
    registry: mlflow.MlflowClient,
) -> None:
    promote(GOOD, user="ann", reason="", seen=Seen(champion=None))
    again = promote(GOOD, user="ben", reason="", seen=Seen(champion=None))
    assert again.change is None
    assert len(history(MODEL_NAME)) == 1


def test_a_second_click_on_rolling_back_does_not_undo_the_first(
    registry: mlflow.MlflowClient,
) -> None:
    promote(GOOD, user="ann", reason="")
    promote(ALSO_GOOD, user="ann", reason="")
    seen = Seen(champion=ALSO_GOOD, previous=GOOD)
    rollback(user="ann", reason="", seen=seen)
    with pytest.raises(ChangedError, match="version 1 is in production by now, and not version 2"):
        rollback(user="ben", reason="", seen=seen)
    assert alias(registry, "champion") == GOOD


def test_going_back_to_another_version_than_was_seen_does_nothing(
    registry: mlflow.MlflowClient,
) -> None:
    promote(GOOD, user="ann", reason="")
    promote(ALSO_GOOD, user="ann", reason="")
    with pytest.raises(ChangedError, match="version 1 was in production before, and not version 3"):
        rollback(user="ann", reason="", seen=Seen(champion=ALSO_GOOD, previous=FAILED))
    assert alias(registry, "champion") == ALSO_GOOD


def test_a_refusal_says_each_reason_and_whether_it_can_be_overridden(
    registry: mlflow.MlflowClient,
) -> None:
    with pytest.raises(RefusedError) as caught:
        promote(FAILED, user="ann", reason="")
    assert caught.value.overridable
    assert caught.value.reasons[0].startswith("Gate macro_f1: ")
    registry.set_model_version_tag(MODEL_NAME, str(GOOD), "bundle_files", "{}")
    with pytest.raises(RefusedError) as caught:
        promote(GOOD, user="ann", reason="")
    assert not caught.value.overridable
