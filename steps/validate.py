"""Step 2: check the data before anything is learnt from them."""

from typing import Annotated

from zenml import save_artifact, step

from materializers.validation_report import ValidationReportMaterializer
from skin_lesion.data.checks import ValidationReport
from skin_lesion.data.checks import validate as check
from skin_lesion.data.image_array import ImageArray
from skin_lesion.data.manifest import Manifest
from skin_lesion.settings import ValidateConfig
from steps._caching import library_cache

FAILED_REPORT = "failed_validation"


@step(
    cache_policy=library_cache("data.checks"),
    output_materializers={"validation": ValidationReportMaterializer},
)
def validate(
    manifest: Manifest,
    images: ImageArray,
    config: ValidateConfig = ValidateConfig(),
) -> Annotated[ValidationReport, "validation"]:
    """Check manifest and pictures; a critical failure stops the pipeline and names the rows."""
    report = check(manifest, images, config)
    if not report.passed:
        # A failing step has no outputs, and now is when somebody wants to read the report.
        save_artifact(report, FAILED_REPORT, materializer=ValidationReportMaterializer)
    report.raise_if_critical()
    return report
