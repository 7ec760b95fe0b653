"""An MLflow of its own, and a run that is active."""

from collections.abc import Iterator

import mlflow
import pytest

from skin_lesion import tracking
from tests.mlflow_place import mlflow_at


@pytest.fixture(scope="package")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[mlflow.MlflowClient]:
    folder = tmp_path_factory.mktemp("mlflow")
    with mlflow_at(folder):
        with tracking.continued_run("tests", "first", {}, folder / "files"):
            pass
        yield mlflow.MlflowClient()


@pytest.fixture
def run_id(client: mlflow.MlflowClient, request: pytest.FixtureRequest) -> Iterator[str]:
    with tracking.continued_run("tests", request.node.name, {}, None) as found:
        yield found
