"""Of an ensemble: what one member learns from, and how."""

from typing import Annotated

from zenml import step

from materializers.augmentation_plan import AugmentationPlanMaterializer
from materializers.split_table import SplitTableMaterializer
from skin_lesion.data.augment import AugmentationPlan, make_plan
from skin_lesion.data.folds import cut_folds, member_seed
from skin_lesion.data.split_table import SplitTable
from skin_lesion.settings import EnsembleConfig
from steps._caching import library_cache


@step(
    cache_policy=library_cache("data.folds", "data.augment"),
    output_materializers={
        "fold": SplitTableMaterializer,
        "fold_augmentation": AugmentationPlanMaterializer,
    },
)
def cut_fold(
    split: SplitTable,
    plan: AugmentationPlan,
    fold: int,
    seed: int,
    config: EnsembleConfig = EnsembleConfig(),
) -> tuple[Annotated[SplitTable, "fold"], Annotated[AugmentationPlan, "fold_augmentation"]]:
    """Cut the training lesions into folds, take one, and weigh its classes; it has its own seed."""
    table = cut_folds(split, config.folds, seed)[fold - 1]
    return table, make_plan(table, plan.policy, member_seed(seed, fold))
