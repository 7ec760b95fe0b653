"""What goes into production, what is kept out of it, and what is written down about it."""

import json
from datetime import UTC, datetime

import mlflow
import pytest
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

from skin_lesion.evaluation.gate_report import GateCheck, GateReport
from skin_lesion.registry import (
    MODEL_NAME,
    RefusedError,
    champion,
    find_version,
    history,
    production,
    promote,
    rollback,
    status,
)
from skin_lesion.settings import RegistryConfig
from tests.unit.registry.conftest import ALSO_GOOD, FAILED, GOOD, WORSE, Shelf, alias

BY = {"user": "Ann", "reason": "a test"}


def test_a_good_version_goes_into_production(registry: mlflow.MlflowClient) -> None:
    done = promote(GOOD, **BY)
    assert champion().version == done.version.version == GOOD
    assert alias(registry, "previous") is None
    assert status().disagreements == ()


def test_the_one_before_becomes_previous(registry: mlflow.MlflowClient) -> None:
    promote(GOOD, **BY)
    promote(str(ALSO_GOOD), **BY)
    assert (alias(registry, "champion"), alias(registry, "previous")) == (ALSO_GOOD, GOOD)
    assert status().disagreements == ()


def test_the_record_says_who_when_why_from_and_to(registry: mlflow.MlflowClient) -> None:
    before = datetime.now(UTC)
    promote(GOOD, user="Ann Ünal", reason="erste Fassung, 第一版")
    promote(ALSO_GOOD, user="Bob", reason="")
    first, second = history(MODEL_NAME)
    assert (first.change.user, first.change.reason) == ("Ann Ünal", "erste Fassung, 第一版")
    assert (first.change.before, first.change.after) == (None, GOOD)
    assert (second.change.before, second.change.after) == (GOOD, ALSO_GOOD)
    assert before <= first.change.when <= second.change.when <= datetime.now(UTC)
    assert first.change.when.utcoffset().total_seconds() == 0
    assert (first.change.number, second.change.number) == (1, 2)
    assert {first.state, second.state} == {"done"}
    assert second.change.bundle_hash == find_version(ALSO_GOOD).bundle_hash
    assert second.change.override is None


def test_mlflow_alone_tells_people_of_a_change(registry: mlflow.MlflowClient) -> None:
    promote(GOOD, **BY)
    (run,) = registry.search_runs([registry.get_experiment_by_name("promotions").experiment_id])
    note = run.data.tags["mlflow.note.content"]
    assert note.startswith(f"Ann promoted version {GOOD} in place of nothing")
    assert "Reason: a test" in note


def test_a_page_beside_the_model_card_tells_the_change(registry: mlflow.MlflowClient) -> None:
    promote(GOOD, user="Ann", reason="<script>alert(1)</script> | a pipe\na line")
    run_id = find_version(GOOD).run_id
    page = mlflow.artifacts.load_text(f"runs:/{run_id}/documents/production_history.html")
    text = mlflow.artifacts.load_text(f"runs:/{run_id}/documents/production_history.md")
    assert f"promoted version {GOOD} in place of nothing" in page
    assert "<script>" not in page + text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 3
    assert "\\| a pipe a line" in rows[-1]


def test_a_version_that_fails_its_gates_is_refused_with_every_reason(
    registry: mlflow.MlflowClient,
) -> None:
    with pytest.raises(RefusedError, match=r"Gate macro_f1: Macro F1 is .* below the minimum"):
        promote(FAILED, **BY)
    assert champion() is None
    assert history(MODEL_NAME) == []


def test_an_override_needs_words_and_is_recorded_with_what_it_overrode(
    registry: mlflow.MlflowClient,
) -> None:
    with pytest.raises(ValueError, match="override is ' '"):
        promote(FAILED, **BY, override=" ")
    promote(FAILED, **BY, override="for the demonstration")
    (one,) = history(MODEL_NAME)
    assert one.change.override == "for the demonstration"
    assert any("Macro F1" in reason for reason in one.change.refused)
    page = mlflow.artifacts.load_text(
        f"runs:/{find_version(FAILED).run_id}/documents/production_history.html"
    )
    assert "for the demonstration" in page


def test_an_override_that_was_not_needed_is_not_recorded(registry: mlflow.MlflowClient) -> None:
    promote(GOOD, **BY, override="just in case")
    assert history(MODEL_NAME)[0].change.override is None


def test_a_version_without_a_verdict_is_refused(registry: mlflow.MlflowClient) -> None:
    registry.delete_model_version_tag(MODEL_NAME, str(GOOD), "gate")
    with pytest.raises(RefusedError, match="No verdict of the gates is recorded"):
        promote(GOOD, **BY)


