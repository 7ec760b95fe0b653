"""Engineers move versions as the command line does: once, from what they saw, and under their name."""

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest

from app.clinic import models
from app.clinic.evidence_changes import last_change
from app.clinic.models import (
    Models,
    Order,
    OutOfReachError,
    UnwrittenLookError,
    carry_out,
    gate_of,
    look,
)
from app.clinic.users import User
from skin_lesion import registry as the_registry
from skin_lesion.ledger import URL_VARIABLE, environments_ledger
from skin_lesion.registry import MODEL_NAME, Seen, champion, record_mirror
from tests.app.conftest import Registry
from tests.mlflow_place import mlflow_at

ANN = User("ann@example.org", frozenset({"engineer"}))
BEN = User("ben@example.org", frozenset({"engineer", "clinician"}))
CLINICIAN = User("cleo@example.org", frozenset({"clinician"}))


@pytest.fixture
def shelf(registry: Registry, tmp_path: Path) -> Iterator[mlflow.MlflowClient]:
    """The registry with two versions, none promoted; changes stay in this test."""
    shutil.copy(registry.uri.removeprefix("sqlite:///"), tmp_path / "mlflow.db")
    with mlflow_at(tmp_path):
        client = mlflow.MlflowClient()
        # The gates of the second compared it with the first, so nothing is to be compared anew.
        client.set_model_version_tag(MODEL_NAME, "2", "gate_against", "1")
        yield client


def order(kind: models.Kind, target: int, seen: Seen, number: str = "1", **more: str) -> Order:
    return Order(number, kind, target, seen, more.pop("reason", "it is better"), **more)


def promoted(target: int, user: User = ANN) -> Models:
    """Promote a version as somebody who has just looked."""
    outcome = carry_out(order("promotion", target, look().seen(), f"promote {target}"), user)
    assert outcome.result == "done"
    return look()


@pytest.fixture(autouse=True)
def nothing_was_ordered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "_ORDERS", models.Orders())


def test_a_registry_without_changes_shows_its_versions(shelf: mlflow.MlflowClient) -> None:
    found = look()
    assert [one.version for one in found.newest_first] == [2, 1]
    assert set(found.registered_at) == {1, 2}
    assert found.mirror == "none"
    assert found.seen() == Seen(None, None)
    assert found.version(7) is None


def test_a_promotion_is_recorded_under_the_users_name_and_reason(
    shelf: mlflow.MlflowClient,
) -> None:
    found = promoted(1)
    assert found.state.champion == 1
    [record] = found.state.changes
    assert (record.change.user, record.change.reason) == ("ann@example.org", "it is better")
    assert record.state == "done"
    assert found.state.disagreements == ()


def test_the_mirror_lags_until_the_command_line_moved_it(shelf: mlflow.MlflowClient) -> None:
    assert promoted(1).mirror == "unknown"
    record_mirror(champion())
    assert look().mirror == "follows"
    assert promoted(2).mirror == "lags"
    record_mirror(champion())
    assert look().mirror == "follows"


def test_who_is_no_engineer_changes_nothing(shelf: mlflow.MlflowClient) -> None:
    for kind in ("promotion", "rollback"):
        outcome = carry_out(order(kind, 1, look().seen()), CLINICIAN)
        assert outcome.result == "forbidden"
    assert look().state.changes == ()


@pytest.mark.parametrize("reason", ["", "  \n "])
def test_a_reason_is_required(shelf: mlflow.MlflowClient, reason: str) -> None:
    outcome = carry_out(order("promotion", 1, look().seen(), reason=reason), ANN)
    assert outcome.result == "no_reason"
    assert look().state.changes == ()


def test_a_double_click_is_carried_out_once_and_answered_twice_alike(
    shelf: mlflow.MlflowClient,
) -> None:
    promoted(1)
    promoted(2)
    back = order("rollback", 1, look().seen(), "a click")
    outcomes = []
    clicks = [
        threading.Thread(target=lambda: outcomes.append(carry_out(back, ANN))) for _ in range(3)
    ]
    for click in clicks:
        click.start()
    for click in clicks:
        click.join()
    assert [one.result for one in outcomes] == ["done"] * 3
    assert look().state.champion == 1
    assert len(look().state.changes) == 3


def test_of_two_engineers_who_go_back_at_once_one_does(shelf: mlflow.MlflowClient) -> None:
    promoted(1)
    promoted(2)
    seen = look().seen()
    first = carry_out(order("rollback", 1, seen, "ann's"), ANN)
    second = carry_out(order("rollback", 1, seen, "ben's"), BEN)
    assert (first.result, second.result) == ("done", "changed")
    assert look().state.champion == 1


def test_of_two_engineers_who_promote_the_same_version_one_does(
    shelf: mlflow.MlflowClient,
) -> None:
    seen = look().seen()
    first = carry_out(order("promotion", 1, seen, "ann's"), ANN)
    second = carry_out(order("promotion", 1, seen, "ben's"), BEN)
    assert (first.result, second.result) == ("done", "already")
    assert [one.change.user for one in look().state.changes] == ["ann@example.org"]


