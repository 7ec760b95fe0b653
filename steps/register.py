"""Step 8: judge the model and put it into the registry."""

from typing import Annotated

from zenml import get_step_context, log_metadata, step
from zenml.types import HTMLString

from materializers._files import workspace
from materializers.registered_version import RegisteredVersionMaterializer
from skin_lesion import tracking, tracking_evaluation
from skin_lesion.data.augment import AugmentationPlan
from skin_lesion.data.manifest import Manifest
from skin_lesion.data.split_table import SplitTable
from skin_lesion.evaluation.cards.documents import write_documents
from skin_lesion.evaluation.cards.from_run import Run
from skin_lesion.evaluation.report import EvaluationReport
from skin_lesion.modeling.bundle import ModelBundle
from skin_lesion.modeling.history import History
from skin_lesion.registry import RegisteredVersion
from skin_lesion.release import release
from skin_lesion.settings import GateConfig
from skin_lesion.tracking_members import adopt_training
from steps._run import mlflow_run, resolved_configuration


@step(
    enable_cache=False,  # a cached step registers nothing and starts no MLflow run
    output_materializers={"registered_version": RegisteredVersionMaterializer},
)
def register(
    bundle: ModelBundle,
    evaluation: EvaluationReport,
    manifest: Manifest,
    split: SplitTable,
    plan: AugmentationPlan,
    histories: list[History],
    config: GateConfig = GateConfig(),
) -> tuple[
    Annotated[RegisteredVersion, "registered_version"],
    Annotated[HTMLString, "gates"],
    Annotated[HTMLString, "model_card"],
    Annotated[HTMLString, "data_sheet"],
    Annotated[HTMLString, "checklists"],
]:
    """Complete the MLflow run, pass the gates, and register the bundle unless it is there already.

    `histories` are the training phases in order, of one member of an ensemble after the other.
    """
    with mlflow_run() as run_id, workspace() as space:
        tracking.log_configuration(resolved_configuration())
        adopt_training(histories, bundle.contract)
        tracking_evaluation.log_evaluation(evaluation)
        run = get_step_context().pipeline_run.name
        released = release(bundle, evaluation, config, space.path / "bundle", run=run)
        version, gate = released.version, released.gate
        documents = write_documents(
            Run(version.name, version.version, released.bundle, gate, evaluation.summary,
                manifest, split, plan, histories)
        )  # fmt: skip
        tracking.log_documents(documents.files())
    log_metadata({"mlflow_run_id": run_id, "gate": gate.to_lines()})
    log_metadata(metadata=version.link(), infer_model=True)
    return (
        version,
        HTMLString(documents.verdict),
        HTMLString(documents.model_card),
        HTMLString(documents.data_sheet),
        HTMLString(documents.checklists),
    )