@pytest.mark.parametrize(
    ("tag", "value", "words"),
    [
        ("gate", "passed", "its tag says 'passed', and the report does not"),
        ("gate_report", "{}", "it is no report"),
    ],
)
def test_a_verdict_that_was_tampered_with_is_refused(
    registry: mlflow.MlflowClient, tag: str, value: str, words: str
) -> None:
    registry.set_model_version_tag(MODEL_NAME, str(FAILED), tag, value)
    with pytest.raises(RefusedError, match=words):
        promote(FAILED, **BY)


def test_the_verdict_of_another_bundle_is_refused(registry: mlflow.MlflowClient) -> None:
    other = find_version(ALSO_GOOD).tags["gate_report"]
    registry.set_model_version_tag(MODEL_NAME, str(GOOD), "gate_report", other)
    with pytest.raises(RefusedError, match="it judged the bundle"):
        promote(GOOD, **BY)


def test_a_verdict_from_before_the_present_champion_is_judged_anew_against_it(
    registry: mlflow.MlflowClient,
) -> None:
    """It passed while nothing was in production."""
    promote(GOOD, **BY)
    with pytest.raises(RefusedError, match=f"against production version {GOOD}.*loss of more than"):
        promote(WORSE, **BY)
    assert champion().version == GOOD


def test_a_verdict_that_cannot_be_made_anew_is_refused(
    registry: mlflow.MlflowClient,
) -> None:
    promote(GOOD, **BY)
    registry.set_model_version_tag(MODEL_NAME, str(ALSO_GOOD), "measured_run_id", "0" * 32)
    with pytest.raises(RefusedError, match="cannot be compared with the model in production"):
        promote(ALSO_GOOD, **BY)


@pytest.mark.parametrize("file", ["serving/model.bin", "contract.json"])
def test_changed_files_are_refused_whatever_is_said_for_them(
    registry: mlflow.MlflowClient, shelf: Shelf, file: str
) -> None:
    (path,) = shelf.artifacts.parent.rglob(
        f"**/{_model_id(GOOD)}/artifacts/artifacts/bundle/{file}"
    )
    before = path.read_bytes()
    path.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    try:
        with pytest.raises(RefusedError, match=f"{file} has the checksum .* is recorded"):
            promote(GOOD, **BY, override="never mind")
    finally:
        path.write_bytes(before)
    assert champion() is None
    promote(GOOD, **BY)


def test_an_added_file_is_refused(registry: mlflow.MlflowClient, shelf: Shelf) -> None:
    (path,) = shelf.artifacts.parent.rglob(
        f"**/{_model_id(GOOD)}/artifacts/artifacts/bundle/contract.json"
    )
    added = path.with_name("more.json")
    added.touch()
    try:
        with pytest.raises(RefusedError, match=r"more\.json was not registered"):
            promote(GOOD, **BY)
    finally:
        added.unlink()


def test_a_model_that_answers_otherwise_than_when_it_was_registered_is_refused(
    registry: mlflow.MlflowClient,
) -> None:
    other = json.dumps(json.loads(find_version(GOOD).tags["known_answer"]) | {"mel": 99.0})
    registry.set_model_version_tag(MODEL_NAME, str(GOOD), "known_answer", other)
    with pytest.raises(RefusedError, match="its output for mel is"):
        promote(GOOD, **BY, override="never mind")


@pytest.mark.parametrize("recorded", ["", "[]", "{}", '{"mel": "x"}', '{"mel": 1.0}', "nonsense"])
def test_an_answer_that_was_made_nothing_of_is_refused(
    registry: mlflow.MlflowClient, recorded: str
) -> None:
    registry.set_model_version_tag(MODEL_NAME, str(GOOD), "known_answer", recorded)
    with pytest.raises(RefusedError, match="answer in the tag 'known_answer' is none"):
        promote(GOOD, **BY, override="never mind")


@pytest.mark.parametrize("recorded", ["", "[]", '{"contract.json": 1}', "nonsense"])
def test_checksums_that_were_made_nothing_of_are_refused(
    registry: mlflow.MlflowClient, recorded: str
) -> None:
    registry.set_model_version_tag(MODEL_NAME, str(GOOD), "bundle_files", recorded)
    with pytest.raises(RefusedError, match="checksums in the tag 'bundle_files' is none"):
        promote(GOOD, **BY, override="never mind")


def test_a_record_that_cannot_be_read_stops_every_change(registry: mlflow.MlflowClient) -> None:
    promote(GOOD, **BY)
    (one,) = history(MODEL_NAME)
    registry.set_tag(one.run_id, "change", '{"number": 1}')
    for act in (lambda: promote(ALSO_GOOD, **BY), lambda: rollback(**BY), status):
        with pytest.raises(ValueError, match=f"run {one.run_id} .* cannot be read"):
            act()
    assert champion().version == GOOD


