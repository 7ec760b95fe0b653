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
    """Every value of the run: what steps share, and under its name what each step has of its own."""
    run = get_step_context().pipeline_run
    values = dict(run.config.parameters or {})
    if run.snapshot is not None:
        for name, step in run.snapshot.step_configurations.items():
            values[name] = step.config.parameters.get("config", {})
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
