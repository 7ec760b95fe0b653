"""Of an ensemble: the first training phase of one member."""

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
from skin_lesion.tracking_members import member_run
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
def warmup_member(
    images: ImageArray,
    split: SplitTable,
    plan: AugmentationPlan,
    backbone: BackboneConfig,
    weights_fingerprint: str,
    fold: int,
    config: WarmupConfig,
) -> tuple[Annotated[WarmupModel, "warmup_model"], Annotated[History, "warmup_history"]]:
    """Train the head of a member on a frozen backbone, or start it from scratch.

    `weights_fingerprint` is there for the cache key: it changes when the weights file does.
    """
    tracking.log_configuration(resolved_configuration())
    data = TrainingData(images, split, plan)
    with member_run(fold, {"fold": fold, "seed": plan.seed, "split_hash": split.split_hash}):
        with run_context("warmup") as context:
            trained = train_warmup(data, backbone, config, context)
        tracking.log_phase(trained.history, trained.model.path)
        trained.delivered()
    return trained.model, trained.history
