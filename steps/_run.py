"""What a step has to know of the run it belongs to."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import zenml
from zenml import get_step_context
from zenml.client import Client
from zenml.enums import ExecutionStatus

from skin_lesion import tracking
from skin_lesion.live import watched_training
from skin_lesion.modeling.train import RunContext
from skin_lesion.settings import Phase
from steps._caching import import_training_code, training_code

CHECKPOINTS_VARIABLE = "SKIN_LESION_CHECKPOINTS"
_OF_FOLD = "_fold_"


def resolved_configuration() -> dict[str, Any]:
    """Every value of the run: what steps share, and under its name what a step has of its own."""
    snapshot = get_step_context().pipeline_run.snapshot
    if snapshot is None:
        raise RuntimeError("the run has no snapshot that its configuration could be read from")
    values: dict[str, Any] = {}
    for name, step in snapshot.step_configurations.items():
        parameters = dict(step.config.parameters)
        # Members of an ensemble are configured alike, but for the number of the fold.
        alike = base_name(name)
        parameters.pop("fold", None)
        values[alike] = values.get(alike, {}) | parameters.pop("config", {})
        values |= parameters
    return values


def of_fold(step: str, fold: int) -> str:
    """What a step that every member of an ensemble goes through is called for one of them."""
    return f"{step}{_OF_FOLD}{fold}"


def base_name(step: str) -> str:
    """What a step does, whichever member of an ensemble it does it for."""
    return step.partition(_OF_FOLD)[0]


@contextmanager
def mlflow_run() -> Iterator[str]:
    """The MLflow run of this pipeline run, for a step that does not ask ZenML for its tracker.

    ZenML's tracker imports every framework that MLflow could have logged, TensorFlow first, when a
    step ends. A step that trains has imported it anyway; for one that does not, it is half the time
    of a run in which everything else comes from the cache.

    Yields:
        Id of the run.
    """
    folder = _mlflow_tracker().local_path
    context = get_step_context()
    with tracking.continued_run(
        experiment=context.pipeline.name,
        name=context.pipeline_run.name,
        tags={"zenml": zenml.__version__},  # lets ZenML recognise the run as its own
        artifacts=Path(folder) if folder else None,
    ) as run_id:
        yield run_id


def use_registry() -> None:
    """Have MLflow look for models where the stack keeps them, for a step that logs no run."""
    _mlflow_tracker()


def _mlflow_tracker() -> Any:
    """The stack's experiment tracker, to which MLflow speaks from now on."""
    tracker = Client().active_stack.experiment_tracker
    if tracker is None or tracker.flavor != "mlflow":
        found = "none" if tracker is None else f"'{tracker.flavor}'"
        raise RuntimeError(
            f"the active stack's experiment tracker is {found}; an MLflow one is needed, as in "
            "configs/stacks/local.yaml"
        )
    tracker.configure_mlflow()
    return tracker


@contextmanager
def run_context(phase: Phase) -> Iterator[RunContext]:
    """Where a training phase reports to; its MLflow run is kept up to date while it trains.

    Args:
        phase: Which one.

    Yields:
        For the training function. All epochs, and the devices, are in the run once it is left.
    """
    import_training_code()
    root = checkpoint_root()
    step_run = get_step_context().step_run
    with watched_training(phase) as watched:
        yield RunContext(
            checkpoint_root=root,
            code_version=training_code(),
            run_id=tracking.active_run_id(),
            on_epoch=watched,
            on_devices=watched.on_devices,
            # Whoever switches the cache off for this step wants it to work, not to find its
            # results.
            afresh=step_run.config.enable_cache is False,
            receiver=str(step_run.id),
            arrived=is_completed,
            elsewhere=(
                f"move {root} to a larger disk and name its new place in the environment's "
                f"{CHECKPOINTS_VARIABLE}"
            ),
        )


def is_completed(step_run: str) -> bool:
    """Whether a step run came to its end, as ZenML has it.

    A step hands its model over by returning it, and ZenML stores it only then: a process that is
    killed in between leaves a training that is done and a model that is nowhere.

    Args:
        step_run: Its id. One that ZenML does not know, or not any more, did not.
    """
    try:
        found = Client().get_run_step(UUID(step_run), hydrate=False)
    except (KeyError, ValueError):  # the latter where it is no id: half of one, or none
        return False
    return found.status == ExecutionStatus.COMPLETED


def checkpoint_root() -> Path:
    """Folder of the training checkpoints: where the environment says, else beside a local store."""
    if named := os.environ.get(CHECKPOINTS_VARIABLE):
        return Path(named)
    store = local_store()
    return (store.parent if store else Path(".work").absolute()) / "checkpoints"


def local_store() -> Path | None:
    """Folder of the active artifact store; None where it is not on this machine."""
    store = Client().active_stack.artifact_store
    return Path(store.path) if store.config.is_local else None
