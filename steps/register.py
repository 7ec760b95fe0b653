"""Step 8: put the model into the registry."""

from typing import Annotated

from zenml import log_metadata, step

from materializers._files import workspace
from materializers.registered_version import RegisteredVersionMaterializer
from skin_lesion import tracking
from skin_lesion.evaluation.report import EvaluationReport
from skin_lesion.modeling.bundle import ModelBundle
from skin_lesion.modeling.history import History
from skin_lesion.registry import RegisteredVersion, register_bundle
from steps._run import mlflow_run, resolved_configuration


@step(
    enable_cache=False,  # a cached step registers nothing and starts no MLflow run
    output_materializers={"registered_version": RegisteredVersionMaterializer},
)
def register(
    bundle: ModelBundle,
    evaluation: EvaluationReport,
    warmup_history: History,
    finetune_history: History,
) -> Annotated[RegisteredVersion, "registered_version"]:
    """Complete the MLflow run and register the bundle, or find the version that holds it already."""
    temperature = evaluation.summary.temperature
    calibrated = bundle.contract.model_copy(update={"temperature": temperature})
    with mlflow_run() as run_id, workspace() as space:
        tracking.log_configuration(resolved_configuration())
        tracking.adopt_phases([warmup_history, finetune_history])
        tracking.log_evaluation(evaluation)
        final = bundle.with_contract(calibrated, space.path / "bundle")
        version = register_bundle(final, evaluation.summary)
    log_metadata({"mlflow_run_id": run_id})
    log_metadata(metadata=version.link(), infer_model=True)
    return version
