"""What MLflow holds of a search: a run for the study, and below it one for each trial."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from skin_lesion import tracking
from skin_lesion.tuning.outcomes import Outcome, TrialRow

if TYPE_CHECKING:
    from mlflow.entities import Run

FOLDER = "tuning"
SCORE = "best_val_macro_f1"
_PARENT = "mlflow.parentRunId"
_STUDY, _TRIAL, _OUTCOME, _REASON, _RETRY = "study_id", "trial", "outcome", "reason", "retry_of"
_TAG_LENGTH = 5000
_STATUS = {
    Outcome.FINISHED: "FINISHED",
    Outcome.PRUNED: "KILLED",
    Outcome.SET_DOWN: "KILLED",
}


@contextmanager
def study_run(
    experiment: str, name: str, study_id: str, artifacts: Path | None, tags: Mapping[str, str]
) -> Iterator[str]:
    """Make the run of a study the active one, starting it where there is none yet.

    Args:
        experiment: Experiment it belongs to; made where it is missing.
        name: Of the study. Another one may have had it, so that alone does not make it this study's.
        study_id: Distinguishes it.
        artifacts: Where an experiment that has to be made keeps its files; None leaves that to the
            server.
        tags: More of them, such as may change from one session to the next.

    Yields:
        Id of the run.
    """
    # One of this name and id, which a server finds by its name.
    with tracking.continued_run(
        experiment, f"{name} ({study_id[:8]})", {**tags, _STUDY: study_id}, artifacts
    ) as run_id:
        yield run_id


@contextmanager
def trial_run(number: int, retry_of: int | None) -> Iterator[str]:
    """Make a new run for a trial below the active one; `close_trial` says what became of it.

    Args:
        number: Of the trial.
        retry_of: The trial that it takes up again; None where it is a new one.

    Yields:
        Id of the run.

    Raises:
        RuntimeError: No run is active.
    """
    import mlflow

    tags = {_TRIAL: str(number)}
    if retry_of is not None:
        tags[_RETRY] = str(retry_of)
    # A run below another one would be of the experiment that MLflow has for the active one.
    experiment = _study().info.experiment_id
    with mlflow.start_run(
        experiment_id=experiment, run_name=f"trial {number}", nested=True, tags=tags
    ) as run:
        yield run.info.run_id


def close_trial(row: TrialRow) -> None:
    """Write the outcome of a trial into its run, even where its process died; idempotent.

    Raises:
        RuntimeError: No run is active; it has to be that of the study.
    """
    import mlflow

    study = _study()
    client = mlflow.MlflowClient()
    found = client.search_runs(
        [study.info.experiment_id],
        f"tags.{_PARENT} = '{study.info.run_id}' and tags.{_TRIAL} = '{row.number}'",
    )
    for run in found:
        client.set_tag(run.info.run_id, _OUTCOME, row.outcome.value)
        if row.reason:
            client.set_tag(run.info.run_id, _REASON, row.reason[:_TAG_LENGTH])
        if row.score is not None:
            client.log_metric(run.info.run_id, SCORE, row.score)
        client.set_terminated(run.info.run_id, _STATUS.get(row.outcome, "FAILED"))


def log_study(folder: Path, figures: Mapping[str, float]) -> None:
    """Log tables, pictures and figures of a study to the active run.

    Args:
        folder: Files to be logged.
        figures: By name.
    """
    import mlflow

    mlflow.log_metrics(dict(figures))
    mlflow.log_artifacts(str(folder), FOLDER)


def _study() -> "Run":
    import mlflow

    study = mlflow.active_run()
    if study is None:
        raise RuntimeError("no MLflow run is active; start that of the study first")
    return study
