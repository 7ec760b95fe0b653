"""What `status` notices, and what `repair` makes of it."""

import mlflow
import pytest

from skin_lesion.registry import (
    MODEL_NAME,
    champion,
    find_version,
    history,
    promote,
    repair,
    status,
)
from tests.unit.registry.conftest import ALSO_GOOD, FAILED, GOOD, Shelf, alias

BY = {"user": "Ann", "reason": "a test"}


def codes() -> list[str]:
    return [one.code for one in status().disagreements]


@pytest.fixture
def promoted(registry: mlflow.MlflowClient) -> mlflow.MlflowClient:
    promote(GOOD, **BY)
    promote(ALSO_GOOD, **BY)
    return registry


def test_a_registry_without_the_model_agrees(registry: mlflow.MlflowClient) -> None:
    found = status("a-model-that-nobody-registered")
    assert (found.champion, found.versions, found.disagreements) == (None, (), ())
    assert repair(user="Bob", name="a-model-that-nobody-registered") == []


def test_nothing_in_production_agrees(registry: mlflow.MlflowClient) -> None:
    found = status()
    assert (found.champion, found.previous) == (None, None)
    assert [version.version for version in found.versions] == [1, 2, 3, 4]
    assert found.disagreements == ()


def test_an_alias_that_was_set_outside_is_told_and_recorded(
    promoted: mlflow.MlflowClient,
) -> None:
    promoted.set_registered_model_alias(MODEL_NAME, "champion", str(FAILED))
    assert "set_outside" in codes()
    done = repair(user="Bob")
    assert status().disagreements == ()
    assert alias(promoted, "champion") == FAILED
    assert alias(promoted, "previous") == ALSO_GOOD
    last = history(MODEL_NAME)[-1].change
    assert (last.kind, last.before, last.after) == ("found", ALSO_GOOD, FAILED)
    assert (last.user, last.reason) == ("Bob", "found, set outside")
    assert any("Recorded" in sentence for sentence in done)
    assert repair(user="Bob") == []


def test_an_alias_that_was_set_before_any_record_is_recorded(
    registry: mlflow.MlflowClient,
) -> None:
    registry.set_registered_model_alias(MODEL_NAME, "champion", str(GOOD))
    assert codes() == ["set_outside"]
    repair(user="Bob")
    assert status().disagreements == ()
    assert history(MODEL_NAME)[-1].change.before is None


def test_an_alias_that_was_removed_outside_is_told_and_recorded(
    promoted: mlflow.MlflowClient,
) -> None:
    promoted.delete_registered_model_alias(MODEL_NAME, "champion")
    assert "set_outside" in codes()
    repair(user="Bob")
    assert champion() is None
    assert status().disagreements == ()
    assert alias(promoted, "previous") == ALSO_GOOD


@pytest.mark.parametrize("number", [None, FAILED, ALSO_GOOD])
def test_a_wrong_previous_is_told_and_set_right(
    promoted: mlflow.MlflowClient, number: int | None
) -> None:
    if number is None:
        promoted.delete_registered_model_alias(MODEL_NAME, "previous")
    else:
        promoted.set_registered_model_alias(MODEL_NAME, "previous", str(number))
    assert codes() == ["previous"]
    repair(user="Bob")
    assert status().disagreements == ()
    assert alias(promoted, "previous") == GOOD


def test_a_deleted_version_before_leaves_none_to_go_back_to(
    promoted: mlflow.MlflowClient,
) -> None:
    promoted.delete_model_version(MODEL_NAME, str(GOOD))
    assert status().disagreements == ()
    assert alias(promoted, "previous") is None


def test_a_deleted_version_in_production_is_told(promoted: mlflow.MlflowClient) -> None:
    promoted.delete_model_version(MODEL_NAME, str(ALSO_GOOD))
    assert codes()[0] == "set_outside"
    repair(user="Bob")
    assert status().disagreements == ()
    assert champion() is None


def test_broken_files_in_production_are_told_and_no_repair_touches_them(
    promoted: mlflow.MlflowClient, shelf: Shelf
) -> None:
    model_id = find_version(ALSO_GOOD).uri.removeprefix("models:/")
    (path,) = shelf.artifacts.parent.rglob(f"**/{model_id}/artifacts/artifacts/bundle/model.keras")
    away = path.rename(path.with_suffix(".away"))
    try:
        broken = status().disagreements
        assert {one.code for one in broken} == {"broken"}
        assert any("model.keras is missing" in one.text for one in broken)
        assert not any(one.repairable for one in broken)
        assert status(look_inside=False).disagreements == ()
        assert repair(user="Bob") == []
        assert codes()[0] == "broken"
    finally:
        away.rename(path)
    assert status().disagreements == ()


def test_a_page_that_was_lost_is_told_and_written_anew(promoted: mlflow.MlflowClient) -> None:
    run_id = find_version(GOOD).run_id
    promoted.log_text(run_id, "", "documents/production_history.md")
    assert codes() == ["page"]
    repair(user="Bob")
    assert status().disagreements == ()


def test_a_version_whose_run_is_gone_needs_no_page(promoted: mlflow.MlflowClient) -> None:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    run_id = find_version(GOOD).run_id
    promoted.delete_run(run_id)
    SqlAlchemyStore(mlflow.get_tracking_uri(), "/nowhere")._hard_delete_run(run_id)
    assert "page" not in codes()


@pytest.mark.parametrize("user", ["", " ", "a\x1b[31mb", "a" * 1001])
def test_whoever_repairs_has_a_name_that_can_be_recorded(
    promoted: mlflow.MlflowClient, user: str
) -> None:
    promoted.set_registered_model_alias(MODEL_NAME, "champion", str(FAILED))
    before = history(MODEL_NAME)
    with pytest.raises(ValueError, match="the user "):
        repair(user=user)
    assert history(MODEL_NAME) == before


def test_aliases_of_other_tools_are_told(promoted: mlflow.MlflowClient) -> None:
    promoted.set_registered_model_alias(MODEL_NAME, "staging", str(FAILED))
    found = status(look_inside=False)
    assert found.aliases == {"champion": ALSO_GOOD, "previous": GOOD, "staging": FAILED}
    assert found.place == mlflow.get_tracking_uri()
    assert found.disagreements == ()


def test_repairing_where_all_agrees_does_nothing(promoted: mlflow.MlflowClient) -> None:
    before = history(MODEL_NAME)
    assert repair(user="Bob") == []
    assert history(MODEL_NAME) == before
