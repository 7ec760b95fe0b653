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
from skin_lesion.settings import RegisterConfig
from steps._run import resolved_configuration


@step(
    # A cached step registers nothing and starts no MLflow run.
    enable_cache=False,
    experiment_tracker=True,
    output_materializers={"registered_version": RegisteredVersionMaterializer},
)
def register(
    bundle: ModelBundle,
    evaluation: EvaluationReport,
    warmup_history: History,
    finetune_history: History,
    config: RegisterConfig = RegisterConfig(),
) -> Annotated[RegisteredVersion, "registered_version"]:
    """Complete the MLflow run and register the bundle, or find the version that holds it already."""
    tracking.log_configuration(resolved_configuration())
    tracking.adopt_phases([warmup_history, finetune_history])
    tracking.log_evaluation(evaluation)
    calibrated = bundle.contract.model_copy(update={"temperature": evaluation.summary.temperature})
    with workspace() as space:
        final = bundle.with_contract(calibrated, space.path / "bundle")
        version = register_bundle(final, evaluation.summary, config.model_name)
    log_metadata({"mlflow_version": version.version, "mlflow_uri": version.uri}, infer_model=True)
    return version
