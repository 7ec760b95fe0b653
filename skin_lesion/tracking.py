"""What an MLflow run holds: configuration, epochs, curves, weights and documents.

Every function that logs writes to the active run. What a run holds of the evaluation is logged and read
by `tracking_evaluation`: who trains imports this module, and has no business with the test split.
"""

import logging
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from skin_lesion.checkout import code_state
from skin_lesion.modeling.history import EpochRecord, History

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

log = logging.getLogger(__name__)

CURVES = "curves"
CHECKPOINTS = "checkpoints"
EVALUATION = "evaluation"
DOCUMENTS = "documents"
TRAINED_BY = "trained_by_run"
_METRICS_A_REQUEST = 1000  # limit of MLflow
_PARAMS_A_REQUEST = 100
_PARAM_LENGTH = 6000


@contextmanager
def continued_run(
    experiment: str, name: str, tags: Mapping[str, str], artifacts: Path | None
) -> Iterator[str]:
    """Make the run of this name the active one, starting it where there is none yet.

    Args:
        experiment: Experiment it belongs to; made where it is missing.
        name: Name of the run.
        tags: Tags to put on it.
        artifacts: Where an experiment that has to be made keeps its files; None leaves that to the
            server.

    Yields:
        Id of the run.
    """
    import mlflow
    from mlflow.exceptions import MlflowException

    if mlflow.get_experiment_by_name(experiment) is None:
        try:
            mlflow.create_experiment(experiment, artifacts.as_uri() if artifacts else None)
        except MlflowException as error:  # another run may have made it in this moment
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
    mlflow.set_experiment(experiment)
    # MLflow's filters know no escapes. ZenML's own tracker asks with the other quotes alone.
    quote = '"' if "'" in name else "'"
    found = mlflow.search_runs(
        experiment_names=[experiment],
        filter_string=f"tags.mlflow.runName = {quote}{name}{quote}",
        output_format="list",
    )
    run_id = found[0].info.run_id if found else None
    with mlflow.start_run(run_id=run_id, run_name=name, tags=dict(tags)) as run:
        yield run.info.run_id


def address() -> str:
    """Where MLflow keeps its runs and versions, for messages: a password is left out."""
    import mlflow

    places = dict.fromkeys([mlflow.get_tracking_uri(), mlflow.get_registry_uri()])
    return " and ".join(without_password(place) for place in places)


