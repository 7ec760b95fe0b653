"""What a step has to know of the run it belongs to."""

import os
from pathlib import Path
from typing import Any

from zenml import get_step_context
from zenml.client import Client

from skin_lesion import tracking
from skin_lesion.modeling.train import RunContext
from steps._caching import code_version

CHECKPOINTS_VARIABLE = "SKIN_LESION_CHECKPOINTS"


def resolved_configuration() -> dict[str, Any]:
    """Every value of the run: what steps share, and under its name what a step has of its own."""
    snapshot = get_step_context().pipeline_run.snapshot
    if snapshot is None:
        raise RuntimeError("the run has no snapshot that its configuration could be read from")
    values: dict[str, Any] = {}
    for name, step in snapshot.step_configurations.items():
        parameters = dict(step.config.parameters)
        values[name] = parameters.pop("config", {})
        values |= parameters
    return values


def run_context() -> RunContext:
    """Where a training phase reports to."""
    return RunContext(
        checkpoint_root=checkpoint_root(),
        code_version=code_version(),
        run_id=tracking.active_run_id(),
        on_epoch=lambda record: tracking.log_epochs([record]),
    )


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
