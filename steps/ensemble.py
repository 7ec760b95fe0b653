"""Of an ensemble: from its members to the bundle."""

from typing import Annotated

from zenml import step

from materializers._files import workspace
from materializers.model_bundle import ModelBundleMaterializer
from skin_lesion import tracking
from skin_lesion.data.folds import check_folds
from skin_lesion.data.image_array import ImageArray
from skin_lesion.data.manifest import Manifest
from skin_lesion.data.split_table import SplitTable
from skin_lesion.modeling.bundle import ModelBundle
from skin_lesion.modeling.ensemble import describe_members, join_members, judge_members
from skin_lesion.modeling.export import BundleFacts, make_bundle
from skin_lesion.modeling.history import History
from skin_lesion.modeling.train import WarmupModel
from skin_lesion.settings import ExportConfig
from steps._caching import library_cache, stated_code
from steps._run import resolved_configuration


@step(
    cache_policy=library_cache("modeling.ensemble", "modeling.export", "data.folds"),
    experiment_tracker=True,
    output_materializers={"bundle": ModelBundleMaterializer},
)
def ensemble(
    images: ImageArray,
    split: SplitTable,
    manifest: Manifest,
    members: list[WarmupModel],
    histories: list[History],
    folds: list[SplitTable],
    export: ExportConfig = ExportConfig(),
) -> Annotated[ModelBundle, "bundle"]:
    """Make sure that no member saw what it must not, and export all of them as one network."""
    check_folds(split, folds)
    tracking.log_configuration(resolved_configuration())
    described = describe_members(
        histories, [fold.split_hash for fold in folds], judge_members(members, images, split)
    )
    facts = BundleFacts(
        manifest.provenance.resize_mode,
        stated_code(code for member in members for code in member.trained_by),
        tracking.active_run_id(),
        described,
        export,
    )
    with workspace() as space:
        target = space.path / "bundle"
        bundle = make_bundle(join_members(members), images, split, manifest, facts, target)
        space.belongs_to(bundle)
        return bundle