def test_a_version_that_fell_behind_a_production_model_that_was_retired_is_free_again(
    registry: mlflow.MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the gate itself advises."""
    tags = find_version(GOOD).tags
    behind = GateCheck(
        name="no_regression", value=None, passed=False, reason="Refused: retire that version first."
    )
    report = GateReport.model_validate_json(tags["gate_report"])
    others = tuple(check for check in report.checks if check.name != "no_regression")
    failed = report.model_copy(update={"passed": False, "checks": (*others, behind)})
    changed = failed.to_tags() | {"gate_report": failed.model_dump_json(), "gate_against": "3"}
    for name, value in changed.items():
        registry.set_model_version_tag(MODEL_NAME, str(GOOD), name, value)
    promote(GOOD, **BY)
    assert history(MODEL_NAME)[-1].change.override is None


def test_what_is_in_production_is_compared_by_the_run_that_measured_it_last(
    registry: mlflow.MlflowClient,
) -> None:
    """The run that registered it may have been deleted since."""
    promote(GOOD, **BY)
    registry.set_model_version_tag(
        MODEL_NAME, str(GOOD), "measured_run_id", find_version(ALSO_GOOD).run_id
    )
    registry.delete_run(find_version(GOOD).run_id)
    SqlAlchemyStore(mlflow.get_tracking_uri(), "/nowhere")._hard_delete_run(
        find_version(GOOD).run_id
    )
    assert production().sample is not None


def test_promoting_the_champion_changes_nothing(registry: mlflow.MlflowClient) -> None:
    promote(GOOD, **BY)
    again = promote("champion", **BY)
    assert again.change is None
    assert again.version.version == GOOD
    assert len(history(MODEL_NAME)) == 1


@pytest.mark.parametrize("version", [99, "99", "no-such-alias", "0", "-1", "1.5", "²", ""])
def test_an_unknown_version_is_named_with_those_there_are(
    registry: mlflow.MlflowClient, version: int | str
) -> None:
    with pytest.raises(LookupError, match="its versions are 1, 2, 3, 4"):
        promote(version, **BY)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"user": ""}, "the user is ''"),
        ({"user": "a" * 1001}, "the user has 1001 characters; at most 1000"),
        ({"reason": "b" * 1001}, "the reason has 1001 characters"),
        ({"reason": "a\x00b"}, "printable"),
        ({"user": "a\x1b[31mb"}, "printable"),
    ],
)
def test_words_that_cannot_be_recorded_are_refused(
    registry: mlflow.MlflowClient, words: dict[str, str], message: str
) -> None:
    with pytest.raises(ValueError, match=message.replace("[", r"\[")):
        promote(GOOD, **(BY | words))
    assert champion() is None


def test_the_longest_words_are_kept_whole(registry: mlflow.MlflowClient) -> None:
    longest = "é" * RegistryConfig().max_words
    promote(FAILED, user=longest, reason=longest, override=longest)
    (one,) = history(MODEL_NAME)
    assert {one.change.user, one.change.reason, one.change.override} == {longest}


def test_a_rollback_goes_back_and_a_second_one_undoes_it(registry: mlflow.MlflowClient) -> None:
    promote(GOOD, **BY)
    promote(ALSO_GOOD, **BY)
    assert rollback(**BY).version.version == GOOD
    assert (alias(registry, "champion"), alias(registry, "previous")) == (GOOD, ALSO_GOOD)
    assert rollback(**BY).version.version == ALSO_GOOD
    assert [one.change.kind for one in history(MODEL_NAME)][-2:] == ["rollback", "rollback"]
    assert status().disagreements == ()


def test_a_rollback_without_a_version_before_says_so(registry: mlflow.MlflowClient) -> None:
    with pytest.raises(LookupError, match="nothing to go back to"):
        rollback(**BY)
    promote(GOOD, **BY)
    with pytest.raises(LookupError, match="nothing to go back to"):
        rollback(**BY)


def test_a_rollback_to_broken_files_is_refused(registry: mlflow.MlflowClient, shelf: Shelf) -> None:
    promote(GOOD, **BY)
    promote(ALSO_GOOD, **BY)
    (path,) = shelf.artifacts.parent.rglob(
        f"**/{_model_id(GOOD)}/artifacts/artifacts/bundle/serving/model.xml"
    )
    path.rename(path.with_suffix(".away"))
    try:
        with pytest.raises(RefusedError, match="cannot be served"):
            rollback(**BY)
    finally:
        path.with_suffix(".away").rename(path)
    assert champion().version == ALSO_GOOD


def test_a_record_that_was_deleted_in_mlflow_still_counts(registry: mlflow.MlflowClient) -> None:
    promote(GOOD, **BY)
    (one,) = history(MODEL_NAME)
    registry.delete_run(one.run_id)
    assert history(MODEL_NAME) == [one]


def _model_id(version: int) -> str:
    return find_version(version).uri.removeprefix("models:/")
