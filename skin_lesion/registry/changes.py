"""The record of changes of production: one MLflow run for each, in an experiment of its own.

A record is written before anything is changed, whole and at once, and nothing in it is written a
second time: only the state of its run goes from RUNNING to FINISHED (carried out) or FAILED (not
carried out). So a crash at any moment leaves a record that says what was meant, and MLflow alone is
needed to read it. A run that somebody deleted in MLflow is still listed until it is purged.
"""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

if TYPE_CHECKING:
    from mlflow.entities import Run

EXPERIMENT = "promotions"
Kind = Literal["promotion", "rollback", "found"]
State = Literal["begun", "done", "given up"]

_STATES: dict[str, State] = {"RUNNING": "begun", "FINISHED": "done"}
_MODEL, _RECORD, _NUMBER = "model", "change", "number"
_NOTE = "mlflow.note.content"
_TAG_LENGTH = 8000  # MLflow cuts longer tags off without a word


class Change(BaseModel):
    """One change of what is in production.

    Attributes:
        number: Counts the changes of a model; one that was given up shares its number with the one
            that came in its place.
        kind: `promotion`, `rollback`, or `found`: the alias was set outside, and the record was
            added later.
        model: Name of the registered model.
        before: Version that was in production; None where none was.
        after: Version that is in production afterwards; None where none is.
        previous: Version that the alias `previous` pointed to before the change.
        user: Who.
        when: When it was begun, in UTC.
        reason: Why; empty where nobody said.
        override: Why a model was promoted although it is not fit for it; None where it is.
        refused: What an override overrode.
        bundle_hash: Of the version after the change; empty where none is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
    kind: Kind
    model: str
    before: int | None
    after: int | None
    previous: int | None
    user: str
    when: datetime
    reason: str
    override: str | None = None
    refused: tuple[str, ...] = ()
    bundle_hash: str = ""

    def sentence(self) -> str:
        """The change in words, without who and when."""
        after = f"version {self.after}" if self.after is not None else "nothing"
        before = f"version {self.before}" if self.before is not None else "nothing"
        words = {
            "promotion": f"promoted {after} in place of {before}",
            "rollback": f"rolled back from {before} to {after}",
            "found": f"found {after} in place of {before}",
        }
        return words[self.kind]


class Recorded(BaseModel):
    """A change as it stands in MLflow.

    Attributes:
        change: What was meant.
        state: What came of it.
        run_id: Its MLflow run.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    change: Change
    state: State
    run_id: str


def history(model: str) -> list[Recorded]:
    """Every change of a model that was ever begun, oldest first."""
    import mlflow
    from mlflow.entities import ViewType

    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name(EXPERIMENT)
    if experiment is None:
        return []
    found: list[Run] = []
    token = None
    while True:
        page = client.search_runs(
            [experiment.experiment_id],
            f"tags.{_MODEL} = '{model}'",
            run_view_type=ViewType.ALL,
            page_token=token,
        )
        found += page
        token = page.token
        if not token:
            break
    records = [_read(run) for run in found if _RECORD in run.data.tags]
    return sorted(records, key=lambda one: (one.change.number, one.state == "done", one.run_id))


def next_number(records: list[Recorded]) -> int:
    """Number of the change after these."""
    return max((one.change.number for one in records if one.state == "done"), default=0) + 1


def begin(change: Change) -> Recorded:
    """Record what is meant, before anything is changed.

    Raises:
        ValueError: It does not fit into a record.
    """
    import mlflow

    record = change.model_dump_json()
    if len(record) > _TAG_LENGTH:
        raise ValueError(
            f"the record of this change has {len(record)} characters; at most {_TAG_LENGTH} fit: "
            "give a shorter reason"
        )
    run = mlflow.MlflowClient().create_run(
        _experiment(),
        run_name=f"{change.model} {change.number}: {change.kind}",
        tags={
            _MODEL: change.model,
            _NUMBER: str(change.number),
            _RECORD: record,
            # The same for people, who read runs in a browser.
            _NOTE: _note(change)[:_TAG_LENGTH],
            "mlflow.user": change.user,
        },
    )
    return Recorded(change=change, state="begun", run_id=run.info.run_id)


def still_begun(record: Recorded) -> bool:
    """Whether nobody has closed a change since it was begun."""
    import mlflow

    return _read(mlflow.MlflowClient().get_run(record.run_id)).state == "begun"


def finish(record: Recorded) -> Recorded:
    """Record that a change was carried out."""
    return _end(record, "FINISHED", "done")


def give_up(record: Recorded) -> Recorded:
    """Record that a change was not carried out."""
    return _end(record, "FAILED", "given up")


def now() -> datetime:
    """The time of a record."""
    return datetime.now(UTC)


def _end(record: Recorded, status: str, state: State) -> Recorded:
    import mlflow

    mlflow.MlflowClient().set_terminated(record.run_id, status)
    return record.model_copy(update={"state": state})


def _read(run: "Run") -> Recorded:
    try:
        change = Change.model_validate_json(run.data.tags[_RECORD])
    except ValidationError as error:
        # What it says may be that a change is under way: nothing is done beside it.
        raise ValueError(
            f"the record of a change of production in run {run.info.run_id} of the MLflow "
            f"experiment {EXPERIMENT!r} cannot be read ({error.error_count()} errors): it was "
            "changed, or written by a newer version of this project, which then has to be used"
        ) from error
    state = _STATES.get(run.info.status, "given up")
    return Recorded(change=change, state=state, run_id=run.info.run_id)


def _note(change: Change) -> str:
    lines = [f"{change.user} {change.sentence()}, {change.when.isoformat()}."]
    if change.reason:
        lines.append(f"Reason: {change.reason}")
    if change.override is not None:
        lines.append(f"In spite of: {' '.join(change.refused)}")
        lines.append(f"Because: {change.override}")
    return "\n\n".join(lines)


def _experiment() -> str:
    """Id of the experiment that holds the records; two processes may make it at once."""
    import mlflow
    from mlflow.exceptions import MlflowException

    client = mlflow.MlflowClient()
    try:
        return str(client.create_experiment(EXPERIMENT))
    except MlflowException as error:
        experiment = client.get_experiment_by_name(EXPERIMENT)
        if experiment is None:
            raise
        if experiment.lifecycle_stage != "active":
            raise RuntimeError(
                f"the MLflow experiment {EXPERIMENT!r}, which holds the record of promotions, was "
                f"deleted; restore it: mlflow experiments restore -x {experiment.experiment_id}"
            ) from error
        return str(experiment.experiment_id)
