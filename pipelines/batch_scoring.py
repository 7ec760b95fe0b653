"""The pipeline of batch scoring: from many pictures to one table, held against validation."""

from zenml import pipeline

from skin_lesion.registry import PRODUCTION_ALIAS
from steps.drift import drift
from steps.score import score


@pipeline
def batch_scoring_pipeline(source: str, output: str, model: str = PRODUCTION_ALIAS) -> None:
    """Score every picture of a source, and tell whether they are what the model knows.

    A run that was stopped goes on where it was when it is started again.

    Args:
        source: Folder, zip, CSV of paths, or `s3://bucket/prefix`.
        output: Folder for the results.
        model: Version or alias in the registry, or folder of a bundle. What an alias points to is
            found out once, when the step starts.
    """
    batch = score(source, output, model)
    drift(batch, model)
