"""Where MLflow keeps its runs and versions while a test, or a fixture of one, is at work."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mlflow


@contextmanager
def mlflow_at(place: Path | str) -> Iterator[None]:
    """Have MLflow look there, and where it looked before afterwards.

    Args:
        place: Folder of `mlflow.db`, or an address.
    """
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(
        f"sqlite:///{place / 'mlflow.db'}" if isinstance(place, Path) else place
    )
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before)
