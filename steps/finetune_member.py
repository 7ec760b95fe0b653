"""Of an ensemble: the second training phase of one member."""

from typing import Annotated

from zenml import step

from materializers.history import HistoryMaterializer
from materializers.warmup_model import WarmupModelMaterializer
from skin_lesion import tracking
from skin_lesion.data.augment import AugmentationPlan
from skin_lesion.data.image_array import ImageArray
from skin_lesion.data.split_table import SplitTable
from skin_lesion.modeling.history import History
from skin_lesion.modeling.train import TrainingData, WarmupModel, train_finetune
from skin_lesion.settings import FinetuneConfig
from skin_lesion.tracking_members import member_run
from steps._caching import library_cache
from steps._run import resolved_configuration, run_context


@step(
    cache_policy=library_cache("modeling.train"),
    experiment_tracker=True,
    output_materializers={
        "member": WarmupModelMaterializer,
        "finetune_history": HistoryMaterializer,
    },
)
def finetune_member(
    images: ImageArray,
    split: SplitTable,
    plan: AugmentationPlan,
    warmup: WarmupModel,
    fold: int,
    config: FinetuneConfig,
) -> tuple[Annotated[WarmupModel, "member"], Annotated[History, "finetune_history"]]:
    """Fine-tune a member block by block and keep the weights that do best on its own fold."""
    tracking.log_configuration(resolved_configuration())
    data = TrainingData(images, split, plan)
    with member_run(fold, {"fold": fold, "seed": plan.seed, "split_hash": split.split_hash}):
        with run_context("finetune") as context:
            trained = train_finetune(data, warmup, config, context)
        tracking.log_phase(trained.history, trained.model.path)
        trained.delivered()
    return trained.model, trained.history
