"""A change that is cut off after any of its writes leaves a model in production, and is mended."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import mlflow
import pytest

from skin_lesion.registry import (
    MODEL_NAME,
    UnfinishedError,
    history,
    promote,
    promotion,
    repair,
    rollback,
    status,
)
from tests.unit.registry.conftest import ALSO_GOOD, GOOD, alias

BY = {"user": "Ann", "reason": "a test"}
# Everything that the library calls to change something in MLflow.
WRITES = (
    "create_experiment", "create_run", "set_tag", "set_terminated", "delete_run", "log_text",
    "set_registered_model_alias", "delete_registered_model_alias", "set_model_version_tag",
    "delete_model_version_tag", "set_registered_model_tag", "update_model_version",
)  # fmt: skip
# begin, previous, champion, done, and two files beside the model card of each version.
COUNT = 8


class Killed(BaseException):
    """Nothing catches it: what comes after never happens, as in a process that is killed."""


@contextmanager
def killed_after(writes: int) -> Iterator[list[str]]:
    """Let this many writes happen and no more; gives the names of those that did."""
    happened: list[str] = []

    def counting(name: str, real: Callable[..., object]) -> Callable[..., object]:
        def write(self: mlflow.MlflowClient, *arguments: object, **options: object) -> object:
            result = real(self, *arguments, **options)
            happened.append(name)
            if len(happened) == writes:
                raise Killed
            return result

        return write

    with pytest.MonkeyPatch.context() as patch:
        for name in WRITES:
            real = getattr(mlflow.MlflowClient, name)
            patch.setattr(mlflow.MlflowClient, name, counting(name, real))
        yield happened


@pytest.fixture(autouse=True)
def _no_models_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """That takes seconds, writes nothing, and is held by other tests."""
    monkeypatch.setattr(promotion, "broken", lambda version, config: [])
    monkeypatch.setattr(promotion, "refusals", lambda version, now, user: [])


@pytest.fixture
def two(registry: mlflow.MlflowClient) -> mlflow.MlflowClient:
    """One version in production, promoted as it should be."""
    promote(GOOD, **BY)
    return registry


def to_the_other() -> None:
    promote(ALSO_GOOD, **BY)


def back() -> None:
    rollback(**BY)


def test_the_writes_of_a_change_are_those_that_are_cut_off_here(
    two: mlflow.MlflowClient,
) -> None:
    with killed_after(1000) as happened:
        to_the_other()
    # The experiment is there already: asking for it anew is refused and writes nothing.
    assert happened == [
        "create_run", "set_registered_model_alias", "set_registered_model_alias", "set_terminated",
        *["log_text"] * 4,
    ]  # fmt: skip
    assert len(happened) == COUNT
    with killed_after(1000) as happened:
        back()
    assert len(happened) == COUNT


@pytest.mark.parametrize("writes", range(1, COUNT + 1))
@pytest.mark.parametrize("change", [to_the_other, back])
def test_a_crash_after_any_write_leaves_a_model_in_production_and_is_mended(
    two: mlflow.MlflowClient, change: Callable[[], None], writes: int
) -> None:
    before, after = GOOD, ALSO_GOOD
    if change is back:
        to_the_other()
        before, after = ALSO_GOOD, GOOD
    with killed_after(writes), pytest.raises(Killed):
        change()

    in_production = alias(two, "champion")
    assert in_production == (before if writes < 3 else after)
    found = status(look_inside=False)
    codes = {one.code for one in found.disagreements}
    if writes < 4:
        assert "unfinished" in codes
        with pytest.raises(UnfinishedError, match="--repair"):
            promote(before if writes >= 3 else after, **BY)
    elif writes < COUNT:
        assert codes == {"page"}
    else:
        assert codes == set()

    repair(user="Bob")
    assert status(look_inside=False).disagreements == ()
    assert alias(two, "champion") == in_production
    states = [one.state for one in history(MODEL_NAME)]
    assert states[-1 if writes >= 3 else -2] == "done"
    assert ("given up" in states) == (writes < 3)
    # Both ways are open again.
    rollback_was_possible = change is back or writes >= 3
    if rollback_was_possible:
        back()
        assert alias(two, "champion") == (after if in_production == before else before)
    else:
        assert alias(two, "previous") is None
        to_the_other()
    assert status(look_inside=False).disagreements == ()


@pytest.mark.parametrize("writes", [1, 2, 3, 4])
def test_the_very_first_promotion_may_be_cut_off_too(
    registry: mlflow.MlflowClient, writes: int
) -> None:
    """Nothing was in production: `previous` is not written, the experiment is."""
    with killed_after(writes), pytest.raises(Killed):
        promote(GOOD, **BY)
    in_production = alias(registry, "champion")
    assert in_production == (GOOD if writes >= 3 else None)
    assert (status(look_inside=False).disagreements == ()) == (writes == 1)
    repair(user="Bob")
    assert status(look_inside=False).disagreements == ()
    assert alias(registry, "champion") == in_production
    promote(ALSO_GOOD, **BY)
    assert status(look_inside=False).disagreements == ()


@pytest.mark.parametrize("writes", [1, 2, 3])
def test_a_repair_that_is_cut_off_is_mended_by_the_next(
    two: mlflow.MlflowClient, writes: int
) -> None:
    to_the_other()
    two.set_registered_model_alias(MODEL_NAME, "champion", str(GOOD))
    with killed_after(writes), pytest.raises(Killed):
        repair(user="Bob")
    repair(user="Bob")
    assert status(look_inside=False).disagreements == ()
    assert (alias(two, "champion"), alias(two, "previous")) == (GOOD, ALSO_GOOD)
    assert [one.change.kind for one in history(MODEL_NAME) if one.state == "done"][-1] == "found"