def test_failed_gates_refuse_until_somebody_says_why_in_spite_of_them(
    shelf: mlflow.MlflowClient,
) -> None:
    shelf.set_model_version_tag(MODEL_NAME, "2", "gate", "failed")
    shelf.set_model_version_tag(MODEL_NAME, "2", "gate_failed", "ece")
    seen = look().seen()
    refused = carry_out(order("promotion", 2, seen, "plain"), ANN)
    assert refused.result == "refused"
    assert "ece" in refused.reasons[0]
    blank = carry_out(order("promotion", 2, seen, "blank", override="  "), ANN)
    assert blank.result == "refused"
    assert look().state.champion is None
    done = carry_out(order("promotion", 2, seen, "spite", override="a demonstration"), ANN)
    assert done.result == "done"
    assert done.change is not None
    assert done.change.override == "a demonstration"


def test_files_that_are_not_the_registered_ones_cannot_be_overridden(
    shelf: mlflow.MlflowClient,
) -> None:
    shelf.set_model_version_tag(MODEL_NAME, "1", "bundle_files", '{"model.keras": "0"}')
    outcome = carry_out(order("promotion", 1, look().seen(), override="I insist"), ANN)
    assert outcome.result == "broken"
    assert outcome.reasons
    assert look().state.champion is None


def test_a_version_that_is_gone_and_words_that_cannot_be_kept_are_told(
    shelf: mlflow.MlflowClient,
) -> None:
    seen = look().seen()
    assert carry_out(order("promotion", 9, seen), ANN).result == "gone"
    assert carry_out(order("rollback", 1, seen), ANN).result == "gone"
    assert carry_out(order("promotion", 1, seen, reason="x\0y"), ANN).result == "words"
    assert carry_out(order("promotion", 1, seen, reason="x" * 1001), ANN).result == "words"


def test_a_registry_that_does_not_answer_is_told_without_its_error(
    shelf: mlflow.MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ConnectionError("postgresql://secret@host")

    seen = look().seen()
    for name in ("status", "history", "promote", "compare_versions"):
        monkeypatch.setattr(the_registry, name, fail)
    with pytest.raises(OutOfReachError, match=r"^the model registry cannot be reached$"):
        look()
    with pytest.raises(OutOfReachError):
        models.compare(1, 2)
    outcome = carry_out(order("promotion", 1, seen), ANN)
    assert (outcome.result, outcome.reasons) == ("unclear", ())


@pytest.mark.parametrize("url", ["sqlite:////proc/none/looks.db", "nonsense", "mysql://host/db"])
def test_a_ledger_that_cannot_be_written_is_no_registry_out_of_reach_and_changes_nothing(
    shelf: mlflow.MlflowClient, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    def look_first(*_: object, **__: object) -> None:
        environments_ledger()

    monkeypatch.setenv(URL_VARIABLE, url)
    for name in ("promote", "compare_versions"):
        monkeypatch.setattr(the_registry, name, look_first)
    with pytest.raises(UnwrittenLookError, match=r"^the look could not be written down$"):
        models.compare(1, 2)
    outcome = carry_out(order("promotion", 1, look().seen()), ANN)
    assert (outcome.result, outcome.failed, outcome.reasons) == ("unwritten", True, ())


def test_what_the_last_change_changed_is_told_figure_by_figure(
    shelf: mlflow.MlflowClient,
) -> None:
    shelf.set_model_version_tag(MODEL_NAME, "1", "test.macro_f1", "0.61")
    shelf.set_model_version_tag(MODEL_NAME, "2", "test.macro_f1", "0.66")
    shelf.set_model_version_tag(MODEL_NAME, "2", "test.ece", "not a number")
    for number in ("1", "2"):
        shelf.set_model_version_tag(MODEL_NAME, number, "data_fingerprint", "d")
    first = promoted(1).version(1)
    assert first is not None
    change = last_change(first)
    assert change is not None
    assert change.before is None
    second = promoted(2).version(2)
    assert second is not None
    change = last_change(second)
    assert change is not None
    figures = {one.name: (one.before, one.after) for one in change.figures}
    assert figures["macro_f1"] == (0.61, 0.66)
    assert figures["ece"] == (None, None)
    assert not change.same_test  # the split of neither is recorded
    shelf.delete_model_version(MODEL_NAME, "1")
    change = last_change(second)
    assert change is not None
    assert change.before is None


def test_a_version_that_no_record_put_there_has_no_last_change(
    shelf: mlflow.MlflowClient,
) -> None:
    shelf.set_registered_model_alias(MODEL_NAME, "champion", "1")
    now = champion()
    assert now is not None
    assert last_change(now) is None
    assert "set_outside" in {one.code for one in look().state.disagreements}


def test_the_gate_of_a_reason_is_told_from_its_words() -> None:
    assert gate_of("Gate macro_f1: it is 0.5.\nToo low.") == ("macro_f1", "it is 0.5.\nToo low.")
    assert gate_of("No verdict is recorded.") == (None, "No verdict is recorded.")
