"""Step 7: measure what will be served."""

from typing import Annotated

from zenml import step

from materializers.evaluation_report import EvaluationReportMaterializer
from skin_lesion.data.image_array import ImageArray
from skin_lesion.data.manifest import Manifest
from skin_lesion.data.split_table import SplitTable
from skin_lesion.evaluation.report import EvaluationReport
from skin_lesion.evaluation.report import evaluate as measure
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
    """Fit the temperature on validation, then measure the serving export once on test."""
    return measure(bundle, images, split, manifest, config, seed)
