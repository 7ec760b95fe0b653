"""What `cached_run.py` measures against: the least that a cached, tracked ZenML run can be."""

from typing import Annotated

from zenml import pipeline, step


@step
def first() -> Annotated[int, "number"]:
    """Comes from the cache in every run but the first."""
    return 1


@step(enable_cache=False, experiment_tracker=True)
def second(number: int) -> Annotated[int, "sum"]:
    """Runs every time and opens an MLflow run."""
    return number + 1


@pipeline
def two_step_pipeline() -> None:
    """One cached step and one that runs."""
    second(first())
