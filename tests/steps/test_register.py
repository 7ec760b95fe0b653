"""The model has one name, in MLflow and in ZenML."""

import inspect

from pipelines.training import MODEL
from skin_lesion.registry import MODEL_NAME, register_bundle
from steps.register import register


def test_no_configuration_can_part_the_names_in_mlflow_and_zenml() -> None:
    assert MODEL.name == MODEL_NAME
    assert inspect.signature(register_bundle).parameters["name"].default == MODEL_NAME
    assert set(inspect.signature(register.entrypoint).parameters) == {
        "bundle", "evaluation", "manifest", "split", "plan", "histories",
        "config",
    }  # fmt: skip