def without_password(uri: str) -> str:
    """An address as it may be shown and logged."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(uri).render_as_string(hide_password=True)
    except (ArgumentError, ValueError):  # a folder, or a name such as `databricks`
        return uri


def is_missing(error: Exception) -> bool:
    """Whether MLflow says that something is not there.

    It raises one class for everything: for what is not there, and for a server that cannot be asked,
    of which nothing may be concluded.

    Args:
        error: Of MLflow, or of the files that it reads.
    """
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return True
    return getattr(error, "error_code", None) == "RESOURCE_DOES_NOT_EXIST"


def active_run_id() -> str | None:
    """Id of the active run; None outside a run."""
    import mlflow

    run = mlflow.active_run()
    return run.info.run_id if run else None


def log_configuration(configuration: Mapping[str, object]) -> None:
    """Log every value of a nested configuration as a parameter with a dotted name, and the commit.

    Steps of one pipeline share a run and may log the same configuration again; the commit stays the
    one that the run started with.
    """
    import mlflow

    run_id = require_run()
    items = [(name, str(value)[:_PARAM_LENGTH]) for name, value in flatten(configuration)]
    for start in range(0, len(items), _PARAMS_A_REQUEST):
        mlflow.log_params(dict(items[start : start + _PARAMS_A_REQUEST]))
    if "git_commit" not in mlflow.get_run(run_id).data.tags:
        mlflow.set_tags(code_state().tags())


def log_epochs(records: Sequence[EpochRecord]) -> None:
    """Log epochs; both phases count on, so they share one axis."""
    import mlflow

    now = int(time.time() * 1000)
    metrics = [metric for record in records for metric in epoch_metrics(record, now)]
    send_metrics(mlflow.MlflowClient(), require_run(), metrics)


def epoch_metrics(
    record: EpochRecord, time: int, others: Mapping[str, float] | None = None
) -> "list[Metric]":
    """What is logged of an epoch.

    Args:
        record: The epoch.
        time: In milliseconds since 1970.
        others: Further figures of it, by name.
    """
    from mlflow.entities import Metric

    values = {
        **record.metrics,
        "learning_rate": record.learning_rate,
        "images_per_second": record.images_per_second,
        **(others or {}),
    }
    return [Metric(name, value, time, record.epoch) for name, value in values.items()]


def send_metrics(client: "MlflowClient", run_id: str, metrics: "Sequence[Metric]") -> None:
    """Log any number of metrics; one that a run already has stays as it is."""
    for start in range(0, len(metrics), _METRICS_A_REQUEST):
        client.log_batch(run_id, metrics[start : start + _METRICS_A_REQUEST])


def log_curves_so_far(client: "MlflowClient", run_id: str, history: History) -> None:
    """Draw the curves of a phase that goes on, in place of those from before.

    `log_phase` puts the final ones there.
    """
    from skin_lesion.evaluation.curves import training_curves

    with tempfile.TemporaryDirectory(prefix="skin-lesion-") as name:
        for figure, png in training_curves([history], finished=False).items():
            (Path(name) / f"{figure}.png").write_bytes(png)
        client.log_artifacts(run_id, name, CURVES)


def log_phase(history: History, model: Path) -> None:
    """Log the curves of a finished phase and the weights it kept.

    Args:
        history: What was recorded.
        model: File of the weights.
    """
    import mlflow

    mlflow.set_tag(f"{history.phase}_description", history.description)
    _log_curves([history])
    mlflow.log_artifact(str(model), f"{CHECKPOINTS}/{history.phase}")


def log_documents(documents: Mapping[str, str]) -> None:
    """Log texts, such as the model card, by their file names."""
    import mlflow

    for name, text in documents.items():
        mlflow.log_text(text, f"{DOCUMENTS}/{name}")


def adopt_phases(histories: Sequence[History]) -> None:
    """Make a run complete whose training came from a cache, and say which run trained it.

    Epochs and curves of every phase that another run trained are logged here too; the weights stay
    with the run that the tag names. Phases that this run trained are left as they are.
    """
    import mlflow

    run_id = require_run()
    foreign = [history for history in histories if history.mlflow_run_id != run_id]
    for history in foreign:
        mlflow.set_tag(f"{history.phase}_description", history.description)
        mlflow.set_tag(f"{history.phase}_{TRAINED_BY}", history.mlflow_run_id or "none")
        log_epochs(history.records)
    if foreign:
        # The last phase is the one that made the model.
        if foreign[-1] is histories[-1]:
            mlflow.set_tag(TRAINED_BY, foreign[-1].mlflow_run_id or "none")
        _copy_curves(foreign)


def flatten(values: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    """Walk through a nested mapping as pairs of dotted name and value."""
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from flatten(value, f"{name}.")
        else:
            yield name, value


def _copy_curves(histories: Sequence[History]) -> None:
    """Take the pictures over from the runs that drew them, since drawing takes seconds."""
    import mlflow
    from mlflow.exceptions import MlflowException

    for history in histories:
        with tempfile.TemporaryDirectory(prefix="skin-lesion-") as folder:
            try:
                found = mlflow.artifacts.download_artifacts(
                    run_id=history.mlflow_run_id,
                    artifact_path=f"{CURVES}/{_curves_name(history)}",
                    dst_path=folder,
                )
            except (MlflowException, OSError) as error:
                log.info("run %s has no curves (%s); drawing them", history.mlflow_run_id, error)
                _log_curves([history])
            else:
                mlflow.log_artifact(found, CURVES)


def _log_curves(histories: Sequence[History]) -> None:
    import mlflow

    from skin_lesion.evaluation.curves import training_curves

    with tempfile.TemporaryDirectory(prefix="skin-lesion-") as name:
        for figure, png in training_curves(histories).items():
            (Path(name) / f"{figure}.png").write_bytes(png)
        mlflow.log_artifacts(name, CURVES)


def _curves_name(history: History) -> str:
    return f"{history.phase}_curves.png"


def require_run() -> str:
    """Id of the active run.

    Raises:
        RuntimeError: No run is active.
    """
    run_id = active_run_id()
    if run_id is None:
        raise RuntimeError("no MLflow run is active; start one, or give the step a tracker")
    return run_id
