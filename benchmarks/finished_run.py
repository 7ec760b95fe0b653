"""A finished pipeline run as ZenML and MLflow keep it: what came of it, how long it took, what it ran."""

import subprocess
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from root import ROOT

if TYPE_CHECKING:
    from zenml.models import PipelineRunResponse

    from skin_lesion.modeling.history import History

TRAINING, ENSEMBLE = "training_pipeline", "ensemble_pipeline"
# Parameters that only the ensemble's pipeline has.
_OF_ENSEMBLES = frozenset({"ensemble", "warmup", "finetune"})


def pipeline_of(config: Mapping[str, Any]) -> str:
    """Name of the pipeline that a configuration is for."""
    return TRAINING if _OF_ENSEMBLES.isdisjoint(config.get("parameters", {})) else ENSEMBLE


def find_run(name: str | None, pipeline: str = TRAINING) -> "PipelineRunResponse":
    """The run of this name or id; the last one of the pipeline that finished where it is None.

    Raises:
        ValueError: It is of another pipeline, or none has finished.
    """
    from zenml.client import Client
    from zenml.enums import ExecutionStatus

    if name is not None:
        run = Client().get_pipeline_run(name)
        if run.pipeline.name != pipeline:
            raise ValueError(f"Run {run.name} is one of {run.pipeline.name}, and not of {pipeline}")
        return run
    last = Client().list_pipeline_runs(
        pipeline=pipeline,
        status=ExecutionStatus.COMPLETED,
        sort_by="desc:created",
        size=1,
    )
    if not last.items:
        raise ValueError(f"no run of {pipeline} has finished yet")
    return Client().get_pipeline_run(last.items[0].id)


def output(run: "PipelineRunResponse", step: str, name: str) -> Any:
    """What a step of a run came to."""
    return run.steps[step].outputs[name][0].load()


def bundle_step(pipeline: str) -> str:
    """Name of the step that makes the bundle."""
    return "ensemble" if pipeline == ENSEMBLE else "finetune_train"


def histories_of(run: "PipelineRunResponse") -> "dict[str, History]":
    """What was recorded of each phase of a training, or of each member's, by step."""
    return {
        step: output(run, step, name)
        for step, made in run.steps.items()
        for name in ("warmup_history", "finetune_history")
        if name in made.outputs
    }


def minutes_of_work(run: "PipelineRunResponse") -> float:
    """Time of all steps, each where it did its work.

    A step from the cache counts as long as it took when it ran, and a phase of training that was
    resumed as long as all of its epochs took.

    Raises:
        ValueError: A step has not finished.
    """
    from zenml.client import Client

    seconds = {}
    for name, step in run.steps.items():
        worked = step
        while worked.original_step_run_id:
            worked = Client().get_run_step(worked.original_step_run_id)
        if worked.start_time is None or worked.end_time is None:
            raise ValueError(f"Run {run.name} has not finished: {name} has no end")
        seconds[name] = (worked.end_time - worked.start_time).total_seconds()
    return sum(whole_seconds(seconds, histories_of(run)).values()) / 60


def whole_seconds(
    seconds: Mapping[str, float], histories: Mapping[str, "History"]
) -> dict[str, float]:
    """Time of each step; of a phase of training at least that of its epochs.

    Args:
        seconds: How long each step ran.
        histories: Of the steps that train.
    """
    trained = {
        name: sum(record.seconds for record in history.records)
        for name, history in histories.items()
    }
    return {name: max(took, trained.get(name, 0.0)) for name, took in seconds.items()}


def refuse_other_code(name: str, trained_with: str) -> None:
    """Raise where the model was trained by other code than that of this checkout."""
    from steps._caching import code_version

    if trained_with != code_version():
        raise ValueError(
            f"Run {name} trained with code version {trained_with}, and this checkout has "
            f"{code_version()}; record it from the commit that it ran"
        )


def commit_of(run: "PipelineRunResponse") -> tuple[str, bool | None]:
    """Commit that a run started with, and whether files differed from it.

    A run that did not note its commit has that of the checkout, whose code made the same model.
    """
    import mlflow
    from zenml.client import Client

    tracker = Client().active_stack.experiment_tracker
    run_id = str(run.steps["register"].run_metadata["mlflow_run_id"])
    tags = mlflow.MlflowClient(tracker.get_tracking_uri()).get_run(run_id).data.tags
    if "git_commit" in tags:
        return tags["git_commit"][:7], {"true": True, "false": False}.get(tags["git_dirty"])
    command = ["git", "rev-parse", "HEAD"]
    head = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return head[:7], None


def states(stated: Any, actual: Any) -> bool:
    """Whether everything that a configuration states holds for a run."""
    if isinstance(stated, Mapping):
        return all(key in actual and states(value, actual[key]) for key, value in stated.items())
    if isinstance(stated, list):
        return list(actual) == stated
    return bool(actual == stated)
