"""Step 6: the second training phase, ending with the bundle."""

from typing import Annotated

from zenml import step

from materializers._files import workspace
from materializers.history import HistoryMaterializer
from materializers.model_bundle import ModelBundleMaterializer
from skin_lesion import tracking
from skin_lesion.data.augment import AugmentationPlan
from skin_lesion.data.image_array import ImageArray
from skin_lesion.data.manifest import Manifest
from skin_lesion.data.split_table import SplitTable
from skin_lesion.modeling.bundle import ModelBundle
from skin_lesion.modeling.export import BundleFacts, make_bundle
from skin_lesion.modeling.history import History
from skin_lesion.modeling.train import TrainingData, WarmupModel, train_finetune
from skin_lesion.settings import ExportConfig, FinetuneConfig
from steps._caching import library_cache, stated_code
from steps._run import resolved_configuration, run_context


@step(
    cache_policy=library_cache("modeling.train", "modeling.export"),
    experiment_tracker=True,
    output_materializers={
        "bundle": ModelBundleMaterializer,
        "finetune_history": HistoryMaterializer,
    },
)
def finetune_train(
    images: ImageArray,
    split: SplitTable,
    plan: AugmentationPlan,
    manifest: Manifest,
    warmup: WarmupModel,
    config: FinetuneConfig = FinetuneConfig(),
    export: ExportConfig = ExportConfig(),
) -> tuple[Annotated[ModelBundle, "bundle"], Annotated[History, "finetune_history"]]:
    """Fine-tune block by block and export the best weights for serving, parity proven."""
    tracking.log_configuration(resolved_configuration())
    with run_context("finetune") as context:
        trained = train_finetune(TrainingData(images, split, plan), warmup, config, context)
    tracking.log_phase(trained.history, trained.model.path)
    code = stated_code(trained.model.trained_by)
    facts = BundleFacts(manifest.provenance.resize_mode, code, context.run_id, export=export)
    with workspace() as space:
        target = space.path / "bundle"
        bundle = make_bundle(trained.model, images, split, manifest, facts, target)
        space.belongs_to(bundle)
        trained.delivered()
        return bundle, trained.history
