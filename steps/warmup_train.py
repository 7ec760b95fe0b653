"""Step 5: the first training phase."""

from typing import Annotated

from zenml import step

from materializers.history import HistoryMaterializer
from materializers.warmup_model import WarmupModelMaterializer
from skin_lesion import tracking
from skin_lesion.data.augment import AugmentationPlan
from skin_lesion.data.image_array import ImageArray
from skin_lesion.data.split_table import SplitTable
from skin_lesion.modeling.history import History
from skin_lesion.modeling.train import TrainingData, WarmupModel, train_warmup
from skin_lesion.settings import BackboneConfig, WarmupConfig
from steps._caching import library_cache
from steps._run import resolved_configuration, run_context


@step(
    cache_policy=library_cache("modeling.train"),
    experiment_tracker=True,
    output_materializers={
        "warmup_model": WarmupModelMaterializer,
        "warmup_history": HistoryMaterializer,
    },
)
def warmup_train(
    images: ImageArray,
    split: SplitTable,
    plan: AugmentationPlan,
    backbone: BackboneConfig,
    weights_fingerprint: str,
    config: WarmupConfig = WarmupConfig(),
) -> tuple[Annotated[WarmupModel, "warmup_model"], Annotated[History, "warmup_history"]]:
    """Train the head on a frozen backbone, or start from scratch where no weights are given.

    `weights_fingerprint` is there for the cache key: it changes when the weights file does.
    """
    tracking.log_configuration(resolved_configuration())
    data = TrainingData(images, split, plan)
    with run_context("warmup") as context:
        trained = train_warmup(data, backbone, config, context)
    tracking.log_phase(trained.history, trained.model.path)
    trained.delivered()
    return trained.model, trained.history
