"""What is in production, as people and programs read it."""

import json
from datetime import UTC, datetime

import pytest

from pipelines import life_cycle as life_cycle_module
from pipelines.cli import main
from pipelines.life_cycle import LifeCycle, as_json, as_text
from pipelines.mirror import Mirror
from skin_lesion import registry
from skin_lesion.registry import (
    Change,
    Disagreement,
    Promotion,
    Recorded,
    RegisteredVersion,
    RegistryState,
)


def version(number: int, **tags: str) -> RegisteredVersion:
    return RegisteredVersion(
        name="m", version=number, uri=f"models:/m-{number}", bundle_hash="b" * 64, run_id="r",
        created=False, tags=tags,
    )  # fmt: skip


CHANGE = Change(
    number=1, kind="promotion", model="m", before=None, after=2, previous=None, user="Ann Ünal",
    when=datetime(2026, 3, 1, 12, 0, tzinfo=UTC), reason="why not", override="a demonstration",
    refused=("Gate ece: too high.",),
)  # fmt: skip


def life_cycle(*disagreements: Disagreement) -> LifeCycle:
    state = RegistryState(
        model="m",
        champion=2,
        previous=None,
        versions=(
            version(1),
            version(2, gate="failed", gate_failed="ece,macro_f1", **{"test.macro_f1": "0.7123"}),
        ),
        changes=(Recorded(change=CHANGE, state="done", run_id="r"),),
        disagreements=disagreements,
    )
    return LifeCycle(state, Mirror(5, 2, "models:/m-2"), disagreements)


LAG = Disagreement(code="mirror", text="The mirror shows another.")
BROKEN = Disagreement(code="broken", text="It is broken.", repairable=False)


def test_the_text_names_versions_figures_gates_and_changes() -> None:
    text = as_text(life_cycle())
    assert "in production   version 2" in text
    assert "before that     nothing" in text
    assert "its version 5, which is version 2 of MLflow" in text
    assert "0.7123" in text
    assert "failed: ece, macro_f1" in text
    assert "2026-03-01 12:00:00  Ann Ünal promoted version 2 in place of nothing: why not" in text
    assert "in spite of its gates: a demonstration" in text
    assert text.endswith("MLflow, its records and ZenML agree.")


def test_the_text_says_what_disagrees_and_what_helps() -> None:
    text = as_text(life_cycle(LAG))
    assert "The mirror shows another." in text
    assert text.endswith("skin-lesion status --repair")
    text = as_text(life_cycle(BROKEN))
    assert "--repair" not in text
    assert "skin-lesion rollback" in text


def test_a_version_with_both_aliases_shows_both() -> None:
    found = life_cycle()
    state = found.state.model_copy(update={"previous": 2})
    assert "champion, previous" in as_text(LifeCycle(state, found.mirror, ()))


def test_whatever_other_alias_was_set_is_shown_too() -> None:
    found = life_cycle()
    aliases = {"champion": 2, "staging": 2, "archived": 1}
    state = found.state.model_copy(update={"aliases": aliases})
    text = as_text(LifeCycle(state, found.mirror, ()))
    assert "champion, staging" in text
    assert "archived" in text
    versions = as_json(LifeCycle(state, found.mirror, ()))["versions"]
    assert [one["aliases"] for one in versions] == [["archived"], ["champion", "staging"]]


def test_a_figure_that_was_made_something_else_of_is_none_for_programs() -> None:
    found = life_cycle()
    tags = {"test.macro_f1": "nonsense", "test.ece": "nan", "test.accuracy": "0.5"}
    state = found.state.model_copy(update={"versions": (version(1, **tags),)})
    told = as_json(LifeCycle(state, found.mirror, ()))
    assert told["versions"][0]["test"] == {"accuracy": 0.5, "macro_f1": None, "ece": None}
    json.dumps(told, allow_nan=False)


def test_a_registry_is_named_by_its_place() -> None:
    found = life_cycle()
    state = found.state.model_copy(update={"place": "http://mlflow"})
    assert as_text(LifeCycle(state, found.mirror, ())).startswith("m in http://mlflow\n")


@pytest.mark.parametrize("command", ["promote", "rollback"])
def test_what_was_changed_stands_where_zenml_is_down(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A script that goes by the exit status must not believe that nothing was changed."""
    done = Promotion(version(2), CHANGE)
    monkeypatch.setattr(registry, command, lambda *_, **__: done)

    def down() -> list[str]:
        raise RuntimeError("ZenML is down")

    monkeypatch.setattr(life_cycle_module, "move_mirror", down)
    words = [command, "2"] if command == "promote" else [command]
    assert main(words) == 0
    shown = capsys.readouterr()
    assert "Version 2 is in production" in shown.out
    assert "could not follow: ZenML is down. What is in production stands" in shown.err
    assert "status --repair" in shown.err


def test_an_empty_registry_is_put_into_words() -> None:
    state = RegistryState(
        model="m", champion=None, previous=None, versions=(), changes=(), disagreements=()
    )
    text = as_text(LifeCycle(state, Mirror(), ()))
    assert "No version is registered yet." in text
    assert "Nothing was ever promoted." in text


def test_the_json_holds_the_same_for_programs() -> None:
    found = json.loads(json.dumps(as_json(life_cycle(LAG))))
    assert (found["agree"], found["champion"], found["previous"]) == (False, 2, None)
    assert found["mirror"] == {
        "zenml_version": 5, "mlflow_version": 2, "mlflow_uri": "models:/m-2",
    }  # fmt: skip
    assert found["versions"][1]["gate_failed"] == ["ece", "macro_f1"]
    assert found["versions"][1]["test"] == {"macro_f1": 0.7123}
    assert found["versions"][0]["gate"] is None
    assert found["changes"][0]["when"] == "2026-03-01T12:00:00Z"
    assert found["disagreements"][0]["code"] == "mirror"
    assert as_json(life_cycle())["agree"] is True


def test_where_the_mirror_was_moved_to_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The dashboard cannot ask ZenML, and tells by the record whether the mirror lags behind."""
    champion, recorded = version(2), []
    monkeypatch.setattr(life_cycle_module.registry, "champion", lambda: champion)
    monkeypatch.setattr(life_cycle_module.registry, "record_mirror", recorded.append)
    monkeypatch.setattr(life_cycle_module, "follow", lambda _: "It moved.")
    assert life_cycle_module.move_mirror() == ["It moved."]
    monkeypatch.setattr(life_cycle_module, "follow", lambda _: None)
    assert life_cycle_module.move_mirror() == []
    assert recorded == [champion, champion]
