"""Step 1: read the pictures."""

from typing import Annotated

from zenml import step

from materializers._files import workspace
from materializers.image_array import ImageArrayMaterializer
from materializers.manifest import ManifestMaterializer
from skin_lesion.data.image_array import ImageArray
from skin_lesion.data.ingest import ingest as read_source
from skin_lesion.data.manifest import Manifest
from skin_lesion.settings import IngestConfig, SourceConfig
from steps._caching import library_cache
from steps._run import local_store


@step(
    cache_policy=library_cache("data.ingest"),
    output_materializers={"manifest": ManifestMaterializer, "images": ImageArrayMaterializer},
)
def ingest(
    source: SourceConfig,
    image_size: tuple[int, int],
    seed: int,
    source_fingerprint: str,
    config: IngestConfig = IngestConfig(),
) -> tuple[Annotated[Manifest, "manifest"], Annotated[ImageArray, "images"]]:
    """Turn the source into one array of pixels and one table, and put aside what is unusable.

    `source_fingerprint` is there for the cache key: it changes when any picture does.
    """
    # Beside the store, so that the array can be linked into it instead of copied.
    with workspace(beside=local_store()) as space:
        result = read_source(source, image_size, config, seed, space.path)
        space.belongs_to(result.images)
        return result.manifest, result.images
