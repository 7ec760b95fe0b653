"""Step 7: measure what will be served."""

from typing import Annotated

from zenml import get_step_context, step

from materializers.evaluation_report import EvaluationReportMaterializer
from skin_lesion.data.image_array import ImageArray
from skin_lesion.data.looking import Purpose
from skin_lesion.data.manifest import Manifest
from skin_lesion.data.split_table import SplitTable
from skin_lesion.evaluation.report import EvaluationReport
from skin_lesion.evaluation.report import evaluate as measure
from skin_lesion.ledger import environments_ledger
from skin_lesion.modeling.bundle import ModelBundle
from skin_lesion.settings import EvaluateConfig
from steps._caching import library_cache


@step(
    cache_policy=library_cache("evaluation.report"),
    output_materializers={"evaluation": EvaluationReportMaterializer},
)
def evaluate(
    bundle: ModelBundle,
    images: ImageArray,
    split: SplitTable,
    manifest: Manifest,
    seed: int,
    config: EvaluateConfig = EvaluateConfig(),
) -> Annotated[EvaluationReport, "evaluation"]:
    """Freeze on validation, write the look at the test split down, then measure on test."""
    run = get_step_context().pipeline_run.name
    return measure(
        bundle,
        images,
        split,
        manifest,
        config,
        seed,
        ledger=environments_ledger(),
        purpose=Purpose("evaluate", "figures of the model that a pipeline run trained", run),
    )
