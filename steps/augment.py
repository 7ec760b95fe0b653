"""Step 4: settle how training pictures are changed and how classes are weighted."""

from typing import Annotated

from zenml import step

from materializers.augmentation_plan import AugmentationPlanMaterializer
from materializers.picture import Picture, PictureMaterializer
from skin_lesion.data.augment import AugmentationPlan, make_plan
from skin_lesion.data.augmentation_sheet import augmentation_sheet
from skin_lesion.data.image_array import ImageArray
from skin_lesion.data.split_table import SplitTable
from skin_lesion.settings import AugmentConfig
from steps._caching import library_cache


@step(
    cache_policy=library_cache("data.augment", "data.augmentation_sheet"),
    output_materializers={
        "augmentation": AugmentationPlanMaterializer,
        "augmentation_sheet": PictureMaterializer,
    },
)
def augment(
    images: ImageArray,
    split: SplitTable,
    seed: int,
    config: AugmentConfig = AugmentConfig(),
) -> tuple[Annotated[AugmentationPlan, "augmentation"], Annotated[Picture, "augmentation_sheet"]]:
    """Make the augmentation plan and show what it does; no pixels are stored for training."""
    plan = make_plan(split, config, seed)
    return plan, Picture(augmentation_sheet(images, split, plan))
