"""The one step of batch scoring."""

from pathlib import Path
from typing import Annotated

from zenml import log_metadata, step
from zenml.logger import get_logger

from materializers.batch_result import BatchResultMaterializer
from skin_lesion.batch.progress import Spaced
from skin_lesion.batch.result import BatchResult
from skin_lesion.batch.run import score_batch
from skin_lesion.settings import BatchConfig
from steps._run import use_registry

log = get_logger(__name__)


@step(
    enable_cache=False,  # the folder of results knows what is done already
    output_materializers={"batch": BatchResultMaterializer},
)
def score(
    source: str, output: str, model: str, config: BatchConfig = BatchConfig()
) -> Annotated[BatchResult, "batch"]:
    """Score every picture of a source with a registered model, or go on where that was stopped."""
    use_registry()
    result = score_batch(source, Path(output), model, config, Spaced(log.info))
    model_facts = result.summary.model.model_dump(mode="json", exclude_none=True)
    log_metadata({"output": str(result.path), **model_facts})
    return result
