"""Step 3: share the lesions out."""

from typing import Annotated

from zenml import step

from materializers.picture import Picture, PictureMaterializer
from materializers.split_table import SplitTableMaterializer
from skin_lesion.data.duplicates import duplicate_sheet, find_duplicates
from skin_lesion.data.image_array import ImageArray
from skin_lesion.data.manifest import Manifest
from skin_lesion.data.split_table import SplitTable
from skin_lesion.data.splits import assign_splits
from skin_lesion.settings import SplitConfig
from steps._caching import library_cache


@step(
    cache_policy=library_cache("data.splits"),
    output_materializers={"split": SplitTableMaterializer, "duplicates": PictureMaterializer},
)
def split(
    manifest: Manifest,
    images: ImageArray,
    seed: int,
    config: SplitConfig = SplitConfig(),
) -> tuple[Annotated[SplitTable, "split"], Annotated[Picture, "duplicates"]]:
    """Assign every lesion group to train, validation or test, near-duplicates merged first."""
    duplicates = find_duplicates(manifest, images, config)
    table = assign_splits(manifest, images, config, seed, duplicates=duplicates)
    return table, Picture(duplicate_sheet(manifest, images, duplicates))
