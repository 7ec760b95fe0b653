"""What a re-run executes, decided without ZenML."""

import pytest

from pipelines.rerun_plan import Action, Wiring, Wish, plan_steps, running_steps, table

UPSTREAM = {
    "ingest": (),
    "validate": ("ingest",),
    "split": ("ingest", "validate"),
    "augment": ("ingest", "split"),
    "warmup_train": ("ingest", "split", "augment"),
    "finetune_train": ("ingest", "split", "augment", "warmup_train"),
    "evaluate": ("finetune_train", "ingest", "split"),
    "register": ("finetune_train", "evaluate", "split", "augment", "warmup_train"),
}
STEPS = tuple(UPSTREAM)


def wiring(*, finished: tuple[str, ...] = STEPS, started: tuple[str, ...] = STEPS) -> Wiring:
    return Wiring(UPSTREAM, set(finished), set(started), {"register"})


def actions(wish: Wish, run: Wiring) -> dict[str, Action]:
    return {row.step: row.action for row in plan_steps(wish, run)}


def why(wish: Wish, run: Wiring) -> dict[str, str]:
    return {row.step: row.why for row in plan_steps(wish, run)}


@pytest.mark.parametrize("step", STEPS)
def test_the_step_runs_and_what_depends_on_it_and_nothing_else(step: str) -> None:
    """In this chain whatever stands behind a step depends on it."""
    assert running_steps(step, wiring()) == STEPS[STEPS.index(step) :]


def test_a_step_beside_the_named_one_is_reused() -> None:
    run = Wiring({"a": (), "b": ("a",), "c": ("a",), "d": ("c",)}, set("abcd"), set("abcd"))
    assert running_steps("c", run) == ("c", "d")


def test_no_reused_step_stands_below_a_running_one() -> None:
    """ZenML cannot skip such a step."""
    for step in STEPS:
        running = running_steps(step, wiring(finished=STEPS[:3]))
        assert all(set(UPSTREAM[name]).isdisjoint(running) for name in STEPS if name not in running)


def test_what_a_failed_run_left_undone_runs_even_above_the_named_step() -> None:
    run = wiring(finished=STEPS[:4], started=STEPS[:5])
    assert running_steps("evaluate", run) == STEPS[4:]
    reasons = why(Wish("evaluate"), run)
    assert reasons["warmup_train"] == "did not finish in that run"
    assert reasons["finetune_train"] == "never began in that run"


def test_only_the_named_step_passes_the_cache_over() -> None:
    decided = actions(Wish("augment"), wiring())
    assert decided["split"] == Action.REUSED
    assert decided["augment"] == Action.RUNS
    assert decided["warmup_train"] == decided["evaluate"] == Action.RUNS_UNLESS_CACHED


def test_a_step_that_never_comes_from_the_cache_is_said_to_run() -> None:
    assert actions(Wish("evaluate"), wiring())["register"] == Action.RUNS


def test_without_cache_all_that_follows_runs() -> None:
    decided = actions(Wish("augment", without_cache=True), wiring())
    assert set(decided.values()) == {Action.REUSED, Action.RUNS}


def test_a_training_step_that_runs_for_certain_is_said_to_train_anew() -> None:
    reasons = why(Wish("warmup_train"), wiring())
    assert "trains anew" in reasons["warmup_train"]
    assert "trains anew" not in reasons["finetune_train"]
    assert "trains anew" in why(Wish("augment", without_cache=True), wiring())["finetune_train"]


def test_the_table_has_a_row_for_every_step_with_its_reason() -> None:
    wish = Wish("warmup_train", notes={"evaluate": ["resamples: 2000 -> 300"]})
    lines = table(plan_steps(wish, wiring())).splitlines()
    starts = [line.split()[0] for line in lines if line[2:3].strip()]
    assert starts == ["step", *STEPS, "runs", "cache"]
    assert any("depends on finetune_train; resamples: 2000 -> 300" in line for line in lines)
    assert all(len(line) <= 100 for line in lines)
    assert "--no-cache" in lines[-1]


def test_the_cache_is_not_mentioned_where_it_has_no_say() -> None:
    assert "--no-cache" not in table(plan_steps(Wish("register"), wiring()))
