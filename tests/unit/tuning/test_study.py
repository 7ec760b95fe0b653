"""A study goes on where it stopped, counts nothing twice, and survives what its trials come to."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml

from skin_lesion.settings import BackboneConfig, TuneConfig
from skin_lesion.tuning.attempts import Attempt, BrokenTrialError, RefusedError
from skin_lesion.tuning.outcomes import Outcome, TrialRow
from skin_lesion.tuning.recipe import Recipe
from skin_lesion.tuning.search import Search
from skin_lesion.tuning.space import check_space
from skin_lesion.tuning.storage import check_name
from skin_lesion.tuning.study import Study
from skin_lesion.tuning.summary import summarise

RATE, ZOOM = "finetune_train.learning_rate", "augment.zoom"
SPACE = {
    RATE: {"low": 1e-6, "high": 1e-2, "log": True},
    ZOOM: {"choices": [0.0, 0.15, 0.3]},
}
IDENTITY = {"data": ["sha", "hash"]}


def search(space: dict[str, Any] | None = None, **config: Any) -> Search:
    settings = TuneConfig.model_validate({"random_trials": 3, "pruner": "none", **config})
    return Search(check_space(space or SPACE, Recipe()), settings)


def height(attempt: Attempt) -> float:
    return 1 - abs(attempt.values[RATE] - 1e-3) * 50 - attempt.values.get(ZOOM, 0) / 10


@dataclass
class Fake:
    """Scores a trial in three epochs; may be told to do something else in an epoch."""

    do: Callable[[Attempt, int], None] = lambda attempt, epoch: None
    seen: list[Attempt] = field(default_factory=list)
    over: list[TrialRow] = field(default_factory=list)

    def __call__(self, attempt: Attempt) -> float:
        self.seen.append(attempt)
        for epoch in range(3):
            attempt.report(epoch, height(attempt) * (epoch + 1) / 3)
            self.do(attempt, epoch)
        return height(attempt)

    def ended(self, row: TrialRow) -> None:
        self.over.append(row)


def run(
    folder: Path, trials: int, fake: Fake | None = None, how: Search | None = None
) -> tuple[TrialRow, ...]:
    with Study.open(folder, IDENTITY, how or search()) as study:
        study.run(fake or Fake(), trials)
        return study.rows()


def tried(rows: tuple[TrialRow, ...]) -> list[Any]:
    return [dict(row.values or {}) for row in rows if row.counts]


def die_in(number: int, epoch: int) -> Callable[[Attempt, int], None]:
    def do(attempt: Attempt, now: int) -> None:
        if (attempt.number, now) == (number, epoch):
            os.kill(os.getpid(), signal.SIGKILL)

    return do


def killed(folder: Path, number: int, epoch: int, **config: Any) -> None:
    """Work on a study in a process of its own until a trial kills it."""
    process = multiprocessing.get_context("fork").Process(
        target=run, args=(folder, 5, Fake(die_in(number, epoch)), search(**config))
    )
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL


def test_trials_of_an_earlier_session_count(tmp_path: Path) -> None:
    assert len(run(tmp_path / "s", 2)) == 2
    later = Fake()
    assert len(run(tmp_path / "s", 5, later)) == 5
    assert [attempt.number for attempt in later.seen] == [2, 3, 4]
    assert run(tmp_path / "s", 5, idle := Fake()) is not None
    assert idle.seen == []


def test_a_study_that_is_interrupted_proposes_what_it_would_have_proposed(tmp_path: Path) -> None:
    whole = tried(run(tmp_path / "whole", 8))
    for trials in (1, 2, 5, 8):
        rows = run(tmp_path / "parts", trials)
    assert tried(rows) == whole
    assert len({str(values) for values in whole}) == 8


def test_a_study_begins_with_the_configuration_as_it_is(tmp_path: Path) -> None:
    first = run(tmp_path / "s", 1)[0]
    assert first.values == {RATE: 3e-6, ZOOM: 0.15}


def test_a_value_that_the_space_leaves_out_is_told_once_before_the_first_trial(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    narrow = search({RATE: {"low": 1e-5, "high": 1e-2, "log": True}, ZOOM: {"choices": [0.1, 0.3]}})
    rows = run(tmp_path / "s", 1, how=narrow)
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(told) == 1
    assert f"{RATE} is 3e-06, but searched in {{low: 1.0e-05, high: 0.01, log: true}}" in told[0]
    assert f"{ZOOM} is 0.15, but searched in {{choices: [0.1, 0.3]}}" in told[0]
    assert rows[0].values not in (None, {RATE: 3e-6, ZOOM: 0.15})
    caplog.clear()
    run(tmp_path / "s", 2, how=narrow)
    run(tmp_path / "whole", 2)
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


def test_values_that_waited_are_not_lost_where_a_kill_came_before_they_were_drawn(
    tmp_path: Path,
) -> None:
    with Study.open(tmp_path / "s", IDENTITY, search()) as study:
        study._start_from_base()
        study.study.ask()  # as far as a process comes that is killed in this moment
    rows = run(tmp_path / "s", 3)
    assert rows[1].values == {RATE: 3e-6, ZOOM: 0.15}
    assert rows[1].retry_of == 0
    assert sum(row.counts for row in rows) == 3


def test_a_killed_trial_is_tried_again_and_counted_once(tmp_path: Path) -> None:
    killed(tmp_path / "s", number=2, epoch=1)
    fake = Fake()
    rows = run(tmp_path / "s", 5, fake)
    assert [row.outcome for row in rows if not row.counts] == [Outcome.DIED]
    assert sum(row.counts for row in rows) == 5
    assert rows[3].retry_of == 2
    assert rows[3].values == rows[2].values
    assert (rows[2].epochs, rows[3].epochs) == (2, 3)
    assert tried(rows) == tried(run(tmp_path / "whole", 5))
    assert [row.number for row in fake.over].count(2) == 1


def test_a_second_death_between_two_writes_makes_no_second_retry(tmp_path: Path) -> None:
    killed(tmp_path / "s", number=1, epoch=0)
    with Study.open(tmp_path / "s", IDENTITY, search()) as study:
        # As if it had been killed after the retry was written and before the trial was ended.
        study.study.enqueue_trial(study.study.trials[1].params, user_attrs={"retry_of": 1})
    rows = run(tmp_path / "s", 4)
    assert [row.retry_of for row in rows].count(1) == 1
    assert sum(row.counts for row in rows) == 4


def test_a_trial_that_kills_its_process_again_and_again_is_given_up(tmp_path: Path) -> None:
    for number in (1, 2):
        killed(tmp_path / "s", number, epoch=0, attempts=2)
    killed(tmp_path / "s", 3, epoch=0, attempts=2)
    rows = run(tmp_path / "s", 3, how=search(attempts=2))
    outcomes = [row.outcome for row in rows]
    assert outcomes[1:4] == [Outcome.DIED, Outcome.DIED, Outcome.GIVEN_UP]
    assert "died 2 times" in rows[3].reason
    assert sum(row.counts for row in rows) == 3


def test_a_death_after_further_epochs_is_no_step_towards_giving_up(tmp_path: Path) -> None:
    for number, epoch in ((1, 0), (2, 1), (3, 2)):
        killed(tmp_path / "s", number, epoch, attempts=1)
    rows = run(tmp_path / "s", 3, how=search(attempts=1))
    assert Outcome.GIVEN_UP not in [row.outcome for row in rows]


def test_what_trials_come_to_is_recorded_and_never_fatal(tmp_path: Path) -> None:
    def do(attempt: Attempt, epoch: int) -> None:
        if attempt.number == 1:
            raise BrokenTrialError("loss is nan in epoch 0; lower learning_rate")
        if attempt.number == 2:
            raise RefusedError("frozen_blocks is 99")

    rows = run(tmp_path / "s", 4, fake := Fake(do))
    assert [row.outcome for row in rows] == [
        Outcome.FINISHED, Outcome.DIVERGED, Outcome.REFUSED, Outcome.FINISHED,
    ]  # fmt: skip
    assert "lower learning_rate" in rows[1].reason
    assert "frozen_blocks is 99" in rows[2].reason
    assert [row.number for row in fake.over] == [0, 1, 2, 3]


def test_a_trial_below_the_median_is_stopped_after_its_first_epochs(tmp_path: Path) -> None:
    how = search({RATE: SPACE[RATE]}, pruner="median", unpruned_trials=2, unpruned_epochs=1)
    with Study.open(tmp_path / "s", IDENTITY, how) as study:
        for score in (0.8, 0.9):
            trial = optuna.trial.create_trial(
                params={RATE: 1e-3},
                distributions={RATE: optuna.distributions.FloatDistribution(1e-6, 1e-2, log=True)},
                value=score,
                intermediate_values={0: score, 1: score, 2: score},
            )
            study.study.add_trial(trial)
        study.study.enqueue_trial({RATE: 1e-2})  # scores 0.55 in the end
        study.run(Fake(lambda *_: None), 3)
        row = study.rows()[2]
    assert (row.outcome, row.epochs) == (Outcome.PRUNED, 2)
    assert row.score is not None
    assert row.counts


def test_hyperband_stops_trials_too(tmp_path: Path) -> None:
    rows = run(tmp_path / "s", 12, how=search(pruner="hyperband", unpruned_epochs=1))
    assert {Outcome.FINISHED, Outcome.PRUNED} >= {row.outcome for row in rows}
    assert sum(row.counts for row in rows) == 12


def test_when_the_time_is_up_the_trial_is_laid_aside_and_gone_on_with(tmp_path: Path) -> None:
    deadline = time.monotonic() + 3600

    def do(attempt: Attempt, epoch: int) -> None:
        nonlocal now
        now += 3600 * (attempt.number == 1)

    now, real = 0.0, time.monotonic
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: real() + now)
        with Study.open(tmp_path / "s", IDENTITY, search()) as study:
            study.run(Fake(do), 5, deadline)
            rows = study.rows()
    assert [row.outcome for row in rows] == [Outcome.FINISHED, Outcome.SET_DOWN, Outcome.WAITING]
    rows = run(tmp_path / "s", 5)
    assert rows[2].retry_of == 1
    assert tried(rows) == tried(run(tmp_path / "whole", 5))


@pytest.mark.parametrize(
    ("error", "outcome"), [(KeyboardInterrupt, Outcome.SET_DOWN), (OSError, Outcome.DIED)]
)
def test_what_stops_the_study_is_passed_on_and_its_trial_tried_again(
    tmp_path: Path, error: type[BaseException], outcome: Outcome
) -> None:
    def do(attempt: Attempt, epoch: int) -> None:
        if attempt.number == 1:
            raise error

    with pytest.raises(error):
        run(tmp_path / "s", 3, Fake(do))
    rows = run(tmp_path / "s", 3)
    assert rows[1].outcome == outcome
    assert sum(row.counts for row in rows) == 3


def test_only_one_process_works_on_a_study(tmp_path: Path) -> None:
    with (
        Study.open(tmp_path / "s", IDENTITY, search()),
        pytest.raises(RuntimeError, match=rf"study s is being worked on by process {os.getpid()}"),
        Study.open(tmp_path / "s", IDENTITY, search()),
    ):
        pass


@pytest.mark.parametrize(
    ("identity", "how", "what"),
    [
        ({"data": ["other", "hash"]}, search(), "another data"),
        (IDENTITY, search({RATE: SPACE[RATE]}), "another space"),
        (IDENTITY, search(seed=18), "another study"),
    ],
)
def test_trials_that_could_not_be_compared_are_kept_apart(
    tmp_path: Path, identity: dict[str, Any], how: Search, what: str
) -> None:
    run(tmp_path / "s", 1)
    with (
        pytest.raises(ValueError, match=f"begun with {what}.*--study NAME"),
        Study.open(tmp_path / "s", identity, how),
    ):
        pass
    assert len(run(tmp_path / "s", 2)) == 2


def with_weights(path: str) -> Search:
    """A search whose trainings begin with the weights of a file."""
    recipe = Recipe(backbone=BackboneConfig(weights="path", path=path))
    return Search(check_space(SPACE, recipe), search().config)


def identity_of(study: Study) -> dict[str, Any]:
    return dict(study.study.user_attrs["identity"])


def test_a_study_goes_on_with_a_copy_of_its_weights_and_with_no_others(tmp_path: Path) -> None:
    folder, known = tmp_path / "s", {**IDENTITY, "weights": "5ha"}
    for path in ("here", "there"):
        with Study.open(folder, known, with_weights(path)):
            pass
    with (
        pytest.raises(ValueError, match=r"begun with another weights, .*put it back$"),
        Study.open(folder, {**known, "weights": "other"}, with_weights("here")),
    ):
        pass


def test_a_study_that_knew_its_weights_by_size_and_time_goes_on_and_is_told_by_content_then(
    tmp_path: Path,
) -> None:
    folder, known, how = tmp_path / "s", {**IDENTITY, "weights": "5ha"}, with_weights("here")
    with Study.open(folder, known, how) as study:
        old = identity_of(study)
        old["weights"] = "17-1700000000000000123"
        old["recipe"]["backbone"]["path"] = "here"
        study.study.set_user_attr("identity", old)
    touched, another = {"weights": "17-1800000000000000000"}, {"weights": "18-1700000000000000123"}
    with (
        pytest.raises(ValueError, match=r"`touch -d @1700000000\.000000123 FILE`"),
        Study.open(folder, known, how, touched),
    ):
        pass
    for formerly in (another, None):
        with (
            pytest.raises(ValueError, match=r"another weights, .*put it back$"),
            Study.open(folder, known, how, formerly),
        ):
            pass
    for formerly in ({"weights": old["weights"]}, touched):
        with Study.open(folder, known, how, formerly) as study:
            assert identity_of(study)["weights"] == "5ha"


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "x" * 101, "añ", "a b", "a\n"])
def test_a_name_that_is_no_folder_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="study is"):
        check_name(name)


def test_a_folder_with_any_sign_in_its_path_holds_a_study(tmp_path: Path) -> None:
    above = tmp_path / "ñ 50% & so? #1"
    above.mkdir()
    assert len(run(above / "s", 2)) == 2
    assert (above / "s" / "study.db").is_file()


def test_the_outcome_is_a_configuration_a_table_and_pictures(tmp_path: Path) -> None:
    with Study.open(tmp_path / "s", IDENTITY, search()) as study:
        study.run(Fake(), 8)
        summary = summarise(study)
    summary.write(tmp_path / "out", {"parameters": {"seed": 3}})
    best = max(summary.rows, key=lambda row: row.score or 0)
    assert summary.best == best
    written = yaml.safe_load((tmp_path / "out" / "best.yaml").read_text())
    assert written["parameters"] == {"seed": 3}
    config = written["steps"]["finetune_train"]["parameters"]["config"]
    assert config == {"learning_rate": (best.values or {})[RATE]}
    lines = (tmp_path / "out" / "trials.csv").read_text().splitlines()
    assert len(lines) == 9
    assert sum(summary.importances.values()) == pytest.approx(1)
    assert set(summary.importances) == {RATE, ZOOM}
    for name in ("history.png", "importance.png"):
        assert (tmp_path / "out" / name).read_bytes().startswith(b"\x89PNG")
    assert f"trial {best.number}" in summary.text()


def test_a_study_of_which_nothing_finished_says_why(tmp_path: Path) -> None:
    def do(attempt: Attempt, epoch: int) -> None:
        raise BrokenTrialError("loss is inf")

    with Study.open(tmp_path / "s", IDENTITY, search()) as study:
        study.run(Fake(do), 2)
        summary = summarise(study)
    summary.write(tmp_path / "out", {})
    assert not (tmp_path / "out" / "best.yaml").exists()
    assert "the first reason: loss is inf" in summary.text()
    with pytest.raises(LookupError, match="no trial of study s has finished"):
        summary.best_config({})
